//! What the documentation says, as checks.

use std::ops::Range;

use crate::{
    server::{Phase, Second},
    worlds::{Played, Run},
};

pub const ADAPTIVE: [&str; 3] = ["aimd", "gradient2", "vegas"];

pub struct Claim {
    pub text: String,
    pub holds: bool,
}

pub fn all(changes: &Played, constant: &Played, hangs: &Played) -> Vec<Claim> {
    let mut claims = Vec::new();
    no_drift(constant, &mut claims);
    follows(changes, &mut claims);
    time_outs_decrease(hangs, &mut claims);
    claims
}

pub fn mean(seconds: &[Second], of: impl Fn(&Second) -> f64) -> f64 {
    seconds.iter().map(of).sum::<f64>() / seconds.len().max(1) as f64
}

/// The share of the answers that were possible.
pub fn goodput(run: &Run, phase: &Phase, time: Range<usize>) -> f64 {
    mean(&run.seconds[time], |second| f64::from(second.answered)) / phase.capacity()
}

fn no_drift(constant: &Played, claims: &mut Vec<Claim>) {
    let workers = constant.world.phases[0].workers as f64;
    for run in &constant.runs {
        let early = mean(&run.seconds[60..120], |second| second.limit);
        let late = mean(&run.seconds[240..300], |second| second.limit);
        if ADAPTIVE.contains(&run.name) {
            let near = late < 3.0 * workers;
            claims.push(Claim {
                text: format!(
                    "{}: no drift at constant overload: a limit of {early:.0} in the second minute, of {late:.0} in the fifth, with {workers} workers",
                    run.name
                ),
                holds: near && (late / early - 1.0).abs() < 0.15,
            });
        } else {
            claims.push(Claim {
                text: format!(
                    "{}: drifts: a limit of {early:.0} in the second minute, of {late:.0} in the fifth",
                    run.name
                ),
                holds: late > 1.4 * early && late > 3.0 * workers,
            });
        }
    }
}

fn follows(changes: &Played, claims: &mut Vec<Claim>) {
    for run in &changes.runs {
        let adaptive = ADAPTIVE.contains(&run.name);
        let (mut possible, mut answered, mut answers) = (0.0, 0.0, 0.0);
        for (phase, time) in changes.phases() {
            possible += phase.capacity() * time.len() as f64;
            answered += goodput(run, &phase, time.clone()) * phase.capacity() * time.len() as f64;
            answers += 1.0;
            if !adaptive {
                continue;
            }
            // The second half of each phase: whatever the change was, it is over.
            let settled = time.start + time.len() / 2..time.end;
            let share = goodput(run, &phase, settled.clone());
            let latency = mean(&run.seconds[settled], |second| second.latency_ms);
            // AIMD's bound is the latency it was given, whatever the dependency's own is.
            let bound = match run.name {
                "aimd" => 65.0,
                _ => 3.0 * phase.service_ms,
            };
            claims.push(Claim {
                text: format!(
                    "{}: from {} s on ({}), after half of the time: {:.1} % of the possible answers, {latency:.0} ms each",
                    run.name,
                    phase.from,
                    phase.name,
                    100.0 * share
                ),
                holds: share > 0.93 && latency < bound,
            });
        }
        let share = answered / possible;
        let holds = match run.name {
            "fixed 400" => share < 0.9,
            name if ADAPTIVE.contains(&name) => share > 0.93,
            _ => true,
        };
        claims.push(Claim {
            text: format!(
                "{}: {:.1} % of the answers that were possible in all {answers} phases",
                run.name,
                100.0 * share
            ),
            holds,
        });
    }
    if let Some(run) = changes.run("fixed 400")
        && let Some((phase, time)) = changes.phases().nth(1)
    {
        let share = goodput(run, &phase, time);
        claims.push(Claim {
            text: format!(
                "fixed 400: {:.1} % of the possible answers while there are {} workers",
                100.0 * share,
                phase.workers
            ),
            holds: share < 0.05,
        });
    }
}

fn time_outs_decrease(hangs: &Played, claims: &mut Vec<Claim>) {
    for run in &hangs.runs {
        let before = run.seconds[39].limit;
        let least = run.seconds[99].limit;
        let after = run.seconds[159].limit;
        claims.push(Claim {
            text: format!(
                "{}: nothing but time-outs for a minute: the limit falls from {before:.0} to {least:.0}, and is {after:.0} a minute later",
                run.name
            ),
            holds: least < 2.0 && after > 0.5 * before,
        });
    }
}
