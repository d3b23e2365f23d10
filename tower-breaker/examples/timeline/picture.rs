//! The picture.

use std::{
    fmt::{self, Write},
    ops::Range,
};

use tower_breaker::State;

use crate::outage::{BETWEEN_CALLS, DOWN, END, End, Episode, Record};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 392.0;
const LEFT: f64 = 124.0;
const RIGHT: f64 = 940.0;

const DEPENDENCY: Range<f64> = 62.0..86.0;
const CIRCUIT: Range<f64> = 112.0..152.0;
const CALLS: Range<f64> = 190.0..330.0;

/// One bar stands for the calls of this time.
const BAR: u64 = 1_000;

const STYLE: &str = r#".timeline { --page: #ffffff; --ink: #1f2328; --soft: #59636e; --grid: #d9dee3; --closed: #b7e0c0; --open: #f0a9a2; --half: #f6dd8b;
  --well: #d5ebf7; --down: #f4b183; --ok: #0b62b8; --bad: #c2410c; --refused: #b6bec7;
  font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) {
  .timeline { --page: #15191f; --ink: #e6edf3; --soft: #9aa5b1; --grid: #2f3742; --closed: #255f38; --open: #7f2e28; --half: #a5871f;
    --well: #1f3a4d; --down: #8a4b22; --ok: #6db3ff; --bad: #ff9a62; --refused: #56616d; }
}
.page { fill: var(--page); }
.title { fill: var(--ink); font-size: 16px; font-weight: 600; }
.row { fill: var(--ink); font-size: 12.5px; font-weight: 600; text-anchor: end; }
.in { fill: var(--ink); font-size: 12px; text-anchor: middle; }
.note { fill: var(--soft); font-size: 12px; }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.grid { stroke: var(--grid); }
.mark { stroke: var(--soft); stroke-width: 1; }
.CLOSED { fill: var(--closed); }
.OPEN { fill: var(--open); }
.HALF_OPEN { fill: var(--half); }
.ramp { fill: var(--refused); fill-opacity: .75; }
.well { fill: var(--well); }
.down { fill: var(--down); }
.ok { fill: var(--ok); }
.bad { fill: var(--bad); }
.refused { fill: var(--refused); }"#;

pub fn draw(record: &Record) -> String {
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut svg, record);
    svg
}

fn write(out: &mut String, record: &Record) -> fmt::Result {
    writeln!(
        out,
        r#"<svg class="timeline" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="timeline-title timeline-desc">"#
    )?;
    writeln!(
        out,
        r#"<title id="timeline-title">A circuit through an outage</title>
<desc id="timeline-desc">{}</desc>
<style>{STYLE}</style>
<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>
<text class="title" x="20" y="30">A circuit through an outage: it opens, waits longer after each failed trial, closes and ramps up</text>"#,
        said(record)
    )?;
    dependency(out)?;
    circuit(out, record)?;
    calls(out, record)?;
    axis(out)?;
    writeln!(out, "</svg>")
}

// For who cannot see the picture: what the program prints, without its columns.
fn said(record: &Record) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = record.to_string().lines().map(words).collect();
    lines.join("; ")
}

fn dependency(out: &mut String) -> fmt::Result {
    row(out, "dependency", &DEPENDENCY)?;
    for (time, class, text) in [
        (0..DOWN.start, "well", "well"),
        (
            DOWN,
            "down",
            "hangs: every call waits for its time-out of 1 s",
        ),
        (DOWN.end..END, "well", "well"),
    ] {
        bar(out, class, &time, &DEPENDENCY)?;
        inside(out, &time, &DEPENDENCY, text)?;
    }
    Ok(())
}

fn circuit(out: &mut String, record: &Record) -> fmt::Result {
    row(out, "circuit", &CIRCUIT)?;
    for episode in &record.episodes {
        let time = &episode.time;
        bar(out, episode.state.as_str(), time, &CIRCUIT)?;
        match episode.state {
            State::Closed => closed(out, record, episode)?,
            State::Open => {
                let wait = seconds(time.end - time.start);
                let room = x(time.end) - x(time.start);
                let text = if room < 72.0 {
                    format!("{wait} s")
                } else {
                    format!("OPEN {wait} s")
                };
                inside(out, time, &CIRCUIT, &text)?;
            }
            State::HalfOpen => trial(out, record, time)?,
        }
    }
    Ok(())
}

// The ramp is drawn as what it refuses: a wedge.
fn closed(out: &mut String, record: &Record, episode: &Episode) -> fmt::Result {
    let mut rest = episode.time.clone();
    if let Some(ramp) = record.ramp(episode) {
        writeln!(
            out,
            r#"<path class="ramp" d="M{:.1} {:.1}H{:.1}L{:.1} {:.1}z"/>"#,
            x(ramp.start),
            CIRCUIT.start,
            x(ramp.end),
            x(ramp.start),
            CIRCUIT.end
        )?;
        inside(out, &ramp, &CIRCUIT, "CLOSED, ramp")?;
        rest.start = ramp.end;
    }
    inside(out, &rest, &CIRCUIT, "CLOSED")
}

fn trial(out: &mut String, record: &Record, time: &Range<u64>) -> fmt::Result {
    let failed = record.count(time, |end| end == End::Failed);
    let succeeded = record.count(time, |end| end == End::Succeeded);
    let text = match (failed, succeeded) {
        (1, 0) => "trial fails".to_owned(),
        (_, n) => format!("{n} trials succeed"),
    };
    let middle = (x(time.start) + x(time.end)) / 2.0;
    let (top, bottom) = (CIRCUIT.end, CIRCUIT.end + 8.0);
    writeln!(
        out,
        r#"<path class="mark" d="M{middle:.1} {top}V{bottom}"/><text class="note middle" x="{middle:.1}" y="{:.1}">{text}</text>"#,
        bottom + 12.0
    )
}

fn calls(out: &mut String, record: &Record) -> fmt::Result {
    row(
        out,
        "calls a second",
        &(CALLS.start + 24.0..CALLS.start + 48.0),
    )?;
    let most = (BAR / BETWEEN_CALLS) as f64;
    let height = CALLS.end - CALLS.start;
    for share in [0.0, 0.5, 1.0] {
        let y = CALLS.end - share * height;
        writeln!(
            out,
            r#"<path class="grid" d="M{LEFT} {y}H{RIGHT}"/><text class="note end" x="{:.1}" y="{:.1}">{}</text>"#,
            LEFT - 6.0,
            y + 4.0,
            share * most
        )?;
    }
    for begin in (0..END).step_by(BAR as usize) {
        let time = begin..begin + BAR;
        let mut base = CALLS.end;
        let succeeded = record.count(&time, |end| end == End::Succeeded);
        let failed = record.count(&time, |end| end == End::Failed);
        let refused = record.count(&time, |end| matches!(end, End::Refused(_)));
        for (class, count) in [("ok", succeeded), ("bad", failed), ("refused", refused)] {
            let top = base - count as f64 / most * height;
            if count > 0 {
                let gap = BAR / 12;
                bar(
                    out,
                    class,
                    &(time.start + gap..time.end - gap),
                    &(top..base),
                )?;
            }
            base = top;
        }
    }
    let mut left = LEFT;
    for (class, text, wide) in [
        ("ok", "succeeded", 104.0),
        ("bad", "failed after its time-out", 176.0),
        ("refused", "refused at once", 0.0),
    ] {
        let y = CALLS.end + 44.0;
        writeln!(
            out,
            r#"<rect class="{class}" x="{left}" y="{y}" width="12" height="12"/><text class="note" x="{}" y="{}">{text}</text>"#,
            left + 18.0,
            y + 10.5
        )?;
        left += wide;
    }
    Ok(())
}

fn axis(out: &mut String) -> fmt::Result {
    for time in (0..=END).step_by(10_000) {
        writeln!(
            out,
            r#"<text class="note middle" x="{:.1}" y="{:.1}">{} s</text>"#,
            x(time),
            CALLS.end + 20.0,
            seconds(time)
        )?;
    }
    Ok(())
}

fn row(out: &mut String, name: &str, y: &Range<f64>) -> fmt::Result {
    let middle = (y.start + y.end) / 2.0 + 4.0;
    writeln!(
        out,
        r#"<text class="row" x="{:.1}" y="{middle:.1}">{name}</text>"#,
        LEFT - 6.0
    )
}

fn bar(out: &mut String, class: &str, time: &Range<u64>, y: &Range<f64>) -> fmt::Result {
    let (left, right) = (x(time.start), x(time.end));
    writeln!(
        out,
        r#"<rect class="{class}" x="{left:.1}" y="{:.1}" width="{:.1}" height="{:.1}"/>"#,
        y.start,
        right - left,
        y.end - y.start
    )
}

fn inside(out: &mut String, time: &Range<u64>, y: &Range<f64>, text: &str) -> fmt::Result {
    let middle = (x(time.start) + x(time.end)) / 2.0;
    writeln!(
        out,
        r#"<text class="in" x="{middle:.1}" y="{:.1}">{text}</text>"#,
        (y.start + y.end) / 2.0 + 4.0
    )
}

fn x(time: u64) -> f64 {
    LEFT + (RIGHT - LEFT) * time as f64 / END as f64
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
