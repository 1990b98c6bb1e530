//! Limits the CPU time that a worker spends on expensive signature verifications for rejected tokens.
//!
//! A forged token costs its sender nothing and costs a worker up to 4 ms (PS512 with a 4096-bit key,
//! verified in the module). This token bucket contains CPU time: each such verification takes its cost from
//! it, and it is refilled over time. While it is empty, tokens that need a new expensive verification get
//! 503 `overloaded`. Cached tokens, cheap algorithms and accepted tokens are not affected.

/// Cheaper verifications are not limited: they cost about as much as proxying a request. These are EdDSA,
/// HMAC, and P-256 and RSA on the host.
pub(super) const EXPENSIVE_MICROS: u64 = 250;

/// The refill of CPU time per millisecond: a quarter of one worker.
const REFILL_MICROS_PER_MILLI: u64 = 250;

/// The maximum CPU time of a burst.
const CAPACITY_MICROS: u64 = 250_000;

/// The bucket of one worker.
#[derive(Debug)]
pub(super) struct FailureBudget {
    spent_micros: u64,
    /// Milliseconds since 1970.
    refilled_at: u64,
}

impl FailureBudget {
    /// A full bucket.
    pub(super) fn new() -> Self {
        Self {
            spent_micros: 0,
            refilled_at: 0,
        }
    }

    /// Whether a verification with this cost may start at `now_ms` (milliseconds since 1970). If the clock was
    /// set back, nothing is refilled.
    pub(super) fn allows(&mut self, cost_micros: u64, now_ms: u64) -> bool {
        let elapsed = now_ms.saturating_sub(self.refilled_at);
        let refill = elapsed.saturating_mul(REFILL_MICROS_PER_MILLI);
        self.spent_micros = self.spent_micros.saturating_sub(refill);
        self.refilled_at = now_ms;
        cost_micros < EXPENSIVE_MICROS || self.spent_micros < CAPACITY_MICROS
    }

    /// Charges the verification of a rejected token. This may overdraw the bucket.
    pub(super) fn charge(&mut self, cost_micros: u64) {
        if cost_micros >= EXPENSIVE_MICROS {
            self.spent_micros = self.spent_micros.saturating_add(cost_micros);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    /// The CPU time in milliseconds that a constant flood of rejected tokens takes in `millis` milliseconds.
    fn flood(budget: &mut FailureBudget, cost_micros: u64, start: u64, millis: u64) -> u64 {
        let mut spent = 0;
        for now in start..start + millis {
            for _ in 0..10 {
                if budget.allows(cost_micros, now) {
                    budget.charge(cost_micros);
                    spent += cost_micros;
                }
            }
        }
        spent / 1_000
    }

    #[test]
    fn a_flood_takes_a_quarter_of_the_cpu_time() {
        for cost in [250, 600, 2_200, 3_800] {
            let mut budget = FailureBudget::new();
            // After the burst that an idle worker allows.
            flood(&mut budget, cost, NOW_MS, 2_000);
            let spent = flood(&mut budget, cost, NOW_MS + 2_000, 10_000);
            assert!((2_400..=2_510).contains(&spent), "{cost}: {spent}");
        }
    }

    #[test]
    fn a_burst_is_limited_and_refilled_within_a_second() {
        let mut budget = FailureBudget::new();
        let spent = flood(&mut budget, 3_800, NOW_MS, 1);
        assert_eq!(spent, 38);
        let spent = flood(&mut budget, 3_800, NOW_MS, 100);
        assert!((200..=250).contains(&spent), "{spent}");
        assert!(!budget.allows(3_800, NOW_MS + 99));
        assert!(budget.allows(3_800, NOW_MS + 1_200));
        let spent = flood(&mut budget, 3_800, NOW_MS + 1_200_000, 100);
        assert!((250..=280).contains(&spent), "{spent}");
    }

    #[test]
    fn cheap_verifications_are_neither_limited_nor_charged() {
        let mut budget = FailureBudget::new();
        flood(&mut budget, 3_800, NOW_MS, 1_000);
        assert!(!budget.allows(EXPENSIVE_MICROS, NOW_MS + 999));
        assert!(budget.allows(EXPENSIVE_MICROS - 1, NOW_MS + 999));
        let mut budget = FailureBudget::new();
        flood(&mut budget, EXPENSIVE_MICROS - 1, NOW_MS, 1_000);
        assert_eq!(budget.spent_micros, 0);
    }

    #[test]
    fn a_clock_that_is_set_back_neither_refills_nor_blocks_the_bucket() {
        let mut budget = FailureBudget::new();
        flood(&mut budget, 3_800, NOW_MS, 1_000);
        assert!(!budget.allows(3_800, NOW_MS - 3_600_000));
        assert!(budget.allows(3_800, NOW_MS - 3_600_000 + 1_000));
    }
}
