//! Numbers, flags, durations and sizes.

use super::Section;
use crate::config::tree::Kind;
use crate::config::values;
use std::ops::RangeInclusive;
use std::time::Duration;

impl Section<'_> {
    /// An integer within `range`.
    pub fn integer(&mut self, key: &str, default: i64, range: RangeInclusive<i64>) -> i64 {
        let value = self.opt_integer(key, range);
        self.or_default(key, value, default, i64::to_string)
    }

    /// An integer within `range` that may be absent.
    pub fn opt_integer(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let allowed = match (*range.start(), *range.end()) {
            (low, i64::MAX) => format!("an integer of at least {low}"),
            (low, high) => format!("an integer from {low} to {high}"),
        };
        self.scalar(key, allowed, i64::to_string, |kind, lenient| {
            let number = match kind {
                Kind::Integer(number) => Some(*number),
                Kind::String(text) if lenient => text.trim().parse().ok(),
                _ => None,
            };
            number.filter(|number| range.contains(number))
        })
    }

    /// A number within `range`; an integer is taken as well.
    pub fn float(&mut self, key: &str, default: f64, range: RangeInclusive<f64>) -> f64 {
        let value = self.opt_float(key, range);
        self.or_default(key, value, default, |number| format!("{number:?}"))
    }

    /// A number within `range` that may be absent.
    pub fn opt_float(&mut self, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let allowed = format!("a number from {} to {}", range.start(), range.end());
        self.scalar(
            key,
            allowed,
            |number| format!("{number:?}"),
            |kind, lenient| {
                let number = match kind {
                    Kind::Float(number) => Some(*number),
                    Kind::Integer(number) => Some(*number as f64),
                    Kind::String(text) if lenient => text.trim().parse().ok(),
                    _ => None,
                };
                number.filter(|number| range.contains(number))
            },
        )
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
        let value = self.opt_boolean(key);
        self.or_default(key, value, default, bool::to_string)
    }

    /// `true` or `false`, or absent.
    pub fn opt_boolean(&mut self, key: &str) -> Option<bool> {
        self.scalar(
            key,
            "true or false",
            bool::to_string,
            |kind, lenient| match kind {
                Kind::Boolean(flag) => Some(*flag),
                Kind::String(text) if lenient => values::parse_boolean(text),
                _ => None,
            },
        )
    }

    /// A duration such as `"500ms"`, within `range`.
    pub fn duration(
        &mut self,
        key: &str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let value = self.opt_duration(key, range);
        self.or_default(key, value, default, |value| {
            values::show_text(&values::show_duration(*value))
        })
    }

    /// A duration within `range` that may be absent.
    pub fn opt_duration(&mut self, key: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let low = values::show_duration(*range.start());
        let bounds = match *range.end() {
            Duration::MAX => format!("of at least {low}"),
            high => format!("from {low} to {}", values::show_duration(high)),
        };
        let allowed = format!("a duration {bounds}, written like \"500ms\", \"2s\" or \"1m 30s\"");
        self.scalar(
            key,
            allowed,
            |value| values::show_text(&values::show_duration(*value)),
            |kind, _| match kind {
                Kind::String(text) => {
                    values::parse_duration(text).filter(|value| range.contains(value))
                }
                _ => None,
            },
        )
    }

    /// A size such as `"64KiB"`, or a plain number of bytes, within `range`.
    pub fn bytes(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let value = self.opt_bytes(key, range);
        self.or_default(key, value, default, |value| {
            values::show_text(&values::show_bytes(*value))
        })
    }

    /// A size within `range` that may be absent.
    pub fn opt_bytes(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let low = values::show_bytes(*range.start());
        let bounds = match *range.end() {
            u64::MAX => format!("of at least {low}"),
            high => format!("from {low} to {}", values::show_bytes(high)),
        };
        let allowed = format!("a size {bounds}, written like \"64KiB\", \"1MB\" or 4096");
        self.scalar(
            key,
            allowed,
            |value| values::show_text(&values::show_bytes(*value)),
            |kind, _| {
                let bytes = match kind {
                    Kind::Integer(number) => u64::try_from(*number).ok(),
                    Kind::String(text) => values::parse_bytes(text),
                    _ => None,
                };
                bytes.filter(|bytes| range.contains(bytes))
            },
        )
    }
}
