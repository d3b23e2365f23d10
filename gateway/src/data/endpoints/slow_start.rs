//! Slow start: an endpoint that is new, or well again, gets a share that grows to its full one, so that it can fill its caches
//! and pools.

use std::time::Duration;

use super::moment::Moment;

/// The share it begins with: with less, the first requests would be long in coming.
const FIRST: f64 = 0.1;

/// Which part of its full share an endpoint gets that joined at `since`: grows evenly from a tenth to 1 within `over`.
#[inline]
pub fn factor(since: Moment, over: Duration, now: Moment) -> f64 {
    let passed = now.since(since);
    if passed >= over {
        return 1.0;
    }
    (passed.as_secs_f64() / over.as_secs_f64()).max(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_evenly_from_a_tenth() {
        let since = Moment::from_nanos(5_000_000_000);
        let over = Duration::from_secs(20);
        let after = |seconds: f64| {
            let now = since.after(Duration::from_secs_f64(seconds));
            factor(since, over, now)
        };
        assert_eq!(after(0.0), FIRST);
        assert_eq!(after(1.0), FIRST);
        assert_eq!(after(5.0), 0.25);
        assert_eq!(after(15.0), 0.75);
        assert_eq!(after(20.0), 1.0);
        assert_eq!(after(1e6), 1.0);
    }

    #[test]
    fn without_a_time_it_is_full_at_once() {
        let now = Moment::from_nanos(7);
        assert_eq!(factor(now, Duration::ZERO, now), 1.0);
    }
}
