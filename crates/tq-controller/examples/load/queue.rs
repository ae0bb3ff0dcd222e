//! What clients would wait for a controller that serves one request after the other.

use std::time::Duration;

use crate::random::Random;

/// Median, 99th percentile and maximum.
pub(crate) fn percentiles(mut all: Vec<f64>) -> [f64; 3] {
    all.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| {
        let place = (all.len().saturating_sub(1)) as f64 * part;
        all.get(place as usize).copied().unwrap_or(0.0)
    };
    [at(0.5), at(0.99), at(1.0)]
}

/// The times from asking to being served, in seconds, where requests that take `services` arrive at
/// random moments, as often as keeps the server busy for the `load` part of the time.
pub(crate) fn responses(services: &[Duration], load: f64) -> Vec<f64> {
    let mut random = Random::new(7);
    let total: f64 = services.iter().map(Duration::as_secs_f64).sum();
    let gap = total / services.len().max(1) as f64 / load;
    let mut waits = 0.0_f64;
    let mut found = Vec::with_capacity(services.len());
    for service in services {
        waits += service.as_secs_f64();
        found.push(waits);
        // Until the next one comes, the queue is worked off.
        waits = (waits + random.unit().ln() * gap).max(0.0);
    }
    found
}
