//! How an algorithm that compares latencies learns what it should compare with: the latency of the dependency while nothing queues
//! in it.
//!
//! A standing queue cannot be told from a slow dependency by looking at latencies alone, and an algorithm that takes what it sees
//! for usual makes room for the queue it sees, and so on upwards. So from time to time the limit is halved for two windows: in
//! the first what queued drains away, in the second the latency is measured. If that is more than last time, and fell about as
//! the limit did, then most of it was queue and still is; the limit is halved again, until that no longer helps. The idea is
//! BBR's (`ProbeRTT`; Cardwell and others, *BBR: Congestion-Based Congestion Control*, 2016), and Envoy's gradient controller
//! does the like.

use super::Sample;

/// A latency that fell to less than this share when the limit was halved may still be made of queue: then it would have fallen to
/// a half, were it not for chance.
const STILL_QUEUEING: f64 = 0.75;
/// A latency within this of the one found last time differs by chance, and is averaged with it. Beyond, it replaces it, and is
/// looked at again soon.
const SAME: f64 = 0.2;
/// The weight of the latest in that average.
const WEIGHT: f64 = 0.25;
/// A latency up to this many times the one found last time confirms it.
const CONFIRMS: f64 = 1.1;

#[derive(Debug, Clone)]
pub(super) struct Probe {
    every: u32,
    state: State,
    // The latency that the last probe found.
    found: Option<f64>,
    // The limit after the last probe. If half of it is gone, it is time to see whether that is right.
    went_on_with: f64,
    // Spreads the probes of many clients; see `wait`.
    mixed: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    // So many windows until the next probe.
    Waiting(u32),
    Draining(Halved),
    Measuring(Halved),
}

#[derive(Debug, Clone, Copy)]
struct Halved {
    // What the limit was before the probe, and what it is now.
    from: f64,
    to: f64,
    // The latency before the last halving.
    rtt: f64,
}

/// What a window means to the algorithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// Go on as usual.
    Adapt,
    /// Use this limit, and learn nothing from the sample.
    Probe(f64),
    /// The latency in nanoseconds while nothing queues, and the limit to go on with.
    Measured { rtt: f64, limit: f64 },
}

impl Probe {
    /// The first probe comes after so many windows, the next ones after about `every`.
    pub(super) fn new(first: u32, every: u32) -> Self {
        Self {
            every,
            state: State::Waiting(first),
            found: None,
            went_on_with: 0.0,
            mixed: 0,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        !matches!(self.state, State::Waiting(_))
    }

    /// Looks at a window without a drop.
    pub(super) fn step(&mut self, limit: f64, min: f64, sample: &Sample) -> Step {
        let rtt = sample.nanos();
        self.mixed = (self.mixed ^ rtt.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match self.state {
            State::Waiting(windows) if windows > 0 && limit >= self.went_on_with / 2.0 => {
                self.state = State::Waiting(windows - 1);
                Step::Adapt
            }
            // Half the limit would have been enough, so this window shows what it would show.
            State::Waiting(_) if sample.is_app_limited(limit as usize) => self.measured(rtt, limit),
            State::Waiting(_) => {
                let halved = Halved {
                    from: limit,
                    to: limit,
                    rtt,
                };
                self.halve(halved, min)
                    .unwrap_or_else(|| self.measured(rtt, limit))
            }
            State::Draining(halved) => {
                self.state = State::Measuring(halved);
                Step::Probe(halved.to)
            }
            State::Measuring(halved) => {
                let again = Halved { rtt, ..halved };
                let confirmed = self.found.is_some_and(|found| rtt <= found * CONFIRMS);
                let deeper = match !confirmed && rtt < halved.rtt * STILL_QUEUEING {
                    true => self.halve(again, min),
                    false => None,
                };
                // The last halving found no queue, the one before it did: what is right lies between these two limits.
                let limit = halved.from.min(halved.to * 4.0);
                deeper.unwrap_or_else(|| self.measured(rtt, limit))
            }
        }
    }

    /// Looks at a window with a drop: breaks off a probe, and gives the limit from before it.
    pub(super) fn break_off(&mut self, limit: f64) -> f64 {
        match self.state {
            State::Waiting(_) => limit,
            State::Draining(halved) | State::Measuring(halved) => {
                // Soon again: what the probe was for is still not known.
                self.state = State::Waiting(self.every / 8);
                self.went_on_with = 0.0;
                halved.from
            }
        }
    }

    // `None` if there is no room below to speak of.
    fn halve(&mut self, halved: Halved, min: f64) -> Option<Step> {
        let to = (halved.to / 2.0).max(min);
        if to.floor() > halved.to.floor() * 0.75 {
            return None;
        }
        self.state = State::Draining(Halved { to, ..halved });
        Some(Step::Probe(to))
    }

    fn measured(&mut self, rtt: f64, limit: f64) -> Step {
        let change = self.found.map_or(0.0, |found| rtt / found - 1.0);
        let rtt = match self.found {
            Some(found) if change.abs() <= SAME => found + (rtt - found) * WEIGHT,
            _ => rtt,
        };
        self.found = Some(rtt);
        self.went_on_with = limit;
        let wait = self.wait();
        self.state = State::Waiting(if change.abs() <= SAME { wait } else { wait / 4 });
        Step::Measured { rtt, limit }
    }

    // Three quarters to five quarters of `every`, by what has been measured so far: without a source of chance, and yet not the
    // same for two clients of one dependency, who would otherwise probe in step.
    fn wait(&self) -> u32 {
        let share = (self.mixed >> 40) as f64 / (1_u64 << 24) as f64;
        (f64::from(self.every) * (0.75 + share / 2.0)) as u32
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    // A dependency with so many workers that take 20 ms, and more calls than it can answer. Gives the limits of the probe, and
    // how it ended.
    fn probe(workers: f64, limit: f64, min: f64, mut probe: Probe) -> (Vec<f64>, Step, Probe) {
        let (mut now, mut limits) = (limit, Vec::new());
        loop {
            let rtt = Duration::from_secs_f64(0.02 * (now / workers).max(1.0));
            match probe.step(now, min, &Sample::new(rtt, now as usize)) {
                Step::Probe(limit) => {
                    if limit != now {
                        limits.push(limit);
                    }
                    now = limit;
                }
                end => return (limits, end, probe),
            }
        }
    }

    fn measured(step: Step) -> (f64, f64) {
        match step {
            Step::Measured { rtt, limit } => ((rtt / 1e5).round() / 10.0, limit),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_halves_until_that_no_longer_helps() {
        let (limits, end, _) = probe(40.0, 800.0, 1.0, Probe::new(0, 100));
        assert_eq!(limits, [400.0, 200.0, 100.0, 50.0, 25.0]);
        assert_eq!(measured(end), (20.0, 100.0));
        // Nothing queued: back to what it was.
        let (limits, end, _) = probe(40.0, 30.0, 1.0, Probe::new(0, 100));
        assert_eq!((limits, measured(end)), (vec![15.0], (20.0, 30.0)));
    }

    #[test]
    fn what_was_found_before_needs_no_second_look() {
        let (limits, _, mut again) = probe(40.0, 76.0, 1.0, Probe::new(0, 100));
        assert_eq!(limits, [38.0, 19.0]);
        again.state = State::Waiting(0);
        let (limits, end, _) = probe(40.0, 76.0, 1.0, again);
        assert_eq!((limits, measured(end)), (vec![38.0], (20.0, 76.0)));
    }

    #[test]
    fn without_room_below_the_present_has_to_do() {
        let (limits, end, _) = probe(5.0, 20.0, 18.0, Probe::new(0, 100));
        assert_eq!((limits, measured(end)), (vec![], (80.0, 20.0)));
        let (limits, end, _) = probe(5.0, 1.0, 1.0, Probe::new(0, 100));
        assert_eq!((limits, measured(end)), (vec![], (20.0, 1.0)));
    }

    #[test]
    fn spare_room_is_a_probe_by_itself() {
        let mut probe = Probe::new(0, 100);
        let quiet = Sample::new(Duration::from_millis(20), 10);
        assert_eq!(measured(probe.step(50.0, 1.0, &quiet)), (20.0, 50.0));
        assert!(!probe.is_running());
    }

    #[test]
    fn a_drop_breaks_it_off() {
        let mut probe = Probe::new(0, 100);
        let busy = Sample::new(Duration::from_millis(20), 50);
        assert_eq!(probe.step(50.0, 1.0, &busy), Step::Probe(25.0));
        assert_eq!(probe.break_off(25.0), 50.0);
        assert!(!probe.is_running());
        assert_eq!(probe.break_off(45.0), 45.0);
    }

    #[test]
    fn the_next_one_comes_after_about_as_many_windows_as_it_was_told() {
        let mut waits = Vec::new();
        let (_, _, mut next) = probe(40.0, 30.0, 1.0, Probe::new(0, 100));
        let busy = |chance: u64| Sample::new(Duration::from_nanos(20_000_000 + chance), 30);
        for round in 0..50 {
            let mut windows = 0;
            while next.step(30.0, 1.0, &busy(round)) == Step::Adapt {
                windows += 1;
            }
            waits.push(windows);
            while !matches!(next.step(15.0, 1.0, &busy(round)), Step::Measured { .. }) {}
        }
        assert!(
            waits.iter().all(|wait| (75..=125).contains(wait)),
            "{waits:?}"
        );
        let (least, most) = (waits.iter().min(), waits.iter().max());
        assert!(
            least < Some(&90) && most > Some(&110),
            "not spread: {waits:?}"
        );
    }

    #[test]
    fn losing_half_of_the_limit_is_reason_enough() {
        let (_, _, mut probe) = probe(40.0, 60.0, 1.0, Probe::new(0, 100));
        let busy = Sample::new(Duration::from_millis(40), 60);
        assert_eq!(probe.step(31.0, 1.0, &busy), Step::Adapt);
        assert_eq!(probe.step(29.0, 1.0, &busy), Step::Probe(14.5));
    }

    #[test]
    fn a_little_more_than_what_was_found_before_confirms_it() {
        let halved = Halved {
            from: 76.0,
            to: 38.0,
            rtt: 40e6,
        };
        let again = |found: f64, nanos: u64| {
            let mut probe = Probe::new(0, 100);
            probe.state = State::Measuring(halved);
            probe.found = Some(found);
            probe.step(38.0, 1.0, &Sample::new(Duration::from_nanos(nanos), 38))
        };
        assert!(matches!(again(20e6, 21_000_000), Step::Measured { .. }));
        assert_eq!(again(20e6, 23_000_000), Step::Probe(19.0));
        // And where it no longer falls by a quarter, halving has helped enough.
        assert!(matches!(again(10e6, 30_000_000), Step::Measured { .. }));
        assert_eq!(again(10e6, 29_999_999), Step::Probe(19.0));
    }

    #[test]
    fn what_it_finds_moves_what_it_has_found_by_a_quarter_unless_it_is_quite_another() {
        let found = |nanos: u64| {
            let mut probe = Probe::new(0, 100);
            probe.found = Some(20e6);
            let quiet = Sample::new(Duration::from_nanos(nanos), 10);
            match probe.step(50.0, 1.0, &quiet) {
                Step::Measured { rtt, .. } => (rtt, probe),
                other => panic!("{other:?}"),
            }
        };
        let waits = |probe: Probe| match probe.state {
            State::Waiting(windows) => windows,
            other => panic!("{other:?}"),
        };
        let (rtt, probe) = found(22_000_000);
        assert_eq!(rtt, 20_500_000.0);
        assert!((75..=125).contains(&waits(probe)));
        let (rtt, probe) = found(16_000_000);
        assert_eq!(rtt, 19_000_000.0);
        assert!((75..=125).contains(&waits(probe)));
        // Looked at again soon.
        let (rtt, probe) = found(30_000_000);
        assert_eq!(rtt, 30_000_000.0);
        assert!((18..=31).contains(&waits(probe)));
    }

    #[test]
    fn one_that_was_broken_off_is_made_up_for_soon() {
        let mut probe = Probe::new(0, 100);
        let busy = Sample::new(Duration::from_millis(20), 50);
        assert_eq!(probe.step(50.0, 1.0, &busy), Step::Probe(25.0));
        probe.break_off(25.0);
        for _ in 0..12 {
            assert_eq!(probe.step(50.0, 1.0, &busy), Step::Adapt);
        }
        assert_eq!(probe.step(50.0, 1.0, &busy), Step::Probe(25.0));
    }

    #[test]
    fn three_quarters_of_the_limit_is_a_probe_too() {
        let busy = Sample::new(Duration::from_millis(20), 4);
        assert_eq!(Probe::new(0, 100).step(4.0, 3.0, &busy), Step::Probe(3.0));
    }
}
