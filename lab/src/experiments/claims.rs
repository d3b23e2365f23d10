//! What an experiment says about its variants, checked against what was measured. No figure comes from anywhere else.

use std::time::Duration;

use crate::experiments::ledger::Audit;
use crate::load::{Figures, Trace};
use crate::report::model::{Breaker, Claim, Transition};
use crate::report::units;

/// A median may be this much above its healthy self and still count as unharmed: room for the noise of a busy machine.
pub const MEDIAN_TOLERANCE: f64 = 1.5;

/// No request failed in any of these phases, and there were some.
pub fn nothing_failed(what: &str, phases: &[(&str, &Figures)]) -> Claim {
    let failures: u64 = phases.iter().map(|(_, figures)| figures.failures).sum();
    let all_asked = phases.iter().all(|(_, figures)| figures.requests > 0);
    let measured: Vec<String> = phases
        .iter()
        .map(|(phase, figures)| {
            format!(
                "{phase}: {} of {} failed",
                figures.failures, figures.requests
            )
        })
        .collect();
    Claim {
        text: what.to_owned(),
        holds: failures == 0 && all_asked,
        measured: measured.join(", "),
    }
}

/// The median during the failure is at most `MEDIAN_TOLERANCE` times the healthy one.
pub fn median_unharmed(what: &str, healthy: &Figures, failing: &Figures) -> Claim {
    let text = format!("{what} is no worse than {MEDIAN_TOLERANCE} times its healthy median");
    match (healthy.median(), failing.median()) {
        (Some(healthy), Some(failing)) => Claim {
            text,
            holds: failing <= healthy * MEDIAN_TOLERANCE,
            measured: format!(
                "{} during the failure, {} healthy: {:.2} times",
                units::millis(failing),
                units::millis(healthy),
                failing / healthy
            ),
        },
        _ => Claim {
            text,
            holds: false,
            measured: "no requests to compare".to_owned(),
        },
    }
}

/// At least this share of the requests failed.
pub fn failed_at_least(what: &str, least: f64, figures: &Figures) -> Claim {
    let share = figures.failed_share();
    Claim {
        text: format!("at least {} of {what} failed", units::share(least)),
        holds: share.is_some_and(|share| share >= least),
        measured: match share {
            Some(share) => format!(
                "{} ({} of {})",
                units::share(share),
                figures.failures,
                figures.requests
            ),
            None => "no requests".to_owned(),
        },
    }
}

/// Of a long list of transitions, how many at each end are spelt out.
const SHOWN: usize = 4;
/// How many make a list long.
const LONG: usize = 12;

/// The breaker opened during the failure, tried half-open, and closed again once the dependency was back.
///
/// The log must start closed, pass only through steps that a breaker has, open between the two switches of the fault,
/// and end with OPEN, HALF_OPEN, CLOSED, the closing after the fault was switched off.
pub fn states_in_order(
    name: &str,
    transitions: &[Transition],
    fault: (Duration, Duration),
) -> Claim {
    let text =
        format!("the breaker {name} went through CLOSED, OPEN, HALF_OPEN, CLOSED in this order");
    let legal = |t: &Transition| {
        matches!(
            (t.from.as_str(), t.to.as_str()),
            ("CLOSED", "OPEN")
                | ("OPEN", "HALF_OPEN")
                | ("HALF_OPEN", "OPEN")
                | ("HALF_OPEN", "CLOSED")
        )
    };
    let joined = transitions
        .windows(2)
        .all(|pair| pair[0].to == pair[1].from && pair[0].at_s <= pair[1].at_s);
    let opened_in_time = transitions.first().is_some_and(|t| {
        t.from == "CLOSED" && (fault.0.as_secs_f64()..=fault.1.as_secs_f64()).contains(&t.at_s)
    });
    let closed_at_the_end = transitions.last().is_some_and(|t| {
        t.from == "HALF_OPEN" && t.to == "CLOSED" && t.at_s >= fault.1.as_secs_f64()
    });
    let mut measured = transitions
        .first()
        .map_or("no transition".to_owned(), |t| t.from.clone());
    for (index, transition) in transitions.iter().enumerate() {
        let near_an_end = index < SHOWN || index + SHOWN >= transitions.len();
        if near_an_end || transitions.len() <= LONG {
            measured += &format!(", {} at {}", transition.to, units::seconds(transition.at_s));
        } else if index == SHOWN {
            measured += &format!(", {} more", transitions.len() - 2 * SHOWN);
        }
    }
    if let Some(closed) = transitions.last().filter(|_| closed_at_the_end) {
        let after = closed.at_s - fault.1.as_secs_f64();
        measured += &format!(
            "; closed {} after the failure was switched off",
            units::seconds(after)
        );
    }
    Claim {
        text,
        holds: transitions.iter().all(legal) && joined && opened_in_time && closed_at_the_end,
        measured,
    }
}

/// The services log whole milliseconds: a call sent within this long of an opening may in truth have come before it.
const LOG_RESOLUTION: Duration = Duration::from_millis(2);

/// How many answers were slow, of requests sent before the breaker first opened and in each of its open periods.
///
/// An answer that took at least `slow` must have waited for the dependency, as an open breaker refuses in no time. An
/// open period runs from one opening to the next; a user whose request was under way at the opening is not in it.
fn slow_answers<'a>(
    breaker: &Breaker,
    traces: impl Iterator<Item = &'a Trace>,
    slow: Duration,
) -> (usize, Vec<usize>) {
    let openings: Vec<f64> = breaker
        .transitions
        .iter()
        .filter(|t| t.to == "OPEN")
        .map(|t| t.at_s)
        .collect();
    let (mut before, mut per_period) = (0, vec![0; openings.len()]);
    for trace in traces.filter(|trace| trace.latency >= slow) {
        let sent = trace.started.as_secs_f64() - LOG_RESOLUTION.as_secs_f64();
        match openings.iter().rposition(|opening| sent >= *opening) {
            Some(period) => per_period[period] += 1,
            None => before += 1,
        }
    }
    (before, per_period)
}

/// After the breaker first opened, each open period let at most one call through to be slow: its trial. That is checked
/// from outside, by what users waited, and inside, by the trials that failed.
pub fn one_slow_call_a_period<'a>(
    breaker: &Breaker,
    traces: impl Iterator<Item = &'a Trace>,
    slow: Duration,
) -> Claim {
    let (before, per_period) = slow_answers(breaker, traces, slow);
    let periods = per_period.len();
    Claim {
        text: format!(
            "after the breaker opened, at most one call an open period was slow ({} or more)",
            units::millis(slow.as_secs_f64() * 1000.0)
        ),
        holds: periods > 0
            && per_period.iter().all(|calls| *calls <= 1)
            && breaker.trials_failed <= periods as u64,
        measured: format!(
            "{periods} open periods, {} failed trials, at most {} slow answers in one; {before} requests were under way \
             when it first opened",
            breaker.trials_failed,
            per_period.iter().max().unwrap_or(&0),
        ),
    }
}

/// After the breaker first opened, no user was slowed down, not even by a trial.
pub fn nobody_waits_for_a_trial<'a>(
    breaker: &Breaker,
    traces: impl Iterator<Item = &'a Trace>,
    slow: Duration,
) -> Claim {
    let (_, per_period) = slow_answers(breaker, traces, slow);
    let waited: usize = per_period.iter().sum();
    let trials = breaker.trials_failed + breaker.trials_succeeded;
    Claim {
        text: "no user waited for a trial of the breaker".to_owned(),
        holds: waited == 0 && trials > 0,
        measured: format!("{trials} trials, {waited} users waited"),
    }
}

/// Every acknowledged write is there, once.
pub fn nothing_lost(audits: &[(&str, Audit)]) -> Claim {
    let measured: Vec<String> = audits
        .iter()
        .map(|(label, audit)| {
            format!(
                "{label}: {} adds acknowledged in {} carts, {} missing, {} too many",
                audit.acknowledged, audit.carts, audit.missing, audit.surplus
            )
        })
        .collect();
    Claim {
        text: "afterwards every acknowledged add was in its cart, and none was in it twice"
            .to_owned(),
        holds: audits
            .iter()
            .all(|(_, audit)| audit.carts > 0 && audit.missing == 0 && audit.surplus == 0),
        measured: measured.join("; "),
    }
}

/// Nearly every request failed or took the dependency's hang.
pub fn failed_or_hung<'a>(
    what: &str,
    traces: impl Iterator<Item = &'a Trace>,
    hang: Duration,
) -> Claim {
    // A request sent just before the switch goes off may arrive after it.
    const LEAST: f64 = 0.98;
    let (mut all, mut failed, mut hung) = (0u64, 0u64, 0u64);
    for trace in traces {
        all += 1;
        failed += u64::from(trace.failed);
        hung += u64::from(!trace.failed && trace.latency >= hang.mul_f64(0.9));
    }
    Claim {
        text: format!(
            "{what} failed or took the whole hang (at least {} of them)",
            units::share(LEAST)
        ),
        holds: all > 0 && (failed + hung) as f64 >= LEAST * all as f64,
        measured: format!("{failed} failed and {hung} took the hang, of {all}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::load::Latency;

    fn figures(requests: u64, failures: u64, median: f64) -> Figures {
        let latency = Latency {
            median,
            p95: median,
            p99: median,
            mean: median,
            min: median,
            max: median,
        };
        Figures {
            requests,
            failures,
            degraded: 0,
            latency: (requests > 0).then_some(latency),
            mean_bytes: None,
            requests_per_second: 0.0,
            failures_per_second: 0.0,
            reasons: BTreeMap::new(),
        }
    }

    fn log(steps: &[(&str, f64)]) -> Vec<Transition> {
        let mut from = "CLOSED";
        let mut transitions = Vec::new();
        for (to, at_s) in steps {
            let (from_text, to_text) = (from.to_owned(), (*to).to_owned());
            transitions.push(Transition {
                from: from_text,
                to: to_text,
                at_unix_ms: 0.0,
                at_s: *at_s,
                cause: None,
            });
            from = to;
        }
        transitions
    }

    fn breaker(steps: &[(&str, f64)], trials_failed: u64) -> Breaker {
        Breaker {
            name: "recommendations".into(),
            process: "v2".into(),
            variant: "v2",
            refused: 0,
            trials_succeeded: 0,
            trials_failed,
            transitions: log(steps),
            observed: vec![],
        }
    }

    const SLOW: Duration = Duration::from_millis(900);

    fn trace(started: f64, latency: f64, failed: bool) -> Trace {
        Trace {
            variant: 1,
            started: Duration::from_secs_f64(started),
            latency: Duration::from_secs_f64(latency),
            failed,
        }
    }

    const FAULT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(30));

    #[test]
    fn one_failure_is_a_failure_and_so_is_silence() {
        let (good, bad, none) = (
            figures(100, 0, 5.0),
            figures(100, 1, 5.0),
            figures(0, 0, 0.0),
        );
        assert!(nothing_failed("x", &[("failure", &good), ("recovery", &good)]).holds);
        assert!(!nothing_failed("x", &[("failure", &good), ("recovery", &bad)]).holds);
        assert!(!nothing_failed("x", &[("failure", &none)]).holds);
        assert_eq!(
            nothing_failed("x", &[("failure", &bad)]).measured,
            "failure: 1 of 100 failed"
        );
    }

    #[test]
    fn the_median_may_grow_by_half() {
        let healthy = figures(10, 0, 10.0);
        assert!(median_unharmed("x", &healthy, &figures(10, 0, 15.0)).holds);
        assert!(!median_unharmed("x", &healthy, &figures(10, 0, 15.1)).holds);
        assert!(!median_unharmed("x", &healthy, &figures(0, 0, 0.0)).holds);
        assert!(!median_unharmed("x", &figures(0, 0, 0.0), &healthy).holds);
    }

    #[test]
    fn a_failed_share_has_a_floor() {
        assert!(failed_at_least("adds", 0.6, &figures(10, 6, 1.0)).holds);
        assert!(!failed_at_least("adds", 0.6, &figures(10, 5, 1.0)).holds);
        assert!(!failed_at_least("adds", 0.6, &figures(0, 0, 1.0)).holds);
    }

    #[test]
    fn the_states_must_come_in_order_and_at_the_right_time() {
        let holds = |steps: &[(&str, f64)]| states_in_order("product", &log(steps), FAULT).holds;
        assert!(holds(&[
            ("OPEN", 11.0),
            ("HALF_OPEN", 31.0),
            ("CLOSED", 31.1)
        ]));
        assert!(holds(&[
            ("OPEN", 11.0),
            ("HALF_OPEN", 19.0),
            ("OPEN", 20.0),
            ("HALF_OPEN", 31.0),
            ("CLOSED", 31.1)
        ]));
        assert!(!holds(&[]));
        assert!(!holds(&[("OPEN", 11.0)]), "never recovered");
        assert!(
            !holds(&[("OPEN", 11.0), ("CLOSED", 31.0)]),
            "skipped the trial"
        );
        assert!(
            !holds(&[("OPEN", 5.0), ("HALF_OPEN", 31.0), ("CLOSED", 31.1)]),
            "opened while healthy"
        );
        assert!(
            !holds(&[("OPEN", 11.0), ("HALF_OPEN", 20.0), ("CLOSED", 20.1)]),
            "closed during the failure"
        );
    }

    #[test]
    fn a_long_sequence_is_shown_by_its_ends() {
        let mut steps = vec![("OPEN", 11.0)];
        for second in 12..25 {
            steps.extend([
                ("HALF_OPEN", f64::from(second)),
                ("OPEN", f64::from(second) + 0.5),
            ]);
        }
        steps.extend([("HALF_OPEN", 31.0), ("CLOSED", 31.1)]);
        let claim = states_in_order("product", &log(&steps), FAULT);
        assert!(claim.holds);
        assert!(
            claim
                .measured
                .starts_with("CLOSED, OPEN at 11 s, HALF_OPEN at 12 s"),
            "{}",
            claim.measured
        );
        assert!(claim.measured.contains(", 21 more, "), "{}", claim.measured);
        assert!(
            claim
                .measured
                .ends_with("closed 1.1 s after the failure was switched off"),
            "{}",
            claim.measured
        );
    }

    #[test]
    fn a_gap_in_the_log_is_not_a_sequence() {
        let mut transitions = log(&[("OPEN", 11.0), ("HALF_OPEN", 31.0), ("CLOSED", 31.1)]);
        transitions.remove(1);
        assert!(!states_in_order("product", &transitions, FAULT).holds);
    }

    #[test]
    fn one_slow_call_in_each_open_period_and_no_more() {
        let mut breaker = breaker(
            &[
                ("OPEN", 11.0),
                ("HALF_OPEN", 16.0),
                ("OPEN", 17.0),
                ("HALF_OPEN", 22.0),
            ],
            2,
        );
        let mut traces: Vec<Trace> = (0..50)
            .map(|n| trace(10.0 + f64::from(n) / 60.0, 1.0, false))
            .collect();
        traces.extend([
            trace(16.0, 1.0, false),
            trace(22.0, 1.0, false),
            trace(18.0, 0.002, false),
        ]);
        let check = |breaker: &Breaker, traces: &[Trace]| {
            one_slow_call_a_period(breaker, traces.iter(), SLOW)
        };
        let claim = check(&breaker, &traces);
        assert!(claim.holds, "{claim:?}");
        assert!(
            claim.measured.contains("2 open periods") && claim.measured.contains("50 requests"),
            "{claim:?}"
        );
        breaker.trials_failed = 3;
        assert!(
            !check(&breaker, &traces).holds,
            "a trial that no user saw counts too"
        );
        breaker.trials_failed = 2;
        traces.push(trace(16.5, 1.0, false));
        assert!(!check(&breaker, &traces).holds);
        assert!(
            !check(&self::breaker(&[], 0), &traces).holds,
            "never opened"
        );
    }

    #[test]
    fn a_user_who_waits_for_a_trial_is_noticed() {
        let breaker = breaker(&[("OPEN", 11.0), ("HALF_OPEN", 16.0), ("CLOSED", 16.1)], 1);
        let check =
            |traces: &[Trace]| nobody_waits_for_a_trial(&breaker, traces.iter(), SLOW).holds;
        assert!(check(&[trace(10.5, 1.0, false), trace(16.0, 0.002, false)]));
        assert!(!check(&[trace(16.0, 1.0, false)]));
        assert!(
            !nobody_waits_for_a_trial(&self::breaker(&[], 0), [].iter(), SLOW).holds,
            "there was no trial"
        );
    }

    #[test]
    fn one_lost_add_is_too_many() {
        let audit = Audit {
            carts: 24,
            acknowledged: 100,
            missing: 0,
            surplus: 0,
        };
        assert!(nothing_lost(&[("a", audit), ("b", audit)]).holds);
        assert!(
            !nothing_lost(&[
                ("a", audit),
                (
                    "b",
                    Audit {
                        missing: 1,
                        ..audit
                    }
                )
            ])
            .holds
        );
        assert!(
            !nothing_lost(&[(
                "a",
                Audit {
                    surplus: 1,
                    ..audit
                }
            )])
            .holds
        );
        assert!(
            !nothing_lost(&[("a", Audit::default())]).holds,
            "nobody looked"
        );
    }

    #[test]
    fn hanging_counts_as_harm_like_failing() {
        let hang = Duration::from_secs(3);
        let check = |traces: &[Trace]| failed_or_hung("requests", traces.iter(), hang).holds;
        assert!(check(&[trace(0.0, 0.1, true), trace(0.0, 3.0, false)]));
        assert!(!check(&[trace(0.0, 0.1, true), trace(0.0, 1.0, false)]));
        assert!(!check(&[]));
    }
}
