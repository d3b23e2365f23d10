//! Writes SVG elements. Every text and attribute that comes from outside is escaped here.

use std::fmt::Write;

use crate::report::markup::escape;

pub struct Svg {
    text: String,
}

impl Svg {
    /// `title` and `description` are what a screen reader says of the picture.
    pub fn new(width: f64, height: f64, id: &str, title: &str, description: &str) -> Self {
        let (id, width, height) = (escape(id), number(width), number(height));
        let text = format!(
            "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"{id}-chart-title {id}-chart-desc\">\n<title id=\"{id}-chart-title\">{}</title>\n\
             <desc id=\"{id}-chart-desc\">{}</desc>\n",
            escape(title),
            escape(description)
        );
        Self { text }
    }

    /// Trusted markup, written by this program.
    pub fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
        self.text.push('\n');
    }

    pub fn style(&mut self, css: &str) {
        self.raw(&format!("<style>{}</style>", escape(css)));
    }

    pub fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        self.raw(&format!(
            "<rect class=\"{class}\" {}/>",
            place(x, y, width, height)
        ));
    }

    pub fn filled_rect(
        &mut self,
        class: &str,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        fill: &str,
    ) {
        self.raw(&format!(
            "<rect class=\"{class}\" fill=\"{}\" {}/>",
            escape(fill),
            place(x, y, width, height)
        ));
    }

    pub fn line(&mut self, class: &str, x0: f64, y0: f64, x1: f64, y1: f64) {
        let (x0, y0, x1, y1) = (number(x0), number(y0), number(x1), number(y1));
        self.raw(&format!(
            "<line class=\"{class}\" x1=\"{x0}\" y1=\"{y0}\" x2=\"{x1}\" y2=\"{y1}\"/>"
        ));
    }

    /// `anchor`: start, middle or end.
    pub fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
        let (x, y) = (number(x), number(y));
        let text = escape(text);
        self.raw(&format!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    pub fn open_group(&mut self) {
        self.raw("<g>");
    }

    pub fn tooltip(&mut self, text: &str) {
        self.raw(&format!("<title>{}</title>", escape(text)));
    }

    pub fn close_group(&mut self) {
        self.raw("</g>");
    }

    /// A line that is interrupted where there is no value; a value alone becomes a dot.
    pub fn polyline(&mut self, class: &str, points: &[Option<(f64, f64)>]) {
        for run in points.split(Option::is_none) {
            let run: Vec<(f64, f64)> = run.iter().copied().flatten().collect();
            match run.as_slice() {
                [] => {}
                [(x, y)] => {
                    let class = class.replacen("line", "dot", 1);
                    self.raw(&format!(
                        "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"2.2\"/>",
                        number(*x),
                        number(*y)
                    ));
                }
                run => {
                    let points = joined(run.iter().copied());
                    self.raw(&format!(
                        "<polyline class=\"{class}\" points=\"{points}\"/>"
                    ));
                }
            }
        }
    }

    /// The area between a lower and an upper line, interrupted where there is no value.
    pub fn band(&mut self, class: &str, points: &[Option<(f64, f64, f64)>]) {
        for run in points.split(Option::is_none) {
            let run: Vec<(f64, f64, f64)> = run.iter().copied().flatten().collect();
            if run.len() > 1 {
                let along = run.iter().map(|(x, lower, _)| (*x, *lower));
                let back = run.iter().rev().map(|(x, _, upper)| (*x, *upper));
                self.raw(&format!(
                    "<polygon class=\"{class}\" points=\"{}\"/>",
                    joined(along.chain(back))
                ));
            }
        }
    }

    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

fn joined(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut text = String::new();
    for (x, y) in points {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{},{}", number(x), number(y));
    }
    text
}

fn place(x: f64, y: f64, width: f64, height: f64) -> String {
    let (x, y, width, height) = (
        number(x),
        number(y),
        number(width.max(0.0)),
        number(height.max(0.0)),
    );
    format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"")
}

/// At most two decimals and no trailing zeros.
pub fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}
