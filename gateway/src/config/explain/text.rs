//! An explanation for people.

use std::fmt::{self, Display, Formatter};

use super::{Explanation, Line, Routed};

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, reason } => writeln!(f, "{status}: {reason}"),
            Self::NoRoute { status } => writeln!(f, "{status}: no route takes this path"),
            Self::MethodNotAllowed { status, allow } => writeln!(
                f,
                "{status}: no route takes this method; allowed: {}",
                allow.join(", ")
            ),
            Self::Own => writeln!(f, "The gateway answers this itself."),
            Self::Routed(routed) => routed.fmt(f),
        }
    }
}

impl Display for Routed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<&Line> = self.endpoints.iter().flatten().collect();
        let settings = self.stack.iter().flat_map(|guard| &guard.settings);
        let all = || {
            self.route_keys
                .iter()
                .chain(&self.upstream_keys)
                .chain(endpoints.iter().copied())
                .chain(settings.clone())
        };
        // One measure for all, so that the columns stand below each other from top to bottom.
        let width = |of: fn(&Line) -> &str| {
            all()
                .map(|line| of(line).chars().count().min(WIDEST))
                .max()
                .unwrap_or(0)
        };
        let columns = Columns {
            key: width(|line| &line.key),
            value: width(|line| &line.value),
        };
        writeln!(f, "Route  {}", self.route)?;
        columns.lines(f, &self.route_keys)?;
        writeln!(f, "\nUpstream  {}", self.upstream)?;
        columns.lines(f, &self.upstream_keys)?;
        writeln!(f, "\nEndpoints")?;
        for lines in &self.endpoints {
            columns.lines(f, lines)?;
        }
        writeln!(f, "\nStack, outermost first")?;
        for (number, guard) in (1..).zip(&self.stack) {
            write!(f, "{number:>3}  {}: {}", guard.guard, guard.about)?;
            match &guard.name {
                Some(name) if guard.shared => {
                    writeln!(f, " ({name:?}, shared by the upstream's routes)")?
                }
                Some(name) => writeln!(f, " ({name:?}, this route's own)")?,
                None => writeln!(f)?,
            }
            columns.lines(f, &guard.settings)?;
        }
        if !self.not_configured.is_empty() {
            writeln!(f, "     not there: {}", self.not_configured.join(", "))?;
        }
        Ok(())
    }
}

/// Wider ones push what is right of them aside.
const WIDEST: usize = 40;

struct Columns {
    key: usize,
    value: usize,
}

impl Columns {
    fn lines(&self, f: &mut Formatter<'_>, lines: &[Line]) -> fmt::Result {
        for line in lines {
            write!(
                f,
                "       {:key$}  {:value$}  {}",
                line.key,
                line.value,
                line.from,
                key = self.key,
                value = self.value
            )?;
            match &line.inherited {
                Some(level) => writeln!(f, ", by {level}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
