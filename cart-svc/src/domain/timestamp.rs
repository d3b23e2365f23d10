//! Wall-clock time, as it is stored and shown.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in milliseconds since 1970; RFC 3339 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last moment that RFC 3339 can write (9999-12-31T23:59:59.999Z).
    const LAST: u64 = 253_402_300_799_999;

    /// Now, by the machine's clock.
    pub fn now() -> Timestamp {
        SystemTime::now().into()
    }

    /// A moment from stored milliseconds; clamped to what can be written.
    pub fn from_millis(millis: i64) -> Timestamp {
        Timestamp(u64::try_from(millis).unwrap_or(0).min(Self::LAST))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        // `LAST` is far below `i64::MAX`.
        self.0 as i64
    }

    /// How long ago `self` was at `now`; zero when the clock was set back in between.
    pub fn age_at(self, now: Timestamp) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.0))
    }

    /// `self` minus `span`, not before 1970.
    #[must_use]
    pub fn before(self, span: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(
            u64::try_from(since.as_millis())
                .unwrap_or(Self::LAST)
                .min(Self::LAST),
        )
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(at.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis((*self).into()).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text)
            .map(Timestamp::from)
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_as_it_was_written() {
        let at = Timestamp::from_millis(1_763_712_000_123);
        let written = serde_json::to_string(&at).unwrap();
        assert_eq!(written, "\"2025-11-21T08:00:00.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&written).unwrap(), at);
    }

    #[test]
    fn nonsense_from_a_file_is_clamped_not_a_panic() {
        for millis in [i64::MIN, -1, i64::MAX] {
            let _ = Timestamp::from_millis(millis).to_string();
        }
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_age() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_500));
        assert_eq!(early.age_at(late), Duration::from_millis(2_500));
        assert_eq!(late.age_at(early), Duration::ZERO);
    }
}
