//! Times, counted by size: exact to one part in 128, however many there are.
//!
//! ```text
//! bucket     0 … 127        one nanosecond each
//!          128 … 255        the octave from 128 ns on, in 128 steps
//!          256 … 383        the octave from 256 ns on, in 128 steps
//!          ...
//! ```

use std::time::Duration;

use serde_json::{Value, json};

/// Steps of an octave, as a power of two.
const STEPS_BITS: u32 = 7;
const STEPS: u64 = 1 << STEPS_BITS;

/// See the module.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Histogram {
    /// As long as the longest time needs.
    counts: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.add_times(bucket(nanos), 1);
        self.max = self.max.max(nanos);
    }

    fn add_times(&mut self, bucket: usize, times: u64) {
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += times;
        self.count += times;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (bucket, times) in other.filled() {
            self.add_times(bucket, times);
        }
        self.max = self.max.max(other.max);
    }

    /// How many times there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The time that a share of all (0 to 1) does not exceed, in seconds; 0 where there is none.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut before = 0;
        for (bucket, times) in self.filled() {
            before += times;
            if before >= rank {
                return middle(bucket).min(self.max) as f64 / 1e9;
            }
        }
        0.0
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// In seconds, and exact.
    pub(crate) fn max(&self) -> f64 {
        self.max as f64 / 1e9
    }

    fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self.counts.iter().copied().enumerate();
        counts.filter(|(_, times)| *times > 0)
    }

    /// For another process of this program.
    pub(crate) fn to_json(&self) -> Value {
        let counts: Vec<_> = self.filled().collect();
        json!({ "counts": counts, "max": self.max })
    }

    /// What [`Self::to_json`] wrote; `None` for anything else.
    pub(crate) fn of_json(value: &Value) -> Option<Self> {
        let mut histogram = Self {
            max: value["max"].as_u64()?,
            ..Self::default()
        };
        for entry in value["counts"].as_array()? {
            let bucket = usize::try_from(entry[0].as_u64()?).ok()?;
            if bucket > self::bucket(u64::MAX) {
                return None;
            }
            histogram.add_times(bucket, entry[1].as_u64()?);
        }
        Some(histogram)
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let octave = u64::from(nanos.ilog2() - STEPS_BITS);
    ((octave + 1) * STEPS + ((nanos >> octave) - STEPS)) as usize
}

/// The middle of a bucket, in nanoseconds.
fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let octave = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS) << octave) + ((1 << octave) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        for time in times {
            histogram.add(Duration::from_nanos(time));
        }
        histogram
    }

    #[test]
    fn each_time_is_off_by_less_than_a_128th() {
        for nanos in
            (0..1000).chain((10..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, 3 << (bit - 2)]))
        {
            let found = middle(bucket(nanos));
            assert!(found.abs_diff(nanos) <= nanos / 128, "{nanos} {found}");
        }
    }

    #[test]
    fn quantiles_are_times_of_that_rank() {
        let histogram = of((1..=100).map(|time| time * 1_000_000));
        for (share, wanted) in [(0.5, 0.050), (0.9, 0.090), (0.99, 0.099), (1.0, 0.100)] {
            let found = histogram.quantile(share);
            assert!((found - wanted).abs() < wanted / 100.0, "{share} {found}");
        }
        assert_eq!(histogram.max(), 0.1);
        assert_eq!(Histogram::default().median(), 0.0);
    }

    #[test]
    fn what_was_written_is_read_back_and_merges() {
        let (one, other) = (of([5, 700, 90_000]), of([1 << 40, 6]));
        let mut both = Histogram::of_json(&one.to_json()).unwrap();
        assert_eq!(both, one);
        both.merge(&other);
        assert_eq!(both, of([5, 700, 90_000, 1 << 40, 6]));
        assert_eq!(both.count(), 5);
        for lie in [json!({}), json!({ "counts": [[u64::MAX, 1]], "max": 1 })] {
            assert_eq!(Histogram::of_json(&lie), None);
        }
    }
}
