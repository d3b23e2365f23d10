//! The windows by themselves.

use super::*;
use crate::breaker::window::{CountWindow, Mark, Tally, TimeWindow};

fn mark(failed: bool) -> Mark {
    Mark {
        failed,
        slow: false,
    }
}

// A record of something that is nothing is not told what the window holds: it can have raised no rate.
fn slow(failed: bool) -> Mark {
    Mark { failed, slow: true }
}

fn recording(
    window: &Arc<CountWindow>,
    failures: &'static [bool],
) -> impl FnOnce() -> Vec<Tally> + use<> {
    let window = window.clone();
    move || {
        failures
            .iter()
            .map(|failed| window.record(0, slow(*failed), || true).unwrap())
            .collect()
    }
}

// Window of one chunk, whose recorders overtake each other by whole laps: what each record gives must be the last `calls` results
// in some order of all of them.
#[test]
fn loom_every_record_sees_the_window_as_of_itself() {
    for calls in [1_u32, 2] {
        model(move || {
            let window = Arc::new(CountWindow::new(calls));
            window.record(0, slow(true), || true);
            let (a, b) = race(
                recording(&window, &[false]),
                recording(&window, &[true, false]),
            );
            let orders: [[bool; 3]; 3] = [
                [false, true, false],
                [true, false, false],
                [true, false, false],
            ];
            // Where the single record of the first thread stands among the two of the other.
            let possible = (0..3).any(|place| {
                let mut results = vec![true];
                let mut own = 0;
                let mut expected_a = None;
                let mut expected_b = Vec::new();
                for (at, failed) in orders[place].iter().enumerate() {
                    let is_a = at == place;
                    results.push(if is_a { false } else { *failed });
                    let last = &results[results.len().saturating_sub(calls as usize)..];
                    let tally = Tally {
                        calls: last.len() as u32,
                        failures: last.iter().filter(|failed| **failed).count() as u32,
                        slow: last.len() as u32,
                    };
                    if is_a {
                        expected_a = Some(tally);
                    } else {
                        own += 1;
                        expected_b.push(tally);
                    }
                }
                own == 2 && expected_a.as_ref() == a.first() && expected_b == b
            });
            assert!(possible, "{a:?} {b:?}");
        });
    }
}

#[test]
fn loom_a_chunk_is_written_before_its_slot_is_needed() {
    model(|| {
        // Two chunks: the second of a single result.
        let window = Arc::new(CountWindow::new(9));
        for _ in 0..8 {
            window.record(0, mark(true), || true);
        }
        race(recording(&window, &[false]), recording(&window, &[false]));
        // Nine results are in the window: one of the first has been pushed out, of which all failed.
        let expected = Tally {
            calls: 9,
            failures: 7,
            slow: 2,
        };
        assert_eq!(window.tally(), expected);
        for left in (0..7).rev() {
            window.record(0, mark(false), || true);
            assert_eq!(window.tally().failures, left);
        }
    });
}

// As a call that succeeds does it.
fn step(window: &CountWindow) {
    if !window.step(0, || true) {
        window.record(0, mark(false), || true);
    }
}

// Begun in the midst of a chunk, before the end of the ring, and at its beginning.
#[test]
fn loom_steps_and_records_push_out_what_is_oldest() {
    for before in 3..=5 {
        loom::model(move || {
            let window = Arc::new(CountWindow::new(3));
            for _ in 0..before {
                step(&window);
            }
            let (stepper, recorder) = (window.clone(), window.clone());
            let ((), tally) = race(
                move || {
                    step(&stepper);
                    step(&stepper);
                },
                move || recorder.record(0, slow(true), || true).unwrap(),
            );
            let failed = Tally {
                calls: 3,
                failures: 1,
                slow: 1,
            };
            assert_eq!((tally, window.tally()), (failed, failed));
            let pushed_out_by = (0..3).find(|_| {
                step(&window);
                window.tally().failures == 0
            });
            assert!(pushed_out_by.is_some());
            let expected = Tally {
                calls: 3,
                ..Tally::default()
            };
            assert_eq!(window.tally(), expected);
        });
    }
}

#[test]
fn loom_a_step_of_the_last_episode_leaves_nothing_in_a_cleared_window() {
    loom::model(|| {
        let window = Arc::new(CountWindow::new(3));
        for _ in 0..4 {
            step(&window);
        }
        let cleared = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let (stepper, clearer) = (window.clone(), window.clone());
        let (seen, set) = (cleared.clone(), cleared);
        race(
            move || stepper.step(0, || !seen.load(loom::sync::atomic::Ordering::Acquire)),
            move || {
                set.fetch_or(true, loom::sync::atomic::Ordering::AcqRel);
                clearer.clear(|| true);
            },
        );
        assert_eq!(window.tally(), Tally::default());
    });
}

#[test]
fn loom_two_records_at_the_turn_of_a_slice_are_both_counted() {
    model(|| {
        let window = Arc::new(TimeWindow::new(20, 2));
        window.record(5, true, u32::MAX, || true);
        let record = |window: &Arc<TimeWindow>| {
            let window = window.clone();
            move || window.record(15, true, u32::MAX, || true).unwrap().failures
        };
        let (a, b) = race(record(&window), record(&window));
        assert!(a >= 2 && b >= 2 && a.max(b) == 3, "{a} {b}");
        let settled = window.settled();
        assert_eq!((settled.calls, settled.failures), (3, 3));
    });
}

#[test]
fn loom_a_cleared_window_of_time_holds_nothing_of_what_was_under_way() {
    model(|| {
        let window = Arc::new(TimeWindow::new(20, 2));
        let cleared = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let order = loom::sync::atomic::Ordering::AcqRel;
        let (late, ()) = {
            let (recorder, clearer) = (window.clone(), window.clone());
            let (seen, set) = (cleared.clone(), cleared.clone());
            race(
                move || {
                    recorder.record(5, true, u32::MAX, || {
                        !seen.load(loom::sync::atomic::Ordering::Acquire)
                    })
                },
                move || {
                    // As the state word does: the old episode ends before the window is cleared for the new one.
                    set.fetch_or(true, order);
                    clearer.clear(|| true);
                },
            )
        };
        let _ = late;
        assert_eq!(window.tally(5).calls, 0);
        assert_eq!(window.record(5, false, u32::MAX, || true).unwrap().calls, 1);
    });
}

// A recorder of the last episode is suspended while it writes a chunk into its slot, and goes on in the midst of the next episode,
// where another writes the same slot.
#[test]
fn loom_a_late_helper_of_the_last_episode_does_not_keep_a_chunk_from_its_slot() {
    model(|| {
        let window = Arc::new(CountWindow::new(1));
        let episode = Arc::new(loom::sync::atomic::AtomicU64::new(7));
        let order = loom::sync::atomic::Ordering::AcqRel;
        window.record(7, mark(true), || true);
        let (recorder, clearer) = (window.clone(), window.clone());
        let (seen, set) = (episode.clone(), episode);
        race(
            move || {
                recorder.record(7, mark(true), || {
                    seen.load(loom::sync::atomic::Ordering::Acquire) == 7
                });
            },
            move || {
                set.swap(8, order);
                clearer.clear(|| true);
                for _ in 0..3 {
                    clearer.record(8, mark(false), || true);
                }
            },
        );
        let expected = Tally {
            calls: 1,
            failures: 0,
            slow: 0,
        };
        assert_eq!(window.tally(), expected);
    });
}

// The second of two hits sees the first, whichever of their slices they get into.
#[test]
fn loom_of_two_hits_at_the_turn_of_a_slice_one_sees_both() {
    model(|| {
        let window = Arc::new(TimeWindow::new(20, 2));
        window.record(5, false, u32::MAX, || true);
        let record = |window: &Arc<TimeWindow>, now| {
            let window = window.clone();
            move || {
                window
                    .record(now, true, u32::MAX, || true)
                    .unwrap()
                    .failures
            }
        };
        let (a, b) = race(record(&window, 6), record(&window, 15));
        assert_eq!(a.max(b), 2, "{a} {b}");
    });
}
