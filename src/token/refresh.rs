//! When to fetch an issuer's keys, decided by all workers together.
//!
//! The workers share two records for each issuer: the key set that was fetched last, and this plan,
//! which says who may fetch next and when. A worker reads the plan, changes it, and writes it back
//! only if nobody was faster (compare and swap), so N workers make one fetch. Pure: the proxy moves
//! the bytes.

/// Fetches that unknown key IDs may cause at once.
const BURST: u32 = 3;

/// Milliseconds until a used-up fetch for an unknown key ID is given back.
const REFILL: u64 = 10_000;

/// The longest pause after a failed fetch, in milliseconds.
const MAX_BACKOFF: u64 = 30_000;

/// How much longer than its timeout a fetch keeps others from starting one, in milliseconds.
const GRACE: u64 = 1_000;

/// Why to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It is time again, or there is no key set yet.
    Due,
    /// A request waits for a key ID that no key set has.
    UnknownKid,
}

/// What the workers agree on about the fetches of one issuer. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    /// Nobody else fetches before.
    pub lease_until: u64,
    /// No fetch before, since the last ones failed.
    pub not_before: u64,
    /// How many fetches failed since the last that did not.
    pub failures: u32,
    /// How many fetches for unknown key IDs were made and not yet given back.
    pub spent: u32,
    /// When the last of them was given back.
    pub refilled_at: u64,
}

/// A fetched key set as the workers share it: when its fetch began and ended, in milliseconds since
/// 1970, and the answer's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// When the fetch was started: what it lacks did not exist then.
    pub started_at: u64,
    /// When the answer was there.
    pub fetched_at: u64,
    /// The body, which was a valid key set.
    pub body: Vec<u8>,
}

impl Plan {
    /// Takes the lease for a fetch, if one may start now. The caller shares the changed plan, and
    /// fetches if nobody was faster.
    pub fn start(&mut self, cause: Cause, now: u64, timeout: u64) -> bool {
        if now < self.lease_until || now < self.not_before {
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

    /// Whether a request that needs a fetch for an unknown key ID would get one: the budget allows it,
    /// or one is under way whose result will tell.
    #[must_use]
    pub fn allows_unknown_kid(&self, now: u64) -> bool {
        let mut plan = *self;
        plan.refill(now);
        now >= plan.not_before && plan.spent < BURST
    }

    /// A fetch brought a key set.
    pub fn succeeded(&mut self) {
        self.lease_until = 0;
        self.not_before = 0;
        self.failures = 0;
    }

    /// A fetch brought none: the next one waits, twice as long each time.
    pub fn failed(&mut self, now: u64) {
        self.lease_until = 0;
        let pause = 500_u64
            .checked_shl(self.failures.min(16))
            .unwrap_or(MAX_BACKOFF);
        self.not_before = now.saturating_add(pause.min(MAX_BACKOFF));
        self.failures = self.failures.saturating_add(1);
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
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        for time in [self.lease_until, self.not_before, self.refilled_at] {
            bytes.extend_from_slice(&time.to_le_bytes());
        }
        for count in [self.failures, self.spent] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes
    }

    /// The plan in shared bytes; what can't be read is a new plan.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let read = || {
            let (lease_until, rest) = split_u64(bytes)?;
            let (not_before, rest) = split_u64(rest)?;
            let (refilled_at, rest) = split_u64(rest)?;
            let (failures, rest) = rest.split_first_chunk::<4>()?;
            let (spent, _) = rest.split_first_chunk::<4>()?;
            Some(Self {
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
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len().saturating_add(16));
        bytes.extend_from_slice(&self.started_at.to_le_bytes());
        bytes.extend_from_slice(&self.fetched_at.to_le_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The set in shared bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (started_at, rest) = split_u64(bytes)?;
        let (fetched_at, body) = split_u64(rest)?;
        Some(Self {
            started_at,
            fetched_at,
            body: body.to_vec(),
        })
    }
}

/// When a set is to be fetched anew, in milliseconds since 1970: up to a tenth of the refresh time
/// early, by a random share of 256, so that many proxies do not come at once.
#[must_use]
pub fn due_at(fetched_at: u64, refresh: u64, random: u8) -> u64 {
    let early = refresh
        .saturating_mul(u64::from(random))
        .checked_div(2_560)
        .unwrap_or_default();
    fetched_at.saturating_add(refresh).saturating_sub(early)
}

fn split_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_keeps_others_out_until_it_expires() {
        let mut plan = Plan::default();
        assert!(plan.start(Cause::Due, 1_000, 2_000));
        assert!(!plan.start(Cause::Due, 3_999, 2_000));
        assert!(!plan.start(Cause::UnknownKid, 3_999, 2_000));
        // Its holder never came back.
        assert!(plan.start(Cause::Due, 4_000, 2_000));
    }

    #[test]
    fn unknown_kids_cause_three_fetches_and_then_one_in_ten_seconds() {
        let mut plan = Plan::default();
        let mut fetches = 0;
        for now in (100_000..160_000).step_by(10) {
            if plan.start(Cause::UnknownKid, now, 0) {
                fetches += 1;
                plan.succeeded();
            }
        }
        assert_eq!(fetches, 3 + 5);
        assert!(!plan.allows_unknown_kid(159_999));
        assert!(
            plan.start(Cause::Due, 160_000, 0),
            "the regular refresh has no part in that budget"
        );
        plan.succeeded();
        assert!(plan.allows_unknown_kid(500_000));
        plan.refill(500_000);
        assert_eq!(plan.spent, 0);
    }

    #[test]
    fn failures_are_retried_ever_more_slowly() {
        let mut plan = Plan::default();
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert!(plan.start(Cause::Due, now, 100));
            plan.failed(now);
            pauses.push(plan.not_before - now);
            assert!(!plan.start(Cause::Due, plan.not_before - 1, 100));
            now = plan.not_before;
        }
        assert_eq!(
            pauses,
            [
                500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000
            ]
        );
        plan.succeeded();
        assert_eq!(plan.failures, 0);
    }

    #[test]
    fn what_is_shared_comes_back_as_it_was() {
        let plan = Plan {
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
    fn a_refresh_comes_up_to_a_tenth_early() {
        assert_eq!(due_at(1_000, 1_000, 0), 2_000);
        assert_eq!(due_at(1_000, 1_000, 255), 1_901);
        assert_eq!(due_at(u64::MAX, u64::MAX, 255), u64::MAX - u64::MAX / 2_560);
    }
}
