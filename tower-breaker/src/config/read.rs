//! Reads a configuration, and tells of every key in it that nobody knows, with its path.
//!
//! Serde gives up at the first. So here a table's unknown keys are passed over and noted, and what is noted when the whole has been
//! read, or when a value turns out to be wrong, is the error.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    marker::PhantomData,
};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

use super::Keyed;

/// Where in the configuration something is.
#[derive(Debug, Clone, Copy)]
enum Step {
    Key(&'static str),
    Index(usize),
}

/// What is known of the configuration that is being read on this thread.
#[derive(Default)]
struct Notes {
    path: Vec<Step>,
    unknown: Vec<String>,
}

thread_local! {
    static NOTES: RefCell<Notes> = RefCell::default();
}

/// Notes of one configuration. One may be read while another one is, if a format or a wrapper does so.
struct Reading {
    outer: Notes,
}

impl Reading {
    fn begin() -> Self {
        Self {
            outer: NOTES.take(),
        }
    }

    fn unknown(&self) -> Vec<String> {
        NOTES.with_borrow_mut(|notes| std::mem::take(&mut notes.unknown))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        NOTES.set(std::mem::take(&mut self.outer));
    }
}

/// Reads a table.
pub(crate) fn read<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let reading = Reading::begin();
    // No format says by itself in which key, of which table, a value is wrong.
    let read = serde_path_to_error::deserialize(deserializer);
    let mut problems = reading.unknown();
    match read {
        Ok(Keyed(table)) if problems.is_empty() => return Ok(table),
        Ok(_) => {}
        Err(error) => {
            let path = error.path().to_string();
            if path == "." && problems.is_empty() {
                return Err(error.into_inner());
            }
            let inner = error.into_inner().to_string();
            let inner = inner.trim_end();
            problems.push(match path.as_str() {
                "." => inner.to_owned(),
                path => format!("`{path}`: {inner}"),
            });
        }
    }
    Err(D::Error::custom(problems.join("; ")))
}

/// Reads the keys of a table that somebody has begun to read.
pub(super) fn table<'de, T, A>(map: A) -> Result<T, A::Error>
where
    T: Deserialize<'de>,
    A: MapAccess<'de>,
{
    T::deserialize(TableDeserializer(map))
}

/// Reads the next table of a list, which is number so many.
pub(super) fn element<'de, T, A>(list: &mut A, index: usize) -> Result<Option<T>, A::Error>
where
    T: Deserialize<'de>,
    A: SeqAccess<'de>,
{
    list.next_element_seed(At(Step::Index(index), PhantomData::<T>))
}

/// What is read meanwhile is there.
struct At<T>(Step, T);

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for At<T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        NOTES.with_borrow_mut(|notes| notes.path.push(self.0));
        let value = self.1.deserialize(deserializer);
        NOTES.with_borrow_mut(|notes| notes.path.pop());
        value
    }
}

struct TableDeserializer<A>(A);

impl<'de, A: MapAccess<'de>> Deserializer<'de> for TableDeserializer<A> {
    type Error = A::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(KnownKeys {
            map: self.0,
            known,
            key: "",
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Of a table, what there is a field for.
struct KnownKeys<A> {
    map: A,
    known: &'static [&'static str],
    // The last one.
    key: &'static str,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for KnownKeys<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if let Some(known) = self.known.iter().find(|known| **known == key) {
                self.key = known;
                let key: StrDeserializer<'_, A::Error> = known.into_deserializer();
                return seed.deserialize(key).map(Some);
            }
            self.map.next_value::<IgnoredAny>()?;
            NOTES.with_borrow_mut(|notes| notes.note_unknown(&key, self.known));
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(At(Step::Key(self.key), seed))
    }
}

impl Notes {
    fn note_unknown(&mut self, key: &str, known: &[&str]) {
        let mut note = String::from("`");
        for (index, step) in self.path.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Key(key) if index == 0 => write!(note, "{key}"),
                Step::Key(key) => write!(note, ".{key}"),
                Step::Index(index) => write!(note, "[{index}]"),
            };
        }
        let dot = if self.path.is_empty() { "" } else { "." };
        let _ = write!(
            note,
            "{dot}{key}`: unknown field `{key}`, expected {}",
            OneOf(known)
        );
        self.unknown.push(note);
    }
}

struct OneOf<'a>(&'a [&'a str]);

impl fmt::Display for OneOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() > 1 {
            f.write_str("one of ")?;
        }
        for (index, key) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{key}`")?;
        }
        Ok(())
    }
}
