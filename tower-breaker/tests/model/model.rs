//! The semantics, as plainly as they can be written down: one thread, no atomics, time in nanoseconds.

use std::time::Duration;

use tower_breaker::{Abandoned, Control, LeaseExpired, Reason, Recovery, State, breaker::Cause};

use super::{
    config::{Config, MS, TrialRule, Wait, share},
    steps::{Ending, Manual},
    windows::Windows,
};

/// The hint where nothing better is known.
const SOON: u64 = 1_000 * MS;

/// What an admitted call is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    Call,
    Trial,
    /// Admitted although it would have been refused.
    Shadow,
}

#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    id: u64,
    episode: u64,
    standing: Standing,
    since: u64,
}

/// A trial that is running.
#[derive(Debug, Clone, Copy)]
struct Running {
    ticket: u64,
    lease_ends: Option<u64>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Counts {
    pub admitted: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub ignored: u64,
    pub abandoned: u64,
    pub refused: u64,
    pub would_refuse: u64,
    pub slow: u64,
    pub stale: u64,
    pub trials_succeeded: u64,
    pub trials_failed: u64,
    pub leases_expired: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    pub from: State,
    pub to: State,
    pub cause: Cause,
    pub at: u64,
}

pub struct Model {
    pub config: Config,
    pub now: u64,
    pub state: State,
    pub control: Control,
    pub dry_run: bool,
    pub counts: Counts,
    pub events: Vec<Event>,
    spent: [u64; 3],
    since: u64,
    /// The last background check found the backend well, and the circuit has not opened since.
    well: bool,
    pub open_while_healthy: u64,
    tickets: u64,

    // Closed.
    pub in_a_row: u32,
    pub windows: Windows,
    /// When a hold for a time is over.
    hold_ends: Option<u64>,
    /// When the ramp began.
    ramp_began: Option<u64>,
    ramp_account: u64,
    closed_at: u64,
    /// Which attempt the next opening is, if it comes too soon.
    next_attempt: u32,

    // Open.
    pub open_until: u64,
    /// Open and half-open.
    pub attempt: u32,
    pub latest_attempt: u32,

    // Half-open.
    trials: Vec<Running>,
    pub good_trials: u32,
    pub bad_trials: u32,
}

type Refusal = (Reason, Option<u64>);

impl Model {
    pub fn new(config: Config) -> Self {
        Self {
            windows: Windows::new(&config),
            dry_run: config.dry_run,
            config,
            now: 0,
            state: State::Closed,
            control: Control::Automatic,
            counts: Counts::default(),
            events: Vec::new(),
            spent: [0; 3],
            since: 0,
            well: false,
            open_while_healthy: 0,
            tickets: 0,
            in_a_row: 0,
            hold_ends: None,
            ramp_began: None,
            ramp_account: (1 << 32) - 1,
            closed_at: 0,
            next_attempt: 0,
            open_until: 0,
            attempt: 0,
            latest_attempt: 0,
            trials: Vec::new(),
            good_trials: 0,
            bad_trials: 0,
        }
    }

    pub fn episode(&self) -> u64 {
        self.events.len() as u64
    }

    pub fn pass(&mut self, nanos: u64) {
        self.now += nanos;
        if self.state != State::Closed && self.well {
            self.open_while_healthy += nanos;
        }
    }

    pub fn report_health(&mut self, well: bool) {
        self.well = well;
    }

    pub fn trials_in_flight(&self) -> u32 {
        self.trials.len() as u32
    }

    /// Time spent in each state, up to now.
    pub fn spent(&self) -> [u64; 3] {
        let mut spent = self.spent;
        spent[self.state as usize] += self.now - self.since;
        spent
    }

    /// The next moment at which something is over.
    pub fn deadline(&self) -> Option<u64> {
        let lease = self
            .trials
            .iter()
            .filter_map(|trial| trial.lease_ends)
            .min();
        let open = (self.state == State::Open && self.control == Control::Automatic)
            .then_some(self.open_until);
        let ramp = self
            .ramp_began
            .zip(self.config.ramp)
            .map(|(began, (over, _))| began + over * MS);
        open.or(lease).or(self.hold_ends).or(ramp)
    }

    // --- transitions -------------------------------------------------------------------------------------------------

    fn go(&mut self, state: State, control: Control, cause: Cause) {
        self.spent[self.state as usize] += self.now - self.since;
        self.since = self.now;
        self.events.push(Event {
            from: self.state,
            to: state,
            cause,
            at: self.now,
        });
        self.well &= state != State::Open;
        self.state = state;
        self.control = control;
        self.in_a_row = 0;
        self.hold_ends = None;
        self.ramp_began = None;
        self.trials.clear();
        self.good_trials = 0;
        self.bad_trials = 0;
    }

    fn close(&mut self, control: Control, cause: Cause) {
        self.go(State::Closed, control, cause);
        self.windows.clear();
        self.closed_at = self.now;
        self.next_attempt = 0;
        self.attempt = 0;
    }

    fn open(&mut self, attempt: u32, hint: Option<u64>, cause: Cause) {
        let own = self.wait(attempt);
        let wait = match (hint, self.config.retry_after_cap) {
            (Some(hint), Some(cap)) => own.max(hint.min(cap * MS)),
            _ => own,
        };
        self.go(State::Open, Control::Automatic, cause);
        self.attempt = attempt;
        self.latest_attempt = self.latest_attempt.max(attempt);
        self.open_until = self.now + wait;
    }

    fn wait(&self, attempt: u32) -> u64 {
        match self.config.wait {
            Wait::Fixed(wait) => wait * MS,
            Wait::Exponential {
                initial,
                halves,
                max,
            } => {
                let factor = f64::from(halves) / 2.0;
                let wait = (initial * MS) as f64 * factor.powf(f64::from(attempt));
                wait.min((max * MS) as f64).round() as u64
            }
            Wait::Function(waits) => waits[attempt as usize % waits.len()] * MS,
        }
    }

    fn trip(&mut self, hint: Option<u64>, cause: Cause) {
        let stable = self.now - self.closed_at >= self.config.stable_after * MS;
        let attempt = if stable { 0 } else { self.next_attempt };
        self.open(attempt, hint, cause);
    }

    // --- by hand -----------------------------------------------------------------------------------------------------

    /// Whether anything changed.
    pub fn manual(&mut self, action: Manual) -> bool {
        let held = |control| self.control == control && self.hold_ends.is_none();
        match action {
            Manual::ForceOpen if held(Control::ForcedOpen) => return false,
            Manual::ForceClosed if held(Control::ForcedClosed) => return false,
            Manual::Disable if held(Control::Disabled) => return false,
            Manual::HalfOpen if self.state != State::Open => return false,
            Manual::ForceOpen => {
                self.go(State::Open, Control::ForcedOpen, Cause::ForcedOpen);
                self.attempt = 0;
            }
            Manual::ForceOpenFor(ms) => {
                self.go(State::Open, Control::Automatic, Cause::ForcedOpen);
                self.attempt = 0;
                self.open_until = self.now + ms * MS;
            }
            Manual::ForceClosed => self.close(Control::ForcedClosed, Cause::ForcedClosed),
            Manual::ForceClosedFor(ms) => {
                self.close(Control::ForcedClosed, Cause::ForcedClosed);
                self.hold_ends = Some(self.now + ms * MS);
            }
            Manual::Disable => self.close(Control::Disabled, Cause::Disabled),
            Manual::Reset => self.close(Control::Automatic, Cause::Reset),
            Manual::HalfOpen => {
                self.go(State::HalfOpen, Control::Automatic, Cause::WaitEndedByHand);
            }
        }
        true
    }

    // --- admission ---------------------------------------------------------------------------------------------------

    pub fn call(&mut self) -> Result<Ticket, Refusal> {
        let may_try = self.config.recovery != Recovery::Probed;
        match self.admit(may_try) {
            Ok(standing) => Ok(self.ticket(standing)),
            Err(_) if self.dry_run => {
                self.counts.would_refuse += 1;
                Ok(self.ticket(Standing::Shadow))
            }
            Err(refusal) => {
                self.counts.refused += 1;
                Err(refusal)
            }
        }
    }

    pub fn trial(&mut self) -> Option<Ticket> {
        if self.state == State::Closed {
            return None;
        }
        let standing = self.admit(true).ok()?;
        Some(self.ticket(standing))
    }

    fn ticket(&mut self, standing: Standing) -> Ticket {
        self.counts.admitted += 1;
        self.tickets += 1;
        let ticket = Ticket {
            id: self.tickets,
            episode: self.episode(),
            standing,
            since: self.now,
        };
        if standing == Standing::Trial {
            // Rounded up to the millisecond.
            let ends = |ms: u64| (self.now + ms * MS).next_multiple_of(MS);
            self.trials.push(Running {
                ticket: ticket.id,
                lease_ends: self.config.lease.map(ends),
            });
        }
        ticket
    }

    fn admit(&mut self, may_try: bool) -> Result<Standing, Refusal> {
        self.expire_leases();
        match self.state {
            State::Closed => {
                // That a hold is over is noticed by the next call.
                if self.hold_ends.is_some_and(|ends| self.now >= ends) {
                    self.close(Control::Automatic, Cause::HoldElapsed);
                }
                if let Some(left) = self.ramp_refuses() {
                    return Err((Reason::Ramping, Some(left.min(SOON))));
                }
                Ok(Standing::Call)
            }
            State::Open if self.control == Control::ForcedOpen => Err((Reason::ForcedOpen, None)),
            State::Open => {
                let left = self.open_until.saturating_sub(self.now);
                if left > 0 || !may_try {
                    return Err((Reason::CircuitOpen, Some(left)));
                }
                self.go(State::HalfOpen, Control::Automatic, Cause::WaitElapsed);
                Ok(Standing::Trial)
            }
            State::HalfOpen if may_try && self.has_room() => Ok(Standing::Trial),
            State::HalfOpen => {
                let lease = self.config.lease.map_or(SOON, |ms| ms * MS);
                Err((Reason::HalfOpenFull, Some(lease.min(SOON))))
            }
        }
    }

    fn has_room(&self) -> bool {
        let in_flight = self.trials_in_flight();
        in_flight < self.config.trials
            && match self.config.rule {
                TrialRule::Successes(_) => true,
                TrialRule::Rate { trials, .. } => {
                    in_flight + self.good_trials + self.bad_trials < trials
                }
            }
    }

    // If so, what is left of the ramp.
    fn ramp_refuses(&mut self) -> Option<u64> {
        let (began, (over, from)) = self.ramp_began.zip(self.config.ramp)?;
        let (elapsed, over, from) = (self.now - began, over * MS, share(from));
        if elapsed >= over {
            self.ramp_began = None;
            return None;
        }
        let share = from + (1.0 - from) * (elapsed as f64 / over as f64);
        let step = (share * 4_294_967_296.0) as u64;
        let before = self.ramp_account;
        self.ramp_account += step;
        (self.ramp_account >> 32 == before >> 32).then_some(over - elapsed)
    }

    /// A lease that is over is noticed when somebody asks for admission.
    fn expire_leases(&mut self) {
        while let Some(index) = self
            .trials
            .iter()
            .position(|trial| trial.lease_ends.is_some_and(|ends| self.now >= ends))
        {
            self.trials.remove(index);
            self.counts.leases_expired += 1;
            if self.config.expired == LeaseExpired::Failure {
                self.counts.trials_failed += 1;
                self.bad_trials += 1;
            }
            self.decide(None, Cause::LeaseExpired);
        }
    }

    // --- results -----------------------------------------------------------------------------------------------------

    pub fn finish(&mut self, ticket: Ticket, ending: Ending) {
        match ending {
            Ending::Success => self.counts.succeeded += 1,
            Ending::Failure | Ending::FailureWithRetryAfter(_) => self.counts.failed += 1,
            Ending::Ignore => self.counts.ignored += 1,
            Ending::Drop => self.counts.abandoned += 1,
        }
        let lived = self.now - ticket.since;
        let failed = match ending {
            Ending::Success => Some(false),
            Ending::Failure | Ending::FailureWithRetryAfter(_) => Some(true),
            Ending::Ignore => None,
            Ending::Drop => match self.config.abandoned() {
                Abandoned::Failure => Some(true),
                Abandoned::Ignore => None,
                Abandoned::FailureAfter(limit) => {
                    (Duration::from_nanos(lived) >= limit).then_some(true)
                }
            },
        };
        let slow = failed.is_some() && self.config.is_slow(lived);
        self.counts.slow += u64::from(slow);
        let hint = match ending {
            Ending::FailureWithRetryAfter(ms) => Some(ms * MS),
            _ => None,
        };
        match ticket.standing {
            Standing::Shadow => {}
            Standing::Trial => self.finish_trial(ticket, failed.map(|failed| failed || slow), hint),
            Standing::Call if ticket.episode != self.episode() => self.counts.stale += 1,
            Standing::Call if self.control != Control::Automatic => {}
            Standing::Call => {
                if let Some(failed) = failed {
                    self.finish_call(failed, slow, hint);
                }
            }
        }
    }

    fn finish_call(&mut self, failed: bool, slow: bool, hint: Option<u64>) {
        self.in_a_row = if failed { self.in_a_row + 1 } else { 0 };
        // The rules are asked in turn. The one that trips is the last to hear of the result.
        if self
            .config
            .consecutive
            .is_some_and(|limit| failed && self.in_a_row >= limit)
        {
            self.trip(hint, Cause::ConsecutiveFailures);
        } else if let Some(cause) = self.windows.record(self.now, failed, slow) {
            self.trip(hint, cause);
        }
    }

    fn finish_trial(&mut self, ticket: Ticket, failed: Option<bool>, hint: Option<u64>) {
        let index = self
            .trials
            .iter()
            .position(|trial| trial.ticket == ticket.id);
        // Of an earlier episode, or its lease was over.
        let Some(index) = index else {
            self.counts.stale += 1;
            return;
        };
        self.trials.remove(index);
        match failed {
            None => {}
            Some(true) => {
                self.counts.trials_failed += 1;
                self.bad_trials += 1;
            }
            Some(false) => {
                self.counts.trials_succeeded += 1;
                self.good_trials += 1;
            }
        }
        self.decide(hint, Cause::TrialFailed);
    }

    /// Ends half-open, if the trials so far say how.
    fn decide(&mut self, hint: Option<u64>, if_failed: Cause) {
        let (closes, opens) = match self.config.rule {
            TrialRule::Successes(needed) => (self.good_trials >= needed, self.bad_trials > 0),
            TrialRule::Rate { trials, threshold } => {
                let too_many = (1..=trials)
                    .find(|bad| f64::from(*bad) / f64::from(trials) >= share(threshold))
                    .unwrap();
                let left = trials - self.good_trials - self.bad_trials;
                (
                    self.bad_trials + left < too_many,
                    self.bad_trials >= too_many,
                )
            }
        };
        let next = (self.attempt + 1).min(63);
        if opens {
            self.open(next, hint, if_failed);
        } else if closes {
            self.close(Control::Automatic, Cause::TrialsSucceeded);
            self.next_attempt = next;
            self.ramp_began = self.config.ramp.is_some().then_some(self.now);
        }
    }
}
