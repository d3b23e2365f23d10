//! From values to positions, and the round values worth a label.

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    Linear {
        from: f64,
        to: f64,
    },
    /// From one power of ten to another.
    Log {
        from: i32,
        to: i32,
    },
}

impl Scale {
    /// The decades that contain both values, and one at least.
    pub fn decades(lowest: f64, highest: f64) -> Self {
        if !(lowest > 0.0 && lowest.is_finite() && highest >= lowest) {
            return Scale::Log { from: 0, to: 1 };
        }
        let from = lowest.log10().floor() as i32;
        Scale::Log {
            from,
            to: (highest.log10().ceil() as i32).max(from + 1),
        }
    }
}

/// A scale laid over a stretch of the picture.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    scale: Scale,
    start: f64,
    end: f64,
}

impl Axis {
    pub fn new(scale: Scale, start: f64, end: f64) -> Self {
        Self { scale, start, end }
    }

    /// Values outside the scale are drawn at its edge.
    pub fn at(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear { from, to } => (value - from) / (to - from),
            Scale::Log { from, to } => {
                let value = value.max(f64::MIN_POSITIVE).log10();
                (value - f64::from(from)) / f64::from(to - from)
            }
        };
        let part = if part.is_finite() {
            part.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self.start + part * (self.end - self.start)
    }

    /// About `wanted` round values; on a logarithmic scale every power of ten.
    pub fn ticks(&self, wanted: usize) -> Vec<f64> {
        match self.scale {
            Scale::Log { from, to } => (from..=to).map(|power| 10f64.powi(power)).collect(),
            Scale::Linear { from, to } => {
                let step = round_step((to - from) / wanted.max(1) as f64);
                let first = (from / step).ceil() as i64;
                let last = (to / step + 1e-9).floor() as i64;
                (first..=last).map(|n| n as f64 * step).collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, and no smaller than asked.
fn round_step(least: f64) -> f64 {
    if !(least > 0.0 && least.is_finite()) {
        return 1.0;
    }
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|n| n * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_maps_ends_and_middle_and_keeps_to_its_edges() {
        let axis = Axis::new(
            Scale::Linear {
                from: 0.0,
                to: 50.0,
            },
            100.0,
            200.0,
        );
        assert_eq!(
            (axis.at(0.0), axis.at(25.0), axis.at(50.0), axis.at(80.0)),
            (100.0, 150.0, 200.0, 200.0)
        );
        assert_eq!(axis.ticks(5), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
    }

    #[test]
    fn a_logarithmic_axis_has_a_tick_at_every_decade() {
        let axis = Axis::new(Scale::decades(2.0, 4200.0), 0.0, 40.0);
        assert_eq!(axis.ticks(4), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert!((axis.at(100.0) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn odd_values_still_make_a_scale() {
        assert_eq!(
            Scale::decades(f64::INFINITY, 0.0),
            Scale::Log { from: 0, to: 1 }
        );
        assert_eq!(Scale::decades(5.0, 5.0), Scale::Log { from: 0, to: 1 });
        assert_eq!(Scale::decades(10.0, 10.0), Scale::Log { from: 1, to: 2 });
        let flat = Axis::new(Scale::Linear { from: 0.0, to: 0.0 }, 10.0, 20.0);
        assert_eq!(flat.at(0.0), 10.0);
        assert!(!flat.ticks(4).is_empty());
    }
}
