//! The pictures: panels one above the other over the same time, a line for each guard.

use std::fmt::{self, Write};

use crate::{server::Second, worlds::Played};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 108.0;
const RIGHT: f64 = 926.0;
const TOP: f64 = 92.0;
const PANEL: f64 = 118.0;
const GAP: f64 = 22.0;

const STYLE: &str = r#".adaptive { --page: #ffffff; --ink: #1f2328; --soft: #59636e; --grid: #d9dee3; --shade: #f3f5f7;
  --aimd: #b45309; --gradient: #0b62b8; --vegas: #15803d; --fixed: #8b949e; --best: #1f2328; --published: #b91c1c;
  font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) {
  .adaptive { --page: #15191f; --ink: #e6edf3; --soft: #9aa5b1; --grid: #2f3742; --shade: #1b2028;
    --aimd: #f0a35e; --gradient: #6db3ff; --vegas: #5fd38a; --fixed: #7d8792; --best: #e6edf3; --published: #ff8a80; }
}
.page { fill: var(--page); }
.shade { fill: var(--shade); }
.title { fill: var(--ink); font-size: 16px; font-weight: 600; }
.row { fill: var(--ink); font-size: 12.5px; font-weight: 600; }
.note { fill: var(--soft); font-size: 12px; }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.grid { stroke: var(--grid); }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.aimd { stroke: var(--aimd); }
.gradient { stroke: var(--gradient); }
.vegas { stroke: var(--vegas); }
.fixed { stroke: var(--fixed); }
.wide { stroke: var(--fixed); stroke-dasharray: 2 3; }
.best { stroke: var(--best); stroke-width: 1.2; stroke-dasharray: 6 4; }
.published { stroke: var(--published); }"#;

struct Panel {
    name: &'static str,
    unit: &'static str,
    marks: &'static [f64],
    // By decades instead of evenly.
    decades: bool,
    value: fn(&Second) -> f64,
}

const LIMIT: Panel = Panel {
    name: "limit",
    unit: "calls",
    marks: &[0.0, 50.0, 100.0, 150.0],
    decades: false,
    value: |second| second.limit,
};
const IN_FLIGHT: Panel = Panel {
    name: "in flight",
    unit: "calls",
    marks: &[0.0, 50.0, 100.0, 150.0],
    decades: false,
    value: |second| second.in_flight,
};
const LATENCY: Panel = Panel {
    name: "latency",
    unit: "ms, of answers",
    marks: &[10.0, 30.0, 100.0, 300.0, 500.0],
    decades: true,
    value: |second| second.latency_ms,
};
const GOODPUT: Panel = Panel {
    name: "goodput",
    unit: "answers a second",
    marks: &[0.0, 1_000.0, 2_000.0],
    decades: false,
    value: |second| f64::from(second.answered),
};
const DRIFTING: Panel = Panel {
    marks: &[0.0, 100.0, 200.0, 300.0, 400.0, 500.0],
    ..LIMIT
};

impl Panel {
    // Clipped to the panel.
    fn y(&self, value: f64, top: f64) -> f64 {
        let (least, most) = (self.marks[0], self.marks[self.marks.len() - 1]);
        let share = if self.decades {
            (value.max(least) / least).log10() / (most / least).log10()
        } else {
            (value - least) / (most - least)
        };
        top + PANEL * (1.0 - share.clamp(0.0, 1.0))
    }
}

fn class(guard: &str) -> &'static str {
    match guard {
        "aimd" => "aimd",
        "gradient2" => "gradient",
        "vegas" => "vegas",
        "fixed 100" => "fixed",
        "fixed 400" => "wide",
        "published gradient2" => "published",
        _ => "best",
    }
}

pub fn changes(played: &Played) -> String {
    let drawn = draw(
        played,
        "changes",
        "A dependency that changes: what each limit makes of it",
        &[LIMIT, IN_FLIGHT, LATENCY, GOODPUT],
        40,
    );
    // Writing to a string cannot fail.
    drawn.unwrap_or_default()
}

pub fn drift(played: &Played) -> String {
    let drawn = draw(
        played,
        "drift",
        "Constant overload of 40 workers: the published Gradient2 drifts, these do not",
        &[DRIFTING, LATENCY],
        60,
    );
    drawn.unwrap_or_default()
}

fn draw(
    played: &Played,
    id: &str,
    title: &str,
    panels: &[Panel],
    tick: usize,
) -> Result<String, fmt::Error> {
    let mut svg = String::new();
    let out = &mut svg;
    let bottom = TOP + panels.len() as f64 * (PANEL + GAP) - GAP;
    let height = bottom + 34.0;
    let x = |second: f64| LEFT + (RIGHT - LEFT) * second / played.world.seconds as f64;
    writeln!(
        out,
        r#"<svg class="adaptive" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{id}-title {id}-desc">
<title id="{id}-title">{title}</title>
<desc id="{id}-desc">{}</desc>
<style>{STYLE}</style>
<rect class="page" width="{WIDTH}" height="{height}"/>
<text class="title" x="20" y="28">{title}</text>"#,
        said(played)
    )?;
    legend(out, played)?;
    for (index, (phase, time)) in played.phases().enumerate() {
        let (left, right) = (x(time.start as f64), x(time.end as f64));
        if index % 2 == 1 {
            let wide = right - left;
            let high = bottom - TOP;
            writeln!(
                out,
                r#"<rect class="shade" x="{left:.1}" y="{TOP}" width="{wide:.1}" height="{high}"/>"#
            )?;
        }
        writeln!(
            out,
            r#"<text class="note middle" x="{:.1}" y="{}">{}</text>"#,
            (left + right) / 2.0,
            TOP - 8.0,
            phase.name
        )?;
    }
    for (index, panel) in panels.iter().enumerate() {
        let top = TOP + index as f64 * (PANEL + GAP);
        frame(out, panel, top)?;
        best(out, panel, played, top, &x)?;
        for run in &played.runs {
            // What a fixed limit is need not be drawn beyond the panel.
            if run.name == "fixed 400" && !panel.decades && panel.name != "goodput" {
                continue;
            }
            let points = run.seconds.iter().enumerate().map(|(index, second)| {
                // Without an answer there is no latency.
                let value = match second.answered {
                    0 if panel.name == "latency" => f64::MAX,
                    _ => (panel.value)(second),
                };
                (x(index as f64 + 0.5), panel.y(value, top))
            });
            line(out, class(run.name), points)?;
        }
    }
    for second in (0..=played.world.seconds as usize).step_by(tick) {
        writeln!(
            out,
            r#"<text class="note middle" x="{:.1}" y="{:.1}">{second} s</text>"#,
            x(second as f64),
            bottom + 20.0
        )?;
    }
    writeln!(out, "</svg>")?;
    Ok(svg)
}

fn said(played: &Played) -> String {
    let parts: Vec<_> = played
        .runs
        .iter()
        .map(|run| {
            let answered: u32 = run.seconds.iter().map(|second| second.answered).sum();
            let timed_out: u32 = run.seconds.iter().map(|second| second.timed_out).sum();
            format!("{}: {answered} answers, {timed_out} time-outs", run.name)
        })
        .collect();
    parts.join("; ")
}

fn legend(out: &mut String, played: &Played) -> fmt::Result {
    let mut left = LEFT;
    let names = played.runs.iter().map(|run| run.name);
    for name in names.chain(["the best possible"]) {
        writeln!(
            out,
            r#"<path class="line {}" d="M{left} 52h26"/><text class="note" x="{}" y="56">{name}</text>"#,
            class(name),
            left + 32.0
        )?;
        left += 54.0 + 6.4 * name.len() as f64;
    }
    Ok(())
}

fn frame(out: &mut String, panel: &Panel, top: f64) -> fmt::Result {
    writeln!(
        out,
        r#"<text class="row" x="8" y="{:.1}">{}</text><text class="note" x="8" y="{:.1}">{}</text>"#,
        top + PANEL / 2.0 - 4.0,
        panel.name,
        top + PANEL / 2.0 + 11.0,
        match panel.unit {
            "answers a second" => "a second",
            "ms, of answers" => "ms",
            unit => unit,
        }
    )?;
    for &mark in panel.marks {
        let y = panel.y(mark, top);
        writeln!(
            out,
            r#"<path class="grid" d="M{LEFT} {y:.1}H{RIGHT}"/><text class="note end" x="{}" y="{:.1}">{mark}</text>"#,
            LEFT - 5.0,
            y + 4.0
        )?;
    }
    Ok(())
}

// A call for each worker keeps all of them busy with no queue.
fn best(
    out: &mut String,
    panel: &Panel,
    played: &Played,
    top: f64,
    x: &impl Fn(f64) -> f64,
) -> fmt::Result {
    let points = played.phases().flat_map(|(phase, time)| {
        let value = match panel.name {
            "limit" => phase.workers as f64,
            "in flight" => {
                (phase.capacity() * phase.service_ms / 1_000.0).min(phase.workers as f64)
            }
            "latency" => phase.service_ms,
            _ => phase.capacity(),
        };
        let y = panel.y(value, top);
        [(x(time.start as f64), y), (x(time.end as f64), y)]
    });
    line(out, "best", points)
}

fn line(out: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) -> fmt::Result {
    write!(out, r#"<path class="line {class}" d=""#)?;
    for (index, (x, y)) in points.enumerate() {
        write!(out, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' })?;
    }
    writeln!(out, r#""/>"#)
}
