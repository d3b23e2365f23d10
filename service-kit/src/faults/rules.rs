//! `[faults]`: which requests suffer what.

use super::pattern::Pattern;
use crate::config::Section;
use http::StatusCode;
use std::time::Duration;

/// The validated `[faults]` table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultSettings {
    pub(crate) enabled: bool,
    pub(crate) simulate: bool,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub routes: Vec<Pattern>,
    pub kind: Kind,
    pub status: StatusCode,
    pub delay: Duration,
    pub delay_max: Duration,
    pub share: f64,
    pub seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answers the status at once.
    Status,
    /// Waits, then lets the handler answer.
    Latency,
    /// Waits, then answers the status.
    Hang,
    /// Closes the connection without an answer.
    Reset,
    /// Breaks the answer's body off half way.
    Truncate,
    /// Sends the head of the answer and waits before its body goes on.
    Stall,
}

const KINDS: [(&str, Kind); 6] = [
    ("status", Kind::Status),
    ("latency", Kind::Latency),
    ("hang", Kind::Hang),
    ("reset", Kind::Reset),
    ("truncate", Kind::Truncate),
    ("stall", Kind::Stall),
];

const LONGEST: Duration = Duration::from_secs(3600);

impl FaultSettings {
    /// Whether faults can be injected at all.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Reads the optional `[faults]` of the root section.
    pub fn read(root: &mut Section<'_>) -> Self {
        let Some(mut section) = root.section("faults") else {
            return Self::default();
        };
        let enabled = section.boolean("enabled", false);
        let simulate = section.boolean("simulate", false);
        if simulate && !enabled {
            section.reject("simulate", "true only together with faults.enabled = true");
        }
        let rules = section
            .list("rule")
            .iter_mut()
            .filter_map(Rule::read)
            .collect();
        Self {
            enabled,
            simulate,
            rules,
        }
    }
}

impl Rule {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let routes: Vec<Option<Pattern>> = section
            .strings("routes", &[])
            .iter()
            .map(|route| Pattern::parse(route))
            .collect();
        if routes.is_empty() || routes.contains(&None) {
            let allowed = "a list of at least one route, such as [\"/products/{id}\"]; \"/{*rest}\" is every route";
            section.reject("routes", allowed);
        }
        let routes = routes.into_iter().flatten().collect();
        let words: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
        let kind = section.opt_choice("kind", &words);
        if !section.contains("kind") {
            section.reject("kind", format!("one of {}", words.join(", ")));
        }
        let status = section.integer("status", 503, 400..=599);
        let delay = section.duration("delay", Duration::ZERO, Duration::ZERO..=LONGEST);
        let delay_max = section.duration("delay_max", delay, Duration::ZERO..=LONGEST);
        if delay_max < delay {
            section.reject(
                "delay_max",
                format!(
                    "a duration of at least `delay` ({})",
                    humantime::format_duration(delay)
                ),
            );
        }
        let share = section.float("share", 1.0, 0.0..=1.0);
        let seed = section
            .opt_integer("seed", 0..=i64::MAX)
            .and_then(|seed| u64::try_from(seed).ok());
        let kind = KINDS
            .iter()
            .find(|(word, _)| Some(*word) == kind.as_deref())
            .map(|(_, kind)| *kind)?;
        let status = u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())?;
        Some(Self {
            routes,
            kind,
            status,
            delay,
            delay_max,
            share,
            seed,
        })
    }
}
