//! Closed-loop users: one request, a pause to think, the next. A user that waits for an answer sends nothing, so a slow
//! system also gets less load; that is how people behave, and why throughput falls when answers are slow.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::Method;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::load::{Answer, CallError, Client, Outcome, Sample};

/// A request a user wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub endpoint: usize,
    pub method: Method,
    pub path: String,
    pub json: Option<Bytes>,
}

/// What kind of user it is: what it asks for next, and what it makes of the answer.
pub trait Script: Send {
    fn next(&mut self, dice: &mut Rng) -> Call;

    fn judge(&mut self, call: &Call, answer: &Answer) -> Outcome;

    /// Something in the answer worth collecting.
    fn observe(&self, _call: &Call, _answer: &Answer) -> Option<String> {
        None
    }
}

/// One user, before the load starts.
pub struct User {
    pub variant: usize,
    /// Where its requests go.
    pub to: SocketAddr,
    pub script: Box<dyn Script>,
    /// How long after the start of the load it arrives.
    pub arrives: Duration,
    pub think: RangeInclusive<Duration>,
}

/// What all users of a run share.
pub struct Stage {
    pub started: Instant,
    pub phase: AtomicUsize,
    pub stop: CancellationToken,
}

/// A user's own dice: the run's seed and the user's number decide every choice, whatever the timing of the run.
pub fn dice(seed: u64, number: usize) -> Rng {
    // The finaliser of SplitMix64, so that neighbouring seeds do not make neighbouring sequences.
    let mut mixed = seed.wrapping_add((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Rng::with_seed(mixed ^ (mixed >> 31))
}

/// A pause drawn uniformly from the range.
pub fn think(range: &RangeInclusive<Duration>, dice: &mut Rng) -> Duration {
    let span = range.end().saturating_sub(*range.start());
    *range.start() + span.mul_f64(dice.f64())
}

/// Lives until the stage stops; a request under way is finished first.
pub async fn live(
    mut user: User,
    mut dice: Rng,
    client: Client,
    stage: std::sync::Arc<Stage>,
    samples: UnboundedSender<Sample>,
) {
    tokio::select! {
        () = stage.stop.cancelled() => return,
        () = tokio::time::sleep_until(stage.started + user.arrives) => {}
    }
    while !stage.stop.is_cancelled() {
        let call = user.script.next(&mut dice);
        let pause = think(&user.think, &mut dice);
        let phase_at_start = stage.phase.load(Ordering::Acquire);
        let start = Instant::now();
        let answer = client
            .call(user.to, &call.method, &call.path, call.json.clone())
            .await;
        let latency = start.elapsed();
        let sample = Sample {
            variant: user.variant,
            endpoint: call.endpoint,
            phase_at_start,
            phase_at_end: stage.phase.load(Ordering::Acquire),
            started: start.duration_since(stage.started),
            latency,
            bytes: answer.as_ref().map_or(0, |answer| answer.body.len() as u64),
            observed: answer
                .as_ref()
                .ok()
                .and_then(|answer| user.script.observe(&call, answer)),
            outcome: judge(user.script.as_mut(), &call, answer),
        };
        // Nobody listens any more: the run was given up.
        if samples.send(sample).is_err() {
            return;
        }
        tokio::select! {
            () = stage.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn judge(script: &mut dyn Script, call: &Call, answer: Result<Answer, CallError>) -> Outcome {
    match answer {
        Ok(answer) => script.judge(call, &answer),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(seed: u64, number: usize) -> Vec<Duration> {
        let range = Duration::from_secs(1)..=Duration::from_secs(3);
        let mut dice = dice(seed, number);
        (0..50).map(|_| think(&range, &mut dice)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_user_and_another_gives_another() {
        assert_eq!(pauses(1, 0), pauses(1, 0));
        assert_ne!(pauses(1, 0), pauses(2, 0));
        assert_ne!(pauses(1, 0), pauses(1, 1));
        assert_ne!(pauses(1, 1), pauses(2, 0));
    }

    #[test]
    fn pauses_stay_in_their_range_and_use_it() {
        let all: Vec<_> = (0..20).flat_map(|number| pauses(3, number)).collect();
        assert!(all.iter().all(|p| (1.0..=3.0).contains(&p.as_secs_f64())));
        assert!(
            all.iter().any(|p| p.as_secs_f64() < 1.1) && all.iter().any(|p| p.as_secs_f64() > 2.9)
        );
    }
}
