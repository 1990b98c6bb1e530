//! Percentiles and histograms of each part's times, in a fixed amount of memory.

use hdrhistogram::Histogram;

use super::parts::{PARTS, Part, Parts};

/// The significant digits of percentiles: they are at most 1 % too high.
const DIGITS: u8 = 2;
/// The longest time that percentiles tell apart: a day, in microseconds.
const LONGEST: u64 = 24 * 60 * 60 * 1_000_000;
/// The upper ends of the histogram's buckets, in microseconds. One bucket more holds what is longer.
const BOUNDS: [u64; 24] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000,
    500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
];
/// The number of buckets.
const BUCKETS: usize = BOUNDS.len() + 1;

/// The times of all requests.
#[derive(Debug)]
pub(super) struct Latencies([Latency; PARTS]);

/// The times of one part.
#[derive(Debug)]
pub(super) struct Latency {
    /// `None` if the bounds were refused, which they are not.
    histogram: Option<Histogram<u64>>,
    buckets: [u64; BUCKETS],
    count: u64,
    max: u64,
}

/// One bucket of a histogram: times from `from` on and below `below`, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    pub from: u64,
    /// `None` for the last one.
    pub below: Option<u64>,
    pub count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Latency::default()))
    }
}

impl Latencies {
    /// Adds a request.
    pub(super) fn add(&mut self, parts: &Parts) {
        for (latency, (_, time)) in self.0.iter_mut().zip(parts.iter()) {
            if let Some(time) = time {
                latency.add(time);
            }
        }
    }

    /// The times of each part.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Part, &Latency)> {
        Part::ALL.into_iter().zip(&self.0)
    }

    /// Whether any time is known.
    pub(super) fn is_known(&self) -> bool {
        self.0.iter().any(|latency| latency.count > 0)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, LONGEST, DIGITS).ok(),
            buckets: [0; BUCKETS],
            count: 0,
            max: 0,
        }
    }
}

impl Latency {
    fn add(&mut self, micros: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound <= micros);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        self.max = self.max.max(micros);
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(micros);
        }
    }

    /// The number of requests whose time is known.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The longest time, exactly; `None` if none is known.
    pub(super) fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The time that this fraction of the requests did not exceed, at most 1 % too high; `None` if none is known.
    pub(super) fn quantile(&self, fraction: f64) -> Option<u64> {
        let histogram = self.histogram.as_ref()?;
        (self.count > 0).then(|| histogram.value_at_quantile(fraction).min(self.max))
    }

    /// The histogram's buckets, from the shortest times to the longest.
    pub(super) fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let from = std::iter::once(0).chain(BOUNDS);
        let below = BOUNDS.into_iter().map(Some).chain([None]);
        let buckets = from.zip(below).zip(self.buckets);
        buckets.map(|((from, below), count)| Bucket { from, below, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_at_most_a_hundredth_too_high() {
        let mut latency = Latency::default();
        for micros in 1..=100_000 {
            latency.add(micros);
        }
        for (fraction, exact) in [(0.5, 50_000), (0.9, 90_000), (0.99, 99_000)] {
            let found = latency.quantile(fraction).unwrap();
            assert!((exact..=exact + exact / 100).contains(&found), "{found}");
        }
        assert_eq!(latency.max(), Some(100_000));
        assert_eq!(latency.quantile(1.0), Some(100_000));
    }

    #[test]
    fn every_time_is_in_the_bucket_that_holds_it() {
        let mut latency = Latency::default();
        let times = [0, 1, 199, 200, 499, 50_000_000, u64::MAX];
        times.iter().for_each(|time| latency.add(*time));
        for bucket in latency.buckets() {
            let inside = |time: &&u64| {
                bucket.from <= **time && bucket.below.is_none_or(|below| **time < below)
            };
            let expected = times.iter().filter(inside).count();
            assert_eq!(bucket.count, u64::try_from(expected).unwrap(), "{bucket:?}");
        }
        assert_eq!(latency.max(), Some(u64::MAX));
    }

    #[test]
    fn without_times_nothing_is_known() {
        let latency = Latency::default();
        assert_eq!((latency.max(), latency.quantile(0.5)), (None, None));
        assert!(!Latencies::default().is_known());
    }
}
