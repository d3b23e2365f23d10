//! Newcomers without end.

use std::time::{Duration, Instant};

use crate::support::breakers;

#[test]
fn a_million_keys_one_after_another_cost_the_same_each_and_leave_nothing_behind() {
    const KEYS: u64 = if cfg!(debug_assertions) {
        200_000
    } else {
        1_000_000
    };
    let registry = breakers(100);
    let mut key = String::new();
    let mut tenth = |from: u64| {
        let begin = Instant::now();
        for number in from..from + KEYS / 10 {
            use std::fmt::Write;
            key.clear();
            write!(key, "{number}").unwrap();
            registry.try_acquire(key.as_str()).unwrap().success();
        }
        begin.elapsed()
    };
    let times: Vec<Duration> = (0..10).map(|part| tenth(part * (KEYS / 10))).collect();
    let stats = registry.stats();
    assert_eq!((stats.entries as u64, stats.evicted), (100, KEYS - 100));
    assert_eq!(registry.totals().succeeded, KEYS);
    // The fastest of each half, since the machine may be busy: were it to grow with the number of those thrown out, the second
    // would be several times the first.
    let fastest = |times: &[Duration]| *times.iter().min().unwrap();
    let (early, late) = (fastest(&times[..5]), fastest(&times[5..]));
    assert!(late < 3 * early, "{times:?}");
}
