//! `report.html`: one file, no network, light and dark.

use std::fmt::Write;

use crate::report::charts;
use crate::report::markup::escape;
use crate::report::model::{ALL, Breaker, Claim, Comparison, Experiment, Report, Row};
use crate::report::units;

const PAGE_STYLE: &str = include_str!("page.css");

pub fn page(report: &Report) -> String {
    let mut body = String::new();
    top(&mut body, report);
    body += "<main>\n";
    for experiment in &report.experiments {
        section(&mut body, experiment);
    }
    for broken in &report.unfinished {
        let _ = writeln!(
            body,
            "<section><h2>{}</h2><p class=\"verdict bad\">Not finished</p><pre>{}</pre></section>",
            escape(broken.name),
            escape(&broken.reason)
        );
    }
    body += "</main>\n";
    let _ = writeln!(
        body,
        "<footer><p>The same figures for programs: <code>report.json</code>. Run again with <code>cargo run --release \
         -- --seed {}</code>; figures depend on the machine, shares and orders do not.</p></footer>",
        report.seed
    );
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>Lab report: {}</title>\n<style>\n{PAGE_STYLE}{}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(&names(report)),
        charts::STYLE
    )
}

fn names(report: &Report) -> String {
    report
        .experiments
        .iter()
        .map(|e| e.name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn top(html: &mut String, report: &Report) {
    let (all, held) = (
        report.claims().count(),
        report.claims().filter(|claim| claim.holds).count(),
    );
    let (class, verdict) = if all == held {
        ("good", format!("Every claim holds ({held} of {all})"))
    } else {
        ("bad", format!("{} of {all} claims do not hold", all - held))
    };
    let (class, verdict) = match report.unfinished.len() {
        0 => (class, verdict),
        broken => ("bad", format!("{verdict}; not finished: {broken}")),
    };
    let machine = &report.machine;
    let cpu = machine
        .cpu
        .as_deref()
        .map_or(String::new(), |cpu| format!(" ({cpu})"));
    let _ = writeln!(
        html,
        "<header class=\"top\">\n<h1>What protection buys when a dependency fails</h1>\n\
         <p>The same load on an unprotected and a protected variant of real services, at the same time.</p>\n\
         <p class=\"verdict {class}\">{verdict}</p>\n\
         <p class=\"muted\">{} run, seed {}, {}; took {}. {} {} with {} cores{}.</p>\n</header>",
        escape(report.mode),
        report.seed,
        escape(&report.started_at),
        units::seconds(report.wall_seconds),
        escape(machine.os),
        escape(machine.arch),
        machine.cores,
        escape(&cpu)
    );
}

fn section(html: &mut String, experiment: &Experiment) {
    let _ = writeln!(
        html,
        "<section id=\"{0}\" aria-labelledby=\"{0}-title\">",
        escape(experiment.name)
    );
    let _ = writeln!(
        html,
        "<h2 id=\"{}-title\">{}</h2>",
        escape(experiment.name),
        escape(experiment.title)
    );
    let _ = writeln!(html, "<p>{}</p>", escape(&experiment.question));
    tiles(html, experiment);
    let _ = writeln!(
        html,
        "<figure>\n{}<figcaption>Response times stand where the request was sent, answers and failures where they came. \
         A gap in a line: everyone was waiting, so nobody sent a request. Point at the picture for the figures of a moment.</figcaption>\n</figure>",
        charts::picture(experiment, true)
    );
    claims(html, &experiment.claims);
    comparison(html, experiment);
    figures(html, experiment);
    failures(html, experiment);
    for breaker in &experiment.breakers {
        transitions(html, breaker);
    }
    setup(html, experiment);
    *html += "</section>\n";
}

fn tiles(html: &mut String, experiment: &Experiment) {
    *html += "<div class=\"tiles\">\n";
    for tile in &experiment.headline {
        let _ = writeln!(
            html,
            "<div class=\"tile\"><h4>{}, during the failure</h4><dl><dt>unprotected</dt><dd class=\"u\">{}</dd>\
             <dt>protected</dt><dd class=\"p\">{}</dd></dl></div>",
            escape(tile.measure),
            escape(&tile.unprotected),
            escape(&tile.protected)
        );
    }
    *html += "</div>\n";
}

fn claims(html: &mut String, claims: &[Claim]) {
    *html += "<h3>Claims, checked against what was measured</h3>\n<div class=\"scroll\"><table>\n<thead><tr>\
              <th scope=\"col\" class=\"text\">Verdict</th><th scope=\"col\" class=\"text\">Claim</th>\
              <th scope=\"col\" class=\"text\">Measured</th></tr></thead>\n<tbody>\n";
    for claim in claims {
        let (class, word) = if claim.holds {
            ("good", "\u{2713} holds")
        } else {
            ("bad", "\u{2717} fails")
        };
        let _ = writeln!(
            html,
            "<tr><td class=\"text\"><span class=\"mark {class}\">{word}</span></td><th scope=\"row\">{}</th>\
             <td class=\"text\">{}</td></tr>",
            escape(&claim.text),
            escape(&claim.measured)
        );
    }
    *html += "</tbody>\n</table></div>\n";
}

fn comparison(html: &mut String, experiment: &Experiment) {
    *html += "<h3>Published beside ours, during the failure</h3>\n<div class=\"scroll\"><table>\n<thead>\
              <tr><td></td><th scope=\"colgroup\" colspan=\"2\">unprotected</th>\
              <th scope=\"colgroup\" colspan=\"2\">protected</th></tr>\n<tr><th scope=\"col\" class=\"text\">Measure</th>\
              <th scope=\"col\">published</th><th scope=\"col\">ours</th><th scope=\"col\">published</th>\
              <th scope=\"col\">ours</th></tr></thead>\n<tbody>\n";
    for Comparison {
        measure,
        unprotected,
        protected,
    } in &experiment.published
    {
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"u\">{}</td><td>{}</td><td class=\"p\">{}</td></tr>",
            escape(measure),
            escape(unprotected.published.unwrap_or("-")),
            escape(&unprotected.ours),
            escape(protected.published.unwrap_or("-")),
            escape(&protected.ours)
        );
    }
    *html += "</tbody>\n</table></div>\n";
}

fn figures(html: &mut String, experiment: &Experiment) {
    *html += "<details><summary>All figures, per phase and endpoint</summary>\n";
    for phase in &experiment.phases {
        let fault = if phase.fault {
            ", with the failure switched on"
        } else {
            ""
        };
        let _ = writeln!(
            html,
            "<div class=\"scroll\"><table class=\"dense\">\n<caption>Phase: {} ({} to {}{fault})</caption>\n<thead><tr>\
             <th scope=\"col\" class=\"text\">Endpoint</th><th scope=\"col\" class=\"text\">Variant</th>\
             <th scope=\"col\">Requests</th><th scope=\"col\">Failed</th><th scope=\"col\">Degraded</th>\
             <th scope=\"col\">Median</th><th scope=\"col\">p95</th><th scope=\"col\">p99</th><th scope=\"col\">Mean</th>\
             <th scope=\"col\">Min</th><th scope=\"col\">Max</th><th scope=\"col\">Mean size</th>\
             <th scope=\"col\">Req/s</th><th scope=\"col\">Failures/s</th></tr></thead>\n<tbody>",
            escape(phase.label),
            units::seconds(phase.start_s),
            units::seconds(phase.end_s)
        );
        let rows: Vec<&Row> = experiment
            .figures
            .iter()
            .filter(|row| row.phase == phase.name)
            .collect();
        for (index, row) in rows.iter().enumerate() {
            let fresh = index > 0 && rows[index - 1].endpoint != row.endpoint;
            figure_row(html, experiment, row, fresh);
        }
        *html += "</tbody>\n</table></div>\n";
    }
    *html += "</details>\n";
}

fn figure_row(html: &mut String, experiment: &Experiment, row: &Row, fresh: bool) {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), units::millis);
    let failed = match row.failed_share {
        Some(share) => format!(
            "{} ({})",
            units::thousands(row.failures),
            units::share(share)
        ),
        None => "-".to_owned(),
    };
    let class = match (row.endpoint == ALL, fresh) {
        (true, true) => "total fresh",
        (true, false) => "total",
        (false, true) => "fresh",
        (false, false) => "",
    };
    let _ = writeln!(
        html,
        "<tr class=\"{class}\"><th scope=\"row\">{}</th><td class=\"text {}\">{}</td><td>{}</td><td>{failed}</td><td>{}</td>\
         <td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2}</td><td>{:.2}</td></tr>",
        escape(experiment.endpoint_label(row.endpoint)),
        if experiment.is_protected(row.variant) {
            "p"
        } else {
            "u"
        },
        escape(experiment.variant_label(row.variant)),
        units::thousands(row.requests),
        units::thousands(row.degraded),
        ms(row.median_ms),
        ms(row.p95_ms),
        ms(row.p99_ms),
        ms(row.mean_ms),
        ms(row.min_ms),
        ms(row.max_ms),
        row.mean_bytes
            .map_or("-".to_owned(), |bytes| format!("{bytes:.0} B")),
        row.requests_per_second,
        row.failures_per_second
    );
}

fn failures(html: &mut String, experiment: &Experiment) {
    let failing: Vec<&Row> = experiment
        .figures
        .iter()
        .filter(|row| row.endpoint != ALL && !row.failure_reasons.is_empty())
        .collect();
    if failing.is_empty() {
        return;
    }
    *html += "<details><summary>Why requests failed</summary>\n<div class=\"scroll\"><table>\n<thead><tr>\
              <th scope=\"col\" class=\"text\">Phase</th><th scope=\"col\" class=\"text\">Endpoint</th>\
              <th scope=\"col\" class=\"text\">Variant</th><th scope=\"col\" class=\"text\">Reason</th>\
              <th scope=\"col\">Requests</th></tr></thead>\n<tbody>\n";
    for row in failing {
        for (reason, count) in &row.failure_reasons {
            let _ = writeln!(
                html,
                "<tr><td class=\"text\">{}</td><td class=\"text\">{}</td><td class=\"text\">{}</td>\
                 <td class=\"text\">{}</td><td>{}</td></tr>",
                escape(experiment.phase_label(row.phase)),
                escape(experiment.endpoint_label(row.endpoint)),
                escape(experiment.variant_label(row.variant)),
                escape(reason),
                units::thousands(*count)
            );
        }
    }
    *html += "</tbody>\n</table></div></details>\n";
}

fn transitions(html: &mut String, breaker: &Breaker) {
    let _ = writeln!(
        html,
        "<details><summary>Every transition of the breaker <code>{}</code> in {}</summary>\n<div class=\"scroll\"><table>\n\
         <thead><tr><th scope=\"col\">Second</th><th scope=\"col\" class=\"text\">From</th>\
         <th scope=\"col\" class=\"text\">To</th><th scope=\"col\" class=\"text\">Cause</th></tr></thead>\n<tbody>",
        escape(&breaker.name),
        escape(&breaker.process)
    );
    for transition in &breaker.transitions {
        let _ = writeln!(
            html,
            "<tr><td>{:.3}</td><td class=\"text\">{}</td><td class=\"text\">{}</td><td class=\"text\">{}</td></tr>",
            transition.at_s,
            escape(&transition.from),
            escape(&transition.to),
            escape(transition.cause.as_deref().unwrap_or("-"))
        );
    }
    let _ = writeln!(
        html,
        "</tbody>\n</table></div>\n<p class=\"muted\">It refused {} calls without asking the dependency; {} trials succeeded, \
         {} failed.</p>",
        units::thousands(breaker.refused),
        breaker.trials_succeeded,
        breaker.trials_failed
    );
    if !breaker.observed.is_empty() {
        let seen: Vec<String> = breaker
            .observed
            .iter()
            .map(|s| format!("{} at {}", s.state, units::seconds(s.at_s)))
            .collect();
        let _ = writeln!(
            html,
            "<p class=\"muted\">What the polling admins saw: {}.</p>",
            escape(&seen.join(", "))
        );
    }
    *html += "</details>\n";
}

fn setup(html: &mut String, experiment: &Experiment) {
    *html += "<details><summary>How it was set up, and what to know when reading it</summary>\n<dl class=\"facts\">\n";
    for setting in &experiment.settings {
        let _ = writeln!(
            html,
            "<dt>{}</dt><dd>{}</dd>",
            escape(setting.name),
            escape(&setting.value)
        );
    }
    for process in &experiment.processes {
        let _ = writeln!(
            html,
            "<dt>process</dt><dd>{} (<code>{}</code>), pid {}</dd>",
            escape(&process.name),
            escape(&process.service),
            process.pid
        );
    }
    *html += "</dl>\n<ul>\n";
    for note in &experiment.notes {
        let _ = writeln!(html, "<li>{}</li>", escape(note));
    }
    *html += "</ul>\n</details>\n";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::markup::check_well_formed;
    use crate::report::samples;

    #[test]
    fn the_page_is_well_formed_and_needs_nothing_from_outside() {
        let page = page(&samples::report());
        let body = page.strip_prefix("<!doctype html>").unwrap();
        check_well_formed(body).unwrap();
        let inside = body.replace("http://www.w3.org/2000/svg", "");
        for outside in ["http", "src=", "@import", "<script", "<link", "url(h"] {
            assert!(!inside.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_failed_claim_is_said_at_the_top() {
        let mut report = samples::report();
        assert!(page(&report).contains("1 of 2 claims do not hold"));
        report.experiments[0].claims.retain(|claim| claim.holds);
        assert!(page(&report).contains("Every claim holds (1 of 1)"));
    }

    #[test]
    fn published_figures_stand_beside_ours() {
        let page = page(&samples::report());
        assert!(page.contains("<td>65 % (944/1449)</td><td class=\"u\">94 % (47/50)</td>"));
    }
}
