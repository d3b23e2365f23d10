//! Numbers as people read them. Every figure with a dimension carries its unit.

/// `4.2 ms`, `110 ms`, `30,011 ms`: one unit, so that figures can be compared at a glance.
pub fn millis(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms => format!("{} ms", thousands(ms.round() as u64)),
    }
}

/// `65 %`, `0.07 %`, `0 %`, `100 %`; never rounds some failures to none or to all.
pub fn share(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p == 0.0 || p == 100.0 => format!("{p:.0} %"),
        p if p < 1.0 => format!("{:.2} %", p.max(0.01)),
        p if p > 99.0 => format!("{:.1} %", p.min(99.9)),
        p => format!("{p:.0} %"),
    }
}

pub fn per_second(rate: f64) -> String {
    format!("{rate:.1} req/s")
}

pub fn seconds(s: f64) -> String {
    if s < 10.0 {
        format!("{s:.1} s")
    } else {
        format!("{s:.0} s")
    }
}

pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_rounding() {
        assert_eq!(millis(4.24), "4.2 ms");
        assert_eq!(millis(110.4), "110 ms");
        assert_eq!(millis(1950.0), "1,950 ms");
        assert_eq!(millis(30_011.0), "30,011 ms");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(seconds(48.7), "49 s");
    }

    #[test]
    fn a_share_is_never_rounded_to_none_or_all() {
        assert_eq!(share(0.0), "0 %");
        assert_eq!(share(1.0), "100 %");
        assert_eq!(share(1.0 / 1423.0), "0.07 %");
        assert_eq!(share(0.000_001), "0.01 %");
        assert_eq!(share(0.999_99), "99.9 %");
        assert_eq!(share(0.651), "65 %");
    }
}
