//! Values that serde does not read by itself: durations, and what may be written in more than one way.

use std::{fmt, marker::PhantomData, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, SeqAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};

use super::read::{element, table};

const DURATION: &str = r#"a duration as text with its unit, like "250ms", "5s" or "1m 30s" (a bare number has no unit)"#;
const NONE: &str = "none";

fn parse<E: Error>(text: &str, expected: &dyn serde::de::Expected) -> Result<Duration, E> {
    humantime::parse_duration(text).map_err(|_| E::invalid_value(Unexpected::Str(text), expected))
}

fn write<S: Serializer>(time: Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(time))
}

/// A duration with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Time(pub(crate) Duration);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(DURATION)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                parse(text, &self).map(Time)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// A duration, or the word for no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit(pub(crate) Option<Duration>);

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(time) => write(time, serializer),
            None => serializer.serialize_str(NONE),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{DURATION}, or {NONE:?}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Limit, E> {
                if text == NONE {
                    return Ok(Limit(None));
                }
                parse(text, &self).map(|time| Limit(Some(time)))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// A duration, or a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TimeOr<T> {
    Time(Time),
    Table(T),
}

impl<T: Serialize> Serialize for TimeOr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Time(time) => time.serialize(serializer),
            Self::Table(table) => table.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TimeOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TimeOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{DURATION}, or a table")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TimeOr<T>, E> {
                parse(text, &self).map(|time| TimeOr::Time(Time(time)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TimeOr<T>, A::Error> {
                table(map).map(TimeOr::Table)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A table and nothing else. What serde derives would also take a list, of the values without their keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Keyed<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Keyed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyTable<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyTable<T> {
            type Value = Keyed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Keyed<T>, A::Error> {
                table(map).map(Keyed)
            }
        }
        deserializer.deserialize_map(OnlyTable(PhantomData))
    }
}

/// A table whose keys must fit together.
pub(crate) trait Table {
    fn check(&self) -> Result<(), &'static str>;
}

/// A table, or a list of tables.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Tables<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de> + Table> Deserialize<'de> for Tables<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Table> Visitor<'de> for Either<T> {
            type Value = Tables<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, or a list of tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tables<T>, A::Error> {
                let Checked(table) = Checked::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Tables(vec![table]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tables<T>, A::Error> {
                let mut tables = Vec::new();
                while let Some(Checked(table)) = element(&mut seq, tables.len())? {
                    tables.push(table);
                }
                Ok(Tables(tables))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A table that is checked where it is read, so that the error is about that place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Checked<T>(pub(crate) T);

impl<'de, T: Deserialize<'de> + Table> Deserialize<'de> for Checked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Keyed(table) = Keyed::<T>::deserialize(deserializer)?;
        table.check().map_err(D::Error::custom)?;
        Ok(Self(table))
    }
}
