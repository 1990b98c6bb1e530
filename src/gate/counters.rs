//! The counters of one worker. Requests only add to them; the worker passes them on to the host with
//! each tick.

use crate::denial::Reason;
use crate::policy::route::RouteId;
use crate::record::Verdict;

/// Most routes that are counted one by one; those behind them in the config are counted together.
pub(crate) const COUNTED_ROUTES: usize = 200;

/// Most edge delays kept between two ticks.
const MAX_DELAYS: usize = 256;

/// Most key IDs counted one by one between two ticks. A key ID counts only where its key verified a
/// token, so no client can fill this.
const MAX_KIDS: usize = 64;

/// Numbers since the last [`Counters::take`].
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Requests that went on.
    pub allowed: u64,
    /// Requests that were denied, by reason in the order of [`Reason::ALL`].
    pub denied: [u64; Reason::ALL.len()],
    /// Requests that shadow mode let through, by the reason they would have been denied for.
    pub shadowed: [u64; Reason::ALL.len()],
    /// By route, in the order of the config: allowed, denied, shadowed. A row at [`COUNTED_ROUTES`]
    /// is for all routes from there on.
    pub routes: Vec<[u64; 3]>,
    /// Requests that brought a reserved identity header which was not what the claims say, whatever
    /// they came to.
    pub spoofed: u64,
    /// Requests with trailers that only this filter may set, or that no backend may see.
    pub reserved_trailers: u64,
    /// Requests whose own correlation ID differed from the signed one.
    pub correlation_overwritten: u64,
    /// Requests with a correlation header that is no well-formed ID.
    pub correlation_malformed: u64,
    /// Bad or not yet verifiable tokens that a public route ignored.
    pub dropped_tokens: u64,
    /// Verified tokens by key ID, `-` for none.
    pub kids: Vec<(String, u64)>,
    /// Verified tokens of key IDs beyond the bound.
    pub other_kids: u64,
    /// Seconds between a token's issue and its first use here.
    pub edge_delays: Vec<u64>,
}

impl Counters {
    /// For a table with that many routes.
    pub(crate) fn new(routes: usize) -> Self {
        Self {
            routes: vec![[0; 3]; routes.min(COUNTED_ROUTES.saturating_add(1))],
            ..Self::default()
        }
    }

    /// Counts a request by its verdict.
    pub(crate) fn count(&mut self, verdict: Verdict, route: Option<RouteId>) {
        let (column, cell) = match verdict {
            Verdict::Allow => (0, Some(&mut self.allowed)),
            Verdict::Deny(reason) => (1, self.denied.get_mut(reason as usize)),
            Verdict::Shadow(reason) => (2, self.shadowed.get_mut(reason as usize)),
        };
        add_one(cell);
        let row = route.map(|route| route.index().min(COUNTED_ROUTES));
        let row = row.and_then(|row| self.routes.get_mut(row));
        add_one(row.and_then(|row| row.get_mut(column)));
    }

    /// Counts a verified token by its key.
    pub(crate) fn kid(&mut self, kid: Option<&str>) {
        let kid = kid.unwrap_or("-");
        if let Some((_, count)) = self.kids.iter_mut().find(|(known, _)| known == kid) {
            add_one(Some(count));
        } else if self.kids.len() < MAX_KIDS {
            self.kids.push((kid.to_owned(), 1));
        } else {
            add_one(Some(&mut self.other_kids));
        }
    }

    /// Counts a request with reserved trailers.
    pub(crate) fn add_reserved_trailers(&mut self) {
        add_one(Some(&mut self.reserved_trailers));
    }

    /// Notes how long a token took from the edge to here.
    pub(crate) fn delay(&mut self, seconds: u64) {
        if self.edge_delays.len() < MAX_DELAYS {
            self.edge_delays.push(seconds);
        }
    }

    /// The numbers so far; counting starts anew.
    pub(crate) fn take(&mut self) -> Self {
        let routes = self.routes.len();
        std::mem::replace(self, Self::new(routes))
    }
}

/// Adds one, where there is something to add to.
pub(crate) fn add_one(cell: Option<&mut u64>) {
    if let Some(cell) = cell {
        *cell = cell.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::Reason;

    #[test]
    fn routes_beyond_the_bound_share_a_row() {
        let mut counters = Counters::new(10_000);
        for route in [0, 199, 200, 201, 9_999] {
            counters.count(Verdict::Deny(Reason::Role), Some(RouteId(route)));
        }
        assert_eq!(counters.routes.len(), COUNTED_ROUTES + 1);
        assert_eq!(counters.routes[0], [0, 1, 0]);
        assert_eq!(counters.routes[199], [0, 1, 0]);
        assert_eq!(counters.routes[200], [0, 3, 0]);
    }

    #[test]
    fn key_ids_beyond_the_bound_are_counted_together() {
        let mut counters = Counters::new(1);
        for kid in 0..MAX_KIDS + 5 {
            counters.kid(Some(&kid.to_string()));
        }
        counters.kid(Some("0"));
        assert_eq!((counters.kids.len(), counters.other_kids), (MAX_KIDS, 5));
        assert_eq!(counters.kids[0], ("0".to_owned(), 2));
    }

    #[test]
    fn taking_starts_anew() {
        let mut counters = Counters::new(2);
        counters.count(Verdict::Allow, Some(RouteId(1)));
        counters.delay(3);
        assert_eq!(counters.take().routes, [[0; 3], [1, 0, 0]]);
        assert_eq!(counters, Counters::new(2));
    }
}
