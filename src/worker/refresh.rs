//! Coordinates the fetches of an issuer's keys among all workers.
//!
//! The workers share two records for each issuer: the last fetched key set, and this plan, which identifies
//! that set and says when the next fetch may start. Workers change the plan by compare-and-swap, so that
//! only one of them fetches. This module makes no host calls; see `key_sources`.
//!
//! The wall clock can be set back: a time that is too far in the future for any change of the plan is
//! ignored.

/// The maximum number of fetches for unknown key IDs in a burst.
const BURST: u32 = 3;

/// The interval in milliseconds at which one more fetch for an unknown key ID is allowed.
const REFILL: u64 = 10_000;

/// The longest pause after a failed fetch, in milliseconds.
const MAX_BACKOFF: u64 = 30_000;

/// How much longer than its timeout the lease of a fetch lasts, in milliseconds.
const GRACE: u64 = 1_000;

/// Why to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The refresh is due, or there is no key set yet.
    Due,
    /// A request waits for a key ID that no key set has.
    UnknownKid,
}

/// The shared state of the fetches of one issuer. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// The start time of the fetch of the shared key set; 0 if there is none yet.
    pub fetched: u64,
    /// Until then, no other worker may start a fetch.
    pub lease_until: u64,
    /// Until then, no fetch may start because the last one failed.
    pub not_before: u64,
    /// The number of consecutive failed fetches.
    pub failures: u32,
    /// The number of fetches for unknown key IDs that are used up.
    pub spent: u32,
    /// When `spent` was last reduced.
    pub refilled_at: u64,
}

/// A fetched key set as the workers share it. Times are in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// When the fetch started: a key that is not in the set did not exist then.
    pub started_at: u64,
    /// When the response arrived.
    pub fetched_at: u64,
    /// The body of the response, a valid key set.
    pub body: Vec<u8>,
}

impl Plan {
    /// Takes the lease for a fetch, if one may start now. `known` is the shared set that the caller has
    /// read: if there is a newer one, it must read that first. The caller fetches once it has stored the
    /// changed plan.
    pub(crate) fn start(&mut self, cause: Cause, known: u64, now: u64, timeout: u64) -> bool {
        if self.fetched != known || self.leased(now, timeout) || self.pause(now) > 0 {
            return false;
        }
        if cause == Cause::UnknownKid {
            self.refill(now);
            if self.spent >= BURST {
                return false;
            }
            self.spent = self.spent.saturating_add(1);
        }
        self.lease_until = now.saturating_add(timeout).saturating_add(GRACE);
        true
    }

    /// Whether a fetch is in progress or could start within `max_wait` milliseconds.
    pub(crate) fn fetch_possible(
        &self,
        cause: Cause,
        now: u64,
        timeout: u64,
        max_wait: u64,
    ) -> bool {
        let mut plan = *self;
        plan.refill(now);
        let allowed = cause == Cause::Due || plan.spent < BURST;
        self.leased(now, timeout) || (allowed && self.pause(now) < max_wait)
    }

    /// Records a successful fetch that started at `started_at`; `false` if there is a newer set.
    pub(crate) fn succeeded(&mut self, started_at: u64, now: u64) -> bool {
        if self.fetched > started_at && self.fetched <= now {
            return false;
        }
        self.fetched = started_at;
        self.lease_until = 0;
        self.not_before = 0;
        self.failures = 0;
        true
    }

    /// Records a failed fetch; the pause until the next one doubles each time.
    pub(crate) fn failed(&mut self, now: u64) {
        self.lease_until = 0;
        let pause = 500_u64
            .checked_shl(self.failures.min(16))
            .unwrap_or(MAX_BACKOFF);
        self.not_before = now.saturating_add(pause.min(MAX_BACKOFF));
        self.failures = self.failures.saturating_add(1);
    }

    /// Releases the lease of a fetch that was cancelled.
    pub(crate) fn abandoned(&mut self) {
        self.lease_until = 0;
    }

    fn leased(&self, now: u64, timeout: u64) -> bool {
        ahead(self.lease_until, now, timeout.saturating_add(GRACE)) > 0
    }

    /// Milliseconds until a fetch may start again after one that failed.
    fn pause(&self, now: u64) -> u64 {
        ahead(self.not_before, now, MAX_BACKOFF)
    }

    fn refill(&mut self, now: u64) {
        if self.spent == 0 || self.refilled_at > now {
            self.refilled_at = now;
        }
        let elapsed = now.saturating_sub(self.refilled_at);
        let back = elapsed.checked_div(REFILL).unwrap_or_default();
        self.spent = self
            .spent
            .saturating_sub(u32::try_from(back).unwrap_or(u32::MAX));
        self.refilled_at = self.refilled_at.saturating_add(back.saturating_mul(REFILL));
    }

    /// The plan as shared bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        for time in [
            self.fetched,
            self.lease_until,
            self.not_before,
            self.refilled_at,
        ] {
            bytes.extend_from_slice(&time.to_le_bytes());
        }
        for count in [self.failures, self.spent] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes
    }

    /// The plan in shared bytes; a new plan if they cannot be decoded.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let read = || {
            let (fetched, rest) = split_u64(bytes)?;
            let (lease_until, rest) = split_u64(rest)?;
            let (not_before, rest) = split_u64(rest)?;
            let (refilled_at, rest) = split_u64(rest)?;
            let (failures, rest) = rest.split_first_chunk::<4>()?;
            let (spent, _) = rest.split_first_chunk::<4>()?;
            Some(Self {
                fetched,
                lease_until,
                not_before,
                refilled_at,
                failures: u32::from_le_bytes(*failures),
                spent: u32::from_le_bytes(*spent),
            })
        };
        read().unwrap_or_default()
    }
}

impl Fetched {
    /// The set as shared bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len().saturating_add(16));
        bytes.extend_from_slice(&self.started_at.to_le_bytes());
        bytes.extend_from_slice(&self.fetched_at.to_le_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The set in shared bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (started_at, rest) = split_u64(bytes)?;
        let (fetched_at, body) = split_u64(rest)?;
        Some(Self {
            started_at,
            fetched_at,
            body: body.to_vec(),
        })
    }
}

/// When a set must be fetched again; immediately by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Due {
    at: u64,
    refresh: u64,
}

impl Due {
    /// `refresh` milliseconds after `fetched_at` (milliseconds since 1970), minus a jitter of up to a tenth
    /// (`random` of 256) so that many proxies do not fetch at the same time.
    pub(crate) fn after(fetched_at: u64, refresh: u64, random: u8) -> Self {
        let early = refresh
            .saturating_mul(u64::from(random))
            .checked_div(2_560)
            .unwrap_or_default();
        let at = fetched_at.saturating_add(refresh).saturating_sub(early);
        Self { at, refresh }
    }

    pub(crate) fn has_come(&self, now: u64) -> bool {
        ahead(self.at, now, self.refresh) == 0
    }
}

/// How far a time is in the future, in milliseconds; 0 if that is more than `furthest`.
fn ahead(time: u64, now: u64, furthest: u64) -> u64 {
    let ahead = time.saturating_sub(now);
    if ahead <= furthest { ahead } else { 0 }
}

fn split_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_prevents_other_fetches_until_it_expires() {
        let mut plan = Plan::default();
        assert!(plan.start(Cause::Due, 0, 1_000, 2_000));
        assert!(!plan.start(Cause::Due, 0, 3_999, 2_000));
        assert!(!plan.start(Cause::UnknownKid, 0, 3_999, 2_000));
        // The lease has expired.
        assert!(plan.start(Cause::Due, 0, 4_000, 2_000));
        // Its holder has released it.
        plan.abandoned();
        assert!(plan.start(Cause::Due, 0, 4_001, 2_000));
    }

    #[test]
    fn a_worker_installs_the_newest_shared_set_before_it_fetches() {
        let mut plan = Plan::default();
        assert!(plan.start(Cause::Due, 0, 1_000, 2_000));
        assert!(plan.succeeded(1_000, 1_010));
        assert!(!plan.start(Cause::Due, 0, 1_020, 2_000));
        assert!(plan.start(Cause::Due, 1_000, 1_020, 2_000));
    }

    #[test]
    fn a_late_response_does_not_replace_a_newer_set() {
        let mut plan = Plan::default();
        assert!(plan.start(Cause::Due, 0, 1_000, 100));
        assert!(plan.start(Cause::Due, 0, 2_100, 100));
        assert!(plan.succeeded(2_100, 2_110));
        assert!(!plan.succeeded(1_000, 2_120));
        assert_eq!(plan.fetched, 2_100);
        // Unless the newer one was fetched in the future: the clock was set back.
        assert!(plan.succeeded(1_000, 1_050));
        assert_eq!(plan.fetched, 1_000);
    }

    #[test]
    fn unknown_kids_cause_three_fetches_and_then_one_every_ten_seconds() {
        let mut plan = Plan::default();
        let mut fetches = 0;
        for now in (100_000..160_000).step_by(10) {
            if plan.start(Cause::UnknownKid, plan.fetched, now, 0) {
                fetches += 1;
                assert!(plan.succeeded(now, now));
            }
        }
        assert_eq!(fetches, 3 + 5);
        assert!(!plan.fetch_possible(Cause::UnknownKid, 159_999, 0, 1_000));
        assert!(
            plan.start(Cause::Due, plan.fetched, 160_000, 0),
            "the regular refresh does not depend on the limit for unknown key IDs"
        );
        assert!(plan.succeeded(160_000, 160_000));
        assert!(plan.fetch_possible(Cause::UnknownKid, 500_000, 0, 1_000));
        plan.refill(500_000);
        assert_eq!(plan.spent, 0);
    }

    #[test]
    fn a_fetch_is_possible_if_it_can_start_in_time() {
        let mut plan = Plan::default();
        assert!(plan.fetch_possible(Cause::Due, 1_000, 100, 2_000));
        assert!(plan.start(Cause::UnknownKid, 0, 1_000, 100));
        plan.spent = BURST;
        // The fetch in progress may bring the key.
        assert!(plan.fetch_possible(Cause::UnknownKid, 1_050, 100, 2_000));
        assert!(plan.succeeded(1_000, 1_060));
        assert!(!plan.fetch_possible(Cause::UnknownKid, 1_070, 100, 2_000));
        for _ in 0..4 {
            plan.failed(1_100);
        }
        // A pause of 4 s.
        assert!(!plan.fetch_possible(Cause::Due, 1_200, 100, 2_000));
        assert!(plan.fetch_possible(Cause::Due, 3_200, 100, 2_000));
    }

    #[test]
    fn failures_are_retried_with_exponential_backoff() {
        let mut plan = Plan::default();
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert!(plan.start(Cause::Due, 0, now, 100));
            plan.failed(now);
            pauses.push(plan.not_before - now);
            assert!(!plan.start(Cause::Due, 0, plan.not_before - 1, 100));
            now = plan.not_before;
        }
        assert_eq!(
            pauses,
            [
                500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000
            ]
        );
        assert!(plan.succeeded(now, now));
        assert_eq!(plan.failures, 0);
    }

    #[test]
    fn fetches_continue_after_the_clock_was_set_back() {
        let mut plan = Plan::default();
        assert!(plan.start(Cause::Due, 0, 10_000_000, 2_000));
        assert!(plan.start(Cause::Due, 0, 9_000_000, 2_000));
        plan.failed(10_000_000);
        assert!(plan.start(Cause::Due, 0, 9_000_000, 2_000));
        let due = Due::after(10_000_000, 300_000, 0);
        assert!(!due.has_come(10_000_000) && due.has_come(10_300_000));
        assert!(due.has_come(9_000_000));
    }

    #[test]
    fn shared_records_are_decoded_as_encoded() {
        let plan = Plan {
            fetched: 5,
            lease_until: 1,
            not_before: 2,
            failures: 3,
            spent: 4,
            refilled_at: u64::MAX,
        };
        assert_eq!(Plan::decode(&plan.encode()), plan);
        assert_eq!(Plan::decode(b"short"), Plan::default());
        let fetched = Fetched {
            started_at: 1,
            fetched_at: 2,
            body: b"{}".to_vec(),
        };
        assert_eq!(Fetched::decode(&fetched.encode()), Some(fetched));
        assert_eq!(Fetched::decode(b"short"), None);
    }

    #[test]
    fn a_refresh_is_due_up_to_a_tenth_early() {
        assert_eq!(Due::after(1_000, 1_000, 0).at, 2_000);
        assert_eq!(Due::after(1_000, 1_000, 255).at, 1_901);
        assert_eq!(
            Due::after(u64::MAX, u64::MAX, 255).at,
            u64::MAX - u64::MAX / 2_560
        );
        assert!(Due::default().has_come(1));
    }
}
