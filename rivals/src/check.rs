//! Whether tower-breaker is faster than every rival at the same work.

use std::fmt;

use crate::entry::{Outcome, Role};

#[derive(Default)]
pub struct Verdict {
    compared: usize,
    lost: Vec<String>,
    /// The machine was too busy to say.
    undecided: Vec<String>,
    allocating: Vec<String>,
    /// Work that only rivals did.
    without_us: Vec<&'static str>,
}

impl Verdict {
    pub fn holds(&self) -> bool {
        self.compared > 0
            && self.lost.is_empty()
            && self.undecided.is_empty()
            && self.allocating.is_empty()
            && self.without_us.is_empty()
    }
}

pub fn of(results: &[Outcome<'_>]) -> Verdict {
    let mut verdict = Verdict::default();
    for work in results.chunk_by(|a, b| a.entry.work == b.entry.work) {
        let ours = work.iter().find(|it| it.entry.role == Role::Ours);
        let rivals = work.iter().filter(|it| it.entry.role == Role::Rival);
        match ours {
            Some(ours) => {
                verdict.allocations(ours);
                rivals.for_each(|rival| verdict.compare(ours, rival));
            }
            None if rivals.count() > 0 => verdict.without_us.push(work[0].entry.work.title()),
            None => {}
        }
    }
    verdict
}

impl Verdict {
    fn compare(&mut self, ours: &Outcome<'_>, rival: &Outcome<'_>) {
        for (our, their) in ours.rows.iter().zip(&rival.rows) {
            self.compared += 1;
            let figures = format!(
                "{}, {} thread(s): tower-breaker {:.1} ns, {} {:.1} ns",
                ours.entry.work.title(),
                our.threads,
                our.ns_per_call,
                their.case,
                their.ns_per_call,
            );
            if our.is_disturbed || their.is_disturbed {
                self.undecided.push(figures);
            } else if our.ns_per_call >= their.ns_per_call {
                self.lost.push(figures);
            }
        }
    }

    fn allocations(&mut self, ours: &Outcome<'_>) {
        if ours.allocations() > 0.0 {
            self.allocating.push(format!(
                "{}: tower-breaker allocates {} times per call, and must not",
                ours.entry.work.title(),
                ours.allocations(),
            ));
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decided = self.compared - self.undecided.len();
        match (decided, self.lost.len()) {
            (0, _) => write!(f, "Nothing could be compared.")?,
            (all, 0) => write!(f, "tower-breaker is faster in all {all} comparisons.")?,
            (all, lost) => write!(
                f,
                "tower-breaker is NOT faster in {lost} of {all} comparisons:"
            )?,
        }
        for line in self.lost.iter().chain(&self.allocating) {
            write!(f, "\n  {line}")?;
        }
        if !self.undecided.is_empty() {
            write!(
                f,
                "\nUndecided, because the machine was busy; run it again:"
            )?;
        }
        for line in &self.undecided {
            write!(f, "\n  {line}")?;
        }
        for title in &self.without_us {
            write!(
                f,
                "\n  not compared, for want of a row of tower-breaker's: {title}"
            )?;
        }
        Ok(())
    }
}
