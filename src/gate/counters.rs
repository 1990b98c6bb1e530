//! The counters of one worker. The worker passes them to the host at each tick.

use crate::denial::Reason;
use crate::policy::route::RouteId;
use crate::record::Verdict;

/// The maximum number of routes that are counted separately; later routes are counted together.
pub(crate) const COUNTED_ROUTES: usize = 200;

/// The maximum number of edge delays that are kept between two ticks.
const MAX_DELAYS: usize = 256;

/// The maximum number of key IDs that are counted separately between two ticks. Only keys that verified a
/// token count, so a client cannot exhaust this.
const MAX_KIDS: usize = 64;

/// Counts since the last [`Counters::take`].
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Requests that were forwarded.
    pub allowed: u64,
    /// Requests that were denied, by reason, in the order of [`Reason::ALL`].
    pub denied: [u64; Reason::ALL.len()],
    /// Requests that only shadow mode allowed, by the reason for which they would have been denied.
    pub shadowed: [u64; Reason::ALL.len()],
    /// Allowed, denied and shadowed requests by route, in the order of the config. The row at
    /// [`COUNTED_ROUTES`] is for all remaining routes.
    pub routes: Vec<[u64; 3]>,
    /// Requests with an identity header that differed from the verified claims, whatever the decision.
    pub spoofed: u64,
    /// Requests with reserved trailers.
    pub reserved_trailers: u64,
    /// Requests whose own correlation ID differed from the signed one.
    pub correlation_overwritten: u64,
    /// Requests with a malformed or repeated correlation header.
    pub correlation_malformed: u64,
    /// Tokens that were not verified, on requests that were allowed without one.
    pub dropped_tokens: u64,
    /// Verified tokens by key ID; `-` for tokens without one.
    pub kids: Vec<(String, u64)>,
    /// Verified tokens of all other key IDs.
    pub other_kids: u64,
    /// Seconds between a token's issue and its first use here.
    pub edge_delays: Vec<u64>,
}

impl Counters {
    /// Counters for this number of routes.
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

    /// Records the time between a token's issue and its first use.
    pub(crate) fn delay(&mut self, seconds: u64) {
        if self.edge_delays.len() < MAX_DELAYS {
            self.edge_delays.push(seconds);
        }
    }

    /// Takes the counts and resets them to 0.
    pub(crate) fn take(&mut self) -> Self {
        let routes = self.routes.len();
        std::mem::replace(self, Self::new(routes))
    }
}

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
    fn routes_beyond_the_limit_share_a_row() {
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
    fn key_ids_beyond_the_limit_are_counted_together() {
        let mut counters = Counters::new(1);
        for kid in 0..MAX_KIDS + 5 {
            counters.kid(Some(&kid.to_string()));
        }
        counters.kid(Some("0"));
        assert_eq!((counters.kids.len(), counters.other_kids), (MAX_KIDS, 5));
        assert_eq!(counters.kids[0], ("0".to_owned(), 2));
    }

    #[test]
    fn take_resets_the_counts() {
        let mut counters = Counters::new(2);
        counters.count(Verdict::Allow, Some(RouteId(1)));
        counters.delay(3);
        assert_eq!(counters.take().routes, [[0; 3], [1, 0, 0]]);
        assert_eq!(counters, Counters::new(2));
    }
}
