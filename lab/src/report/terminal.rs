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

/// Wide enough for every column where the width is not known (a pipe, a log).
const WIDTH_WITHOUT_TERMINAL: u16 = 132;

pub fn tables(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    for experiment in &report.experiments {
        text += &format!("\n{}: {}\n", experiment.name, experiment.title);
        text += &format!(
            "\nPublished beside ours, during the failure\n{}\n",
            published(experiment, colour)
        );
        text += &format!(
            "\nOur figures, per endpoint and phase\n{}\n",
            figures(experiment, colour)
        );
        text += &observed(experiment);
        text += &format!("\nClaims\n{}", claims(&experiment.claims, colour));
    }
    text
}

fn table(colour: bool) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !colour {
        table.force_no_tty();
    }
    if table.width().is_none() {
        table.set_width(WIDTH_WITHOUT_TERMINAL);
    }
    table
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn published(experiment: &Experiment, colour: bool) -> Table {
    let mut table = table(colour);
    let heads = [
        "unprotected, published",
        "unprotected, ours",
        "protected, published",
        "protected, ours",
    ];
    table.set_header(std::iter::once(Cell::new("measure")).chain(heads.map(right)));
    for row in &experiment.published {
        table.add_row([
            Cell::new(row.measure),
            right(row.unprotected.published.unwrap_or("-")),
            right(&row.unprotected.ours).fg(Color::Yellow),
            right(row.protected.published.unwrap_or("-")),
            right(&row.protected.ours).fg(Color::Cyan),
        ]);
    }
    table
}

fn figures(experiment: &Experiment, colour: bool) -> Table {
    let mut table = table(colour);
    let left = ["phase", "endpoint", "variant"].map(Cell::new);
    let heads = [
        "requests",
        "failed",
        "median",
        "p95",
        "p99",
        "max",
        "req/s",
        "failures/s",
    ]
    .map(right);
    table.set_header(left.into_iter().chain(heads));
    // Users arriving is no measurement, admins are in the report, and totals of a single endpoint say nothing new.
    let arriving = experiment.phases.first().map_or("", |phase| phase.name);
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
    let shown = |row: &&Row| {
        row.phase != arriving && (counted(row.endpoint) || (row.endpoint == ALL && several))
    };
    let mut last = ("", "");
    for row in experiment.figures.iter().filter(shown) {
        let new_phase = row.phase != last.0;
        if new_phase && !last.0.is_empty() {
            table.add_row([Cell::new("")]);
        }
        let phase = if new_phase {
            experiment.phase_label(row.phase)
        } else {
            ""
        };
        let endpoint = if (row.phase, row.endpoint) == last {
            ""
        } else {
            experiment.endpoint_label(row.endpoint)
        };
        last = (row.phase, row.endpoint);
        table.add_row(figure_row(experiment, row, phase, endpoint));
    }
    table
}

fn figure_row(experiment: &Experiment, row: &Row, phase: &str, endpoint: &str) -> TableRow {
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
    TableRow::from(vec![
        Cell::new(phase).add_attribute(Attribute::Bold),
        Cell::new(endpoint),
        Cell::new(experiment.variant_label(row.variant)).fg(shade),
        right(units::thousands(row.requests)),
        right(failed),
        ms(row.median_ms),
        ms(row.p95_ms),
        ms(row.p99_ms),
        ms(row.max_ms),
        right(format!("{:.2}", row.requests_per_second)),
        right(format!("{:.2}", row.failures_per_second)),
    ])
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

    #[test]
    fn plain_tables_have_no_escape_codes_and_all_figures() {
        let text = tables(&samples::report(), false);
        assert!(!text.contains('\u{1b}'), "{text}");
        for expected in [
            "65 % (944/1449)",
            "94 % (47/50)",
            "2,000 ms",
            "FAILS",
            "everything is <fast>",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn coloured_tables_say_the_same_words() {
        assert!(tables(&samples::report(), true).contains("FAILS"));
    }
}
