//! The results as tables for the terminal.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Row as TableRow, Table,
    TableStyle,
};

use crate::report::model::{ALL, Claim, Experiment, Report, Row};
use crate::report::units;

/// A line under the head and one at the end; the rows need none.
const STYLE: TableStyle = TableStyle::new()
    .header_separator(LineStyle::none().fill('\u{2500}').junction('\u{2500}'))
    .bottom_border(LineStyle::none().fill('\u{2500}').junction('\u{2500}'));

/// What the table with every column takes.
const WIDE: u16 = 118;

/// How the text is to look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub colour: bool,
    /// `None` when it does not go to a terminal.
    pub width: Option<u16>,
}

impl Look {
    /// Whether there is room for this column.
    fn shows(self, head: &str) -> bool {
        let wide = self.width.is_none_or(|width| width >= WIDE);
        wide || !matches!(head, "p99" | "max" | "failures/s")
    }
}

/// The terminal's width, if standard output is one that says so.
pub fn terminal_width() -> Option<u16> {
    Table::new().width().filter(|width| *width > 0)
}

pub fn tables(report: &Report, look: Look) -> String {
    let mut text = String::new();
    for experiment in &report.experiments {
        text += &format!("\n{}: {}\n", experiment.name, experiment.title);
        text += &format!(
            "\nPublished beside ours, during the failure\n{}\n",
            published(experiment, look)
        );
        text += &format!(
            "\nOur figures, per phase and endpoint\n{}\n",
            figures(experiment, look)
        );
        text += &observed(experiment);
        text += &format!("\nClaims\n{}", claims(&experiment.claims, look.colour));
    }
    for broken in &report.unfinished {
        text += &format!("\n{} was not finished: {}\n", broken.name, broken.reason);
    }
    text
}

/// Never wider than its content and never folded: columns are left out instead where there is little room.
fn table(look: Look) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled);
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

/// One space between columns: that is what lets the tables fit 80.
fn narrow(mut table: Table) -> Table {
    for column in table.column_iter_mut() {
        column.set_padding((1, 0));
    }
    table
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn published(experiment: &Experiment, look: Look) -> Table {
    let mut table = table(look);
    let heads = [
        "unprotected
published",
        "
ours",
        "protected
published",
        "
ours",
    ];
    table.set_header(std::iter::once(Cell::new("\nmeasure")).chain(heads.map(right)));
    for row in &experiment.published {
        table.add_row([
            Cell::new(row.measure),
            right(row.unprotected.published.unwrap_or("-")),
            right(&row.unprotected.ours).fg(Color::Yellow),
            right(row.protected.published.unwrap_or("-")),
            right(&row.protected.ours).fg(Color::Cyan),
        ]);
    }
    narrow(table)
}

fn figures(experiment: &Experiment, look: Look) -> Table {
    let mut table = table(look);
    let left = ["phase, endpoint", "variant"].map(Cell::new);
    let heads = [
        "requests",
        "failed",
        "median",
        "p95",
        "p99",
        "max",
        "req/s",
        "failures/s",
    ];
    let heads = heads.into_iter().filter(|head| look.shows(head)).map(right);
    table.set_header(left.into_iter().chain(heads));
    // Users arriving is no measurement, admins are in the report, and totals of a single endpoint say nothing new.
    let counted = |name: &str| {
        experiment
            .endpoints
            .iter()
            .any(|endpoint| endpoint.name == name && endpoint.counted)
    };
    let several = experiment
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.counted)
        .count()
        > 1;
    for phase in experiment.phases.iter().skip(1) {
        let length = units::seconds(phase.end_s - phase.start_s);
        let heading = format!("{} ({length})", phase.label);
        table.add_row([Cell::new(heading).add_attribute(Attribute::Bold)]);
        let mut last = "";
        for row in experiment
            .figures
            .iter()
            .filter(|row| row.phase == phase.name)
        {
            if !(counted(row.endpoint) || (row.endpoint == ALL && several)) {
                continue;
            }
            let endpoint = if row.endpoint == last {
                ""
            } else {
                experiment.endpoint_label(row.endpoint)
            };
            last = row.endpoint;
            table.add_row(figure_row(experiment, row, endpoint, look));
        }
    }
    narrow(table)
}

fn figure_row(experiment: &Experiment, row: &Row, endpoint: &str, look: Look) -> TableRow {
    let ms = |value: Option<f64>| right(value.map_or("-".to_owned(), units::millis));
    let failed = match row.failed_share {
        Some(share) if row.failures > 0 => format!("{} ({})", row.failures, units::share(share)),
        _ => row.failures.to_string(),
    };
    let shade = if experiment.is_protected(row.variant) {
        Color::Cyan
    } else {
        Color::Yellow
    };
    let figures = [
        ("requests", right(units::thousands(row.requests))),
        ("failed", right(failed)),
        ("median", ms(row.median_ms)),
        ("p95", ms(row.p95_ms)),
        ("p99", ms(row.p99_ms)),
        ("max", ms(row.max_ms)),
        ("req/s", right(format!("{:.1}", row.requests_per_second))),
        (
            "failures/s",
            right(format!("{:.1}", row.failures_per_second)),
        ),
    ];
    let names = [
        Cell::new(format!("  {endpoint}")),
        Cell::new(experiment.variant_label(row.variant)).fg(shade),
    ];
    let figures = figures
        .into_iter()
        .filter(|(head, _)| look.shows(head))
        .map(|(_, cell)| cell);
    TableRow::from(names.into_iter().chain(figures).collect::<Vec<_>>())
}

/// A list: what was measured is too long for a column.
fn claims(claims: &[Claim], colour: bool) -> String {
    let mut text = String::new();
    for claim in claims {
        let (word, code) = if claim.holds {
            ("holds", "32")
        } else {
            ("FAILS", "1;31")
        };
        let word = if colour {
            format!("\u{1b}[{code}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        };
        text += &format!(" {word}  {}\n        {}\n", claim.text, claim.measured);
    }
    text
}

fn observed(experiment: &Experiment) -> String {
    let mut text = String::new();
    for breaker in experiment
        .breakers
        .iter()
        .filter(|breaker| !breaker.observed.is_empty())
    {
        let seen: Vec<String> = breaker
            .observed
            .iter()
            .map(|s| format!("{} at {}", s.state, units::seconds(s.at_s)))
            .collect();
        text += &format!(
            "\nBreaker {} as the polling admin saw it: {}\n",
            breaker.name,
            seen.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    const PLAIN: Look = Look {
        colour: false,
        width: None,
    };

    #[test]
    fn plain_tables_have_no_escape_codes_and_all_figures() {
        let text = tables(&samples::report(), PLAIN);
        assert!(!text.contains('\u{1b}'), "{text}");
        for expected in [
            "65 % (944/1449)",
            "94 % (47/50)",
            "2,000 ms",
            "5,001 ms",
            "FAILS",
            "everything is <fast>",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn coloured_tables_say_the_same_words() {
        let text = tables(
            &samples::report(),
            Look {
                colour: true,
                width: Some(200),
            },
        );
        assert!(text.contains('\u{1b}') && text.contains("FAILS"));
    }

    #[test]
    fn tables_fit_a_terminal_of_80_columns() {
        let text = tables(
            &samples::report(),
            Look {
                colour: false,
                width: Some(80),
            },
        );
        let widest = text
            .lines()
            .filter(|line| line.contains("ms") || line.contains('\u{2500}'))
            .map(|l| l.chars().count());
        assert!(widest.max() <= Some(80), "{text}");
        assert!(!text.contains("p99"));
    }
}
