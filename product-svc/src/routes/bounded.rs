use serde::Deserialize;

/// An integer query parameter from `LOW` to `HIGH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Bounded<const LOW: usize, const HIGH: usize>(usize);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, allowed: an integer from {low} to {high}")]
pub(super) struct OutOfBounds {
    found: String,
    low: usize,
    high: usize,
}

impl<const LOW: usize, const HIGH: usize> Bounded<LOW, HIGH> {
    pub(super) fn get(self) -> usize {
        self.0
    }
}

impl<const LOW: usize, const HIGH: usize> TryFrom<String> for Bounded<LOW, HIGH> {
    type Error = OutOfBounds;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Integer parsing alone takes a leading `+`.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && (LOW..=HIGH).contains(&number) => Ok(Self(number)),
            _ => Err(OutOfBounds {
                found: text,
                low: LOW,
                high: HIGH,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_lies_within_the_bounds_only() {
        let read = |text: &str| {
            Bounded::<1, 1000>::try_from(text.to_owned())
                .ok()
                .map(Bounded::get)
        };
        assert_eq!(read("1"), Some(1));
        assert_eq!(read("1000"), Some(1000));
        for text in [
            "",
            "0",
            "1001",
            "-1",
            "+1",
            "1.5",
            "ten",
            "1 ",
            "99999999999999999999999",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
