//! What is counted. Requests only add to numbers here; the host hears of them on the next tick.

use crate::denial::Reason;
use crate::record::Verdict;

/// Most routes that are counted one by one.
pub const COUNTED_ROUTES: usize = 200;

/// Most edge delays kept between two ticks.
const MAX_DELAYS: usize = 256;

/// Most key IDs counted one by one between two ticks. A key ID counts only where its key verified a
/// token, so no client can fill this.
const MAX_KIDS: usize = 64;

/// Numbers since the last [`Counters::take`].
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Requests that went on.
    pub allowed: u64,
    /// Requests that were denied, by reason in the order of [`Reason::ALL`].
    pub denied: [u64; Reason::ALL.len()],
    /// Requests that shadow mode let through, by the reason they would have been denied for.
    pub shadowed: [u64; Reason::ALL.len()],
    /// By route, in the order of the config: allowed, denied, shadowed.
    pub routes: Vec<[u64; 3]>,
    /// Requests that brought a reserved identity header which was not what the claims say.
    pub spoofed: u64,
    /// Requests whose own correlation ID differed from the signed one.
    pub correlation_overwritten: u64,
    /// Requests with a correlation header that is no well-formed ID.
    pub correlation_malformed: u64,
    /// Bad or not yet verifiable tokens that a public route ignored.
    pub dropped_tokens: u64,
    /// Verified tokens by key ID.
    pub kids: Vec<(String, u64)>,
    /// Seconds between a token's issue and its first use here.
    pub edge_delays: Vec<u64>,
}

impl Counters {
    /// For a table with that many routes.
    #[must_use]
    pub fn new(routes: usize) -> Self {
        Self {
            routes: vec![[0; 3]; routes.min(COUNTED_ROUTES)],
            ..Self::default()
        }
    }

    /// Counts what a request came to.
    pub fn count(&mut self, verdict: Verdict, route: Option<usize>) {
        let (column, cell) = match verdict {
            Verdict::Allow => (0, Some(&mut self.allowed)),
            Verdict::Deny(reason) => (1, self.denied.get_mut(reason as usize)),
            Verdict::Shadow(reason) => (2, self.shadowed.get_mut(reason as usize)),
        };
        add_one(cell);
        let row = route.and_then(|route| self.routes.get_mut(route));
        add_one(row.and_then(|row| row.get_mut(column)));
    }

    /// Counts a verified token by its key.
    pub fn kid(&mut self, kid: Option<&str>) {
        let kid = kid.unwrap_or("-");
        if let Some((_, count)) = self.kids.iter_mut().find(|(known, _)| known == kid) {
            add_one(Some(count));
        } else if self.kids.len() < MAX_KIDS {
            self.kids.push((kid.to_owned(), 1));
        }
    }

    /// Notes how long a token took from the edge to here.
    pub fn delay(&mut self, seconds: u64) {
        if self.edge_delays.len() < MAX_DELAYS {
            self.edge_delays.push(seconds);
        }
    }

    /// The numbers so far; counting starts anew.
    pub fn take(&mut self) -> Self {
        let routes = self.routes.len();
        std::mem::replace(self, Self::new(routes))
    }
}

/// Adds one, where there is something to add to.
pub fn add_one(cell: Option<&mut u64>) {
    if let Some(cell) = cell {
        *cell = cell.saturating_add(1);
    }
}
