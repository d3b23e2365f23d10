//! The pictures: three panels over one time axis, as an SVG that needs nothing from outside.
//!
//! The variants differ in colour and in stroke, the breaker's states in colour, pattern and text, so that nothing is
//! told by colour alone. Each moment carries its figures as a tooltip.

mod axis;
pub mod svg;

use crate::report::charts::axis::{Axis, Scale};
use crate::report::charts::svg::{Svg, number};
use crate::report::model::{Experiment, Point, Series};
use crate::report::units;

/// Colours and strokes. Also part of the page's style sheet, so that pictures in it follow its theme.
pub const STYLE: &str = include_str!("charts/charts.css");

const WIDTH: f64 = 960.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 20.0;
const PLOT_WIDTH: f64 = WIDTH - LEFT - RIGHT;

const TITLE_HEIGHT: f64 = 84.0;
const STRIP_HEIGHT: f64 = 18.0;
const STRIP_GAP: f64 = 12.0;
const PANEL_TITLE: f64 = 36.0;
const FOOT: f64 = 42.0;

/// What one panel shows of a point.
struct Panel {
    title: &'static str,
    /// For screen readers, and in tooltips.
    height: f64,
    log: bool,
    value: fn(&Point, f64) -> Option<f64>,
    /// The upper edge of a band above the line.
    upper: Option<fn(&Point) -> Option<f64>>,
    format: fn(f64) -> String,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "Response time (logarithmic): median, and up to p95 as a band",
        height: 230.0,
        log: true,
        value: |point, _| point.median_ms,
        upper: Some(|point| point.p95_ms),
        format: units::millis,
    },
    Panel {
        title: "Requests served per second",
        height: 120.0,
        log: false,
        value: |point, width| Some((point.answered - point.failed) as f64 / width),
        upper: None,
        format: |rate| format!("{rate:.1}"),
    },
    Panel {
        title: "Requests failed per second",
        height: 120.0,
        log: false,
        value: |point, width| Some(point.failed as f64 / width),
        upper: None,
        format: |rate| format!("{rate:.1}"),
    },
];

/// The picture for a file of its own, or with `in_page` for a page whose style sheet contains [`STYLE`].
pub fn picture(experiment: &Experiment, in_page: bool) -> String {
    let end = experiment.phases.last().map_or(1.0, |phase| phase.end_s);
    let strips = experiment.breakers.len() as f64 * (STRIP_HEIGHT + STRIP_GAP);
    let panels: f64 = PANELS.iter().map(|panel| panel.height + PANEL_TITLE).sum();
    let height = TITLE_HEIGHT + strips + panels + FOOT;
    let x = Axis::new(
        Scale::Linear { from: 0.0, to: end },
        LEFT,
        LEFT + PLOT_WIDTH,
    );
    let mut svg = Svg::new(
        WIDTH,
        height,
        experiment.name,
        &title(experiment),
        &description(experiment),
    );
    if !in_page {
        svg.style(STYLE);
    }
    patterns(&mut svg, experiment.name);
    svg.rect("chart-page", 0.0, 0.0, WIDTH, height);
    svg.text("chart-title", 20.0, 26.0, "start", experiment.title);
    legend(&mut svg, experiment);

    let top = TITLE_HEIGHT;
    let bottom = height - FOOT;
    phases(&mut svg, experiment, &x, top, bottom);
    let mut y = top;
    for breaker in &experiment.breakers {
        let label = "breaker";
        svg.text("chart-label", LEFT - 8.0, y + 13.0, "end", label);
        let mut stretches = breaker.stretches(end);
        // Trials last, or their wide neighbours would cover them.
        stretches.sort_by_key(|(_, _, state)| *state == "HALF_OPEN");
        for (from, to, state) in stretches {
            draw_state(
                &mut svg,
                experiment.name,
                x.at(from),
                x.at(to),
                y,
                state,
                from,
                to,
            );
        }
        y += STRIP_HEIGHT + STRIP_GAP;
    }
    for panel in &PANELS {
        y += PANEL_TITLE;
        draw_panel(&mut svg, experiment, panel, &x, y, end);
        y += panel.height;
    }
    time_axis(&mut svg, &x, bottom);
    hover(&mut svg, experiment, &x, top, bottom);
    svg.finish()
}

fn title(experiment: &Experiment) -> String {
    format!(
        "{}: response time, throughput and failures of both variants",
        experiment.title
    )
}

fn description(experiment: &Experiment) -> String {
    let results: Vec<String> = experiment
        .headline
        .iter()
        .map(|tile| {
            format!(
                "{}: unprotected {}, protected {}",
                tile.measure, tile.unprotected, tile.protected
            )
        })
        .collect();
    let states: Vec<String> = experiment
        .breakers
        .iter()
        .map(|b| format!("breaker {}: {}", b.name, b.sequence().join(", ")))
        .collect();
    format!(
        "During the failure: {}. {}.",
        results.join("; "),
        states.join("; ")
    )
}

/// Stripes and dots, so that states can be told apart without colour.
fn patterns(svg: &mut Svg, name: &str) {
    svg.raw(&format!(
        "<defs>\
         <pattern id=\"{name}-open\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect class=\"state-open\" width=\"6\" height=\"6\"/><rect class=\"state-open-mark\" width=\"2\" height=\"6\"/></pattern>\
         <pattern id=\"{name}-half\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\">\
         <rect class=\"state-half\" width=\"4\" height=\"4\"/><circle class=\"state-half-mark\" cx=\"2\" cy=\"2\" r=\"1\"/></pattern>\
         </defs>"
    ));
}

fn legend(svg: &mut Svg, experiment: &Experiment) {
    let mut x = 20.0;
    for (index, variant) in experiment.variants.iter().enumerate() {
        svg.line(&format!("line {}", class(index)), x, 44.0, x + 30.0, 44.0);
        svg.text("chart-label", x + 36.0, 48.0, "start", variant.label);
        x += 56.0 + 7.0 * variant.label.len() as f64;
    }
    svg.rect("failure", x, 37.0, 22.0, 13.0);
    svg.text(
        "chart-label",
        x + 28.0,
        48.0,
        "start",
        "failure switched on",
    );
    x += 168.0;
    for (state, label) in [
        ("CLOSED", "closed"),
        ("OPEN", "open"),
        ("HALF_OPEN", "half-open (one trial)"),
    ] {
        state_rect(svg, experiment.name, x, 37.0, 22.0, 13.0, state);
        svg.text("chart-label", x + 28.0, 48.0, "start", label);
        x += 50.0 + 7.0 * label.len() as f64;
    }
}

fn class(variant: usize) -> &'static str {
    if variant == 0 {
        "unprotected"
    } else {
        "protected"
    }
}

/// The phases' names along the top, and the failure as a shade behind everything.
fn phases(svg: &mut Svg, experiment: &Experiment, x: &Axis, top: f64, bottom: f64) {
    for phase in &experiment.phases {
        let (from, to) = (x.at(phase.start_s), x.at(phase.end_s));
        if phase.fault {
            svg.rect("failure", from, top - 22.0, to - from, bottom - top + 22.0);
        }
        svg.line("boundary", from, top - 22.0, from, bottom);
        if to - from > 7.0 * phase.label.len() as f64 {
            svg.text(
                "phase-name",
                (from + to) / 2.0,
                top - 9.0,
                "middle",
                phase.label,
            );
        }
    }
}

fn state_rect(svg: &mut Svg, name: &str, x: f64, y: f64, width: f64, height: f64, state: &str) {
    let fill = match state {
        "OPEN" => format!("url(#{name}-open)"),
        "HALF_OPEN" => format!("url(#{name}-half)"),
        _ => String::new(),
    };
    if fill.is_empty() {
        svg.rect("state-closed", x, y, width, height);
    } else {
        svg.filled_rect("state", x, y, width, height, &fill);
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "a rectangle, its state and its times: a struct would be used once"
)]
fn draw_state(
    svg: &mut Svg,
    name: &str,
    x0: f64,
    x1: f64,
    y: f64,
    state: &str,
    from: f64,
    to: f64,
) {
    // A trial can be over in milliseconds; it must still be seen.
    let width = (x1 - x0).max(if state == "HALF_OPEN" { 3.0 } else { 0.0 });
    svg.open_group();
    state_rect(svg, name, x0, y, width, STRIP_HEIGHT, state);
    svg.tooltip(&format!(
        "{state} from {} to {}",
        units::seconds(from),
        units::seconds(to)
    ));
    svg.close_group();
    if x1 - x0 > 64.0 {
        svg.text("state-text", (x0 + x1) / 2.0, y + 13.0, "middle", state);
    }
}

fn draw_panel(svg: &mut Svg, experiment: &Experiment, panel: &Panel, x: &Axis, top: f64, end: f64) {
    let width = experiment.timeline.bucket_seconds;
    let series = &experiment.timeline.series;
    let bottom = top + panel.height;
    let y = Axis::new(scale(panel, series, width), bottom, top);
    svg.text("panel-title", LEFT, top - 9.0, "start", panel.title);
    for tick in y.ticks(4) {
        svg.line("grid", LEFT, y.at(tick), LEFT + PLOT_WIDTH, y.at(tick));
        let label = if panel.log {
            tick_millis(tick)
        } else {
            number(tick)
        };
        svg.text("chart-label", LEFT - 8.0, y.at(tick) + 4.0, "end", &label);
    }
    svg.line("axis", LEFT, bottom, LEFT + PLOT_WIDTH, bottom);
    // Only whole buckets: half a bucket looks like half the throughput.
    let whole = |point: &&Point| point.t_s + width <= end + 1e-9;
    for (index, one) in series.iter().enumerate() {
        let middle = |point: &Point| x.at(point.t_s + width / 2.0);
        if let Some(upper) = panel.upper {
            let band: Vec<Option<(f64, f64, f64)>> = one
                .points
                .iter()
                .filter(whole)
                .map(|p| Some((middle(p), y.at((panel.value)(p, width)?), y.at(upper(p)?))))
                .collect();
            svg.band(&format!("band {}", class(index)), &band);
        }
        let line: Vec<Option<(f64, f64)>> = one
            .points
            .iter()
            .filter(whole)
            .map(|p| (panel.value)(p, width).map(|value| (middle(p), y.at(value))))
            .collect();
        svg.polyline(&format!("line {}", class(index)), &line);
    }
}

fn scale(panel: &Panel, series: &[Series], width: f64) -> Scale {
    let points = || series.iter().flat_map(|one| &one.points);
    let values = || points().filter_map(|point| (panel.value)(point, width));
    let uppers = points().filter_map(|point| panel.upper.and_then(|upper| upper(point)));
    let highest = values().chain(uppers).fold(0.0, f64::max);
    if panel.log {
        let lowest = values().fold(f64::INFINITY, f64::min);
        Scale::decades(lowest, highest)
    } else {
        Scale::Linear {
            from: 0.0,
            to: if highest > 0.0 { highest * 1.08 } else { 1.0 },
        }
    }
}

/// Ticks are round, so they need no decimals.
fn tick_millis(ms: f64) -> String {
    if ms >= 1000.0 {
        format!("{} s", number(ms / 1000.0))
    } else {
        format!("{} ms", number(ms))
    }
}

fn time_axis(svg: &mut Svg, x: &Axis, y: f64) {
    for tick in x.ticks(10) {
        svg.line("axis", x.at(tick), y, x.at(tick), y + 5.0);
        svg.text("chart-label", x.at(tick), y + 18.0, "middle", &number(tick));
    }
    svg.text(
        "chart-label",
        LEFT + PLOT_WIDTH / 2.0,
        y + 36.0,
        "middle",
        "seconds since the load started",
    );
}

/// An invisible column over every bucket, with all figures of that moment.
fn hover(svg: &mut Svg, experiment: &Experiment, x: &Axis, top: f64, bottom: f64) {
    let width = experiment.timeline.bucket_seconds;
    let Some(first) = experiment.timeline.series.first() else {
        return;
    };
    for (index, point) in first.points.iter().enumerate() {
        let (from, to) = (
            x.at(point.t_s),
            x.at(point.t_s + width).min(LEFT + PLOT_WIDTH),
        );
        let mut lines = vec![format!(
            "{} to {}",
            units::seconds(point.t_s),
            units::seconds(point.t_s + width)
        )];
        for (variant, series) in experiment.variants.iter().zip(&experiment.timeline.series) {
            let Some(point) = series.points.get(index) else {
                continue;
            };
            let mut line = variant.label.to_owned();
            for (panel, unit) in PANELS.iter().zip([" median", " served/s", " failed/s"]) {
                let value = (panel.value)(point, width).map_or("-".to_owned(), panel.format);
                line += &format!(
                    "{} {value}{unit}",
                    if line == variant.label { ":" } else { "," }
                );
            }
            lines.push(line);
        }
        svg.open_group();
        svg.rect(
            "hover",
            from,
            top + STRIP_HEIGHT + STRIP_GAP / 2.0,
            to - from,
            bottom - top - STRIP_HEIGHT - STRIP_GAP / 2.0,
        );
        svg.tooltip(&lines.join("\n"));
        svg.close_group();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::markup::check_well_formed;
    use crate::report::samples;

    #[test]
    fn pictures_are_well_formed_whatever_the_names_are() {
        for in_page in [true, false] {
            let picture = picture(&samples::experiment(), in_page);
            check_well_formed(&picture).unwrap();
            assert!(
                picture.contains("<title")
                    && picture.contains("<desc")
                    && picture.contains("role=\"img\"")
            );
        }
    }

    #[test]
    fn a_picture_of_its_own_brings_its_style_and_nothing_from_elsewhere() {
        let picture = picture(&samples::experiment(), false);
        assert!(picture.contains("<style>"));
        let without_namespace = picture.replace("http://www.w3.org/2000/svg", "");
        assert!(!without_namespace.contains("http") && !picture.contains("@import"));
    }

    #[test]
    fn a_short_trial_is_still_seen() {
        let mut experiment = samples::experiment();
        experiment.breakers[0].transitions[2].at_s =
            experiment.breakers[0].transitions[1].at_s + 0.001;
        let picture = picture(&experiment, true);
        assert!(picture.contains("width=\"3\" height=\"18\""), "{picture}");
    }

    #[test]
    fn a_run_in_which_nothing_was_answered_is_drawn_too() {
        let mut experiment = samples::experiment();
        for series in &mut experiment.timeline.series {
            series.points.iter_mut().for_each(|point| {
                (point.median_ms, point.p95_ms, point.answered, point.failed) = (None, None, 0, 0);
            });
        }
        let picture = picture(&experiment, true);
        check_well_formed(&picture).unwrap();
        assert!(!picture.contains("NaN") && !picture.contains("inf"));
    }
}
