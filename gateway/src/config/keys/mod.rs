//! Every key there is: what it takes, what it is without being set, what it is for. The reader takes ranges and defaults from here,
//! the schema for editors ([`schema()`](schema::schema)) and the [reference](mod@reference) are made from it, so that they cannot disagree.

mod common;
mod gateway;
mod policy;
pub mod reference;
pub mod schema;
mod upstream;
mod write;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use gateway::ROOT;
pub use write::{duration as duration_text, size as size_text};

/// The keys of one table.
#[derive(Debug)]
pub struct Table {
    /// What the table is about.
    pub about: &'static str,
    /// Its keys; in groups, of which tables may share some.
    pub keys: &'static [&'static [Key]],
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub is: Is,
    /// What it is when it is not set.
    pub otherwise: Otherwise,
    /// What it is for.
    pub about: &'static str,
}

/// What a key takes. Ranges include both ends.
#[derive(Debug, Clone, Copy)]
pub enum Is {
    /// A whole number.
    Integer(i64, i64),
    /// A number.
    Number(f64, f64),
    /// `true` or `false`.
    Flag,
    /// A time, `"500ms"`.
    Duration(Duration, Duration),
    /// A number of bytes, `"64KiB"`.
    Size(u64, u64),
    /// A text, and what it must look like.
    Text(&'static str),
    /// One of these.
    Word(&'static [&'static str]),
    /// Some of these.
    Words(&'static [&'static str]),
    /// Texts, and what each must look like.
    Texts(&'static str),
    /// Whole numbers.
    Integers(i64, i64),
    /// `IP:PORT`.
    Address,
    /// The path of a file.
    File,
    /// An address with scheme.
    Url,
    /// A table.
    Table(&'static Table),
    /// Any number of tables, `[[name]]`.
    Tables(&'static Table),
    /// Tables whose names are chosen freely, `[name.NAME]`.
    Named(&'static Table),
    /// A table of texts whose keys are chosen freely; what they are.
    TextTable(&'static str),
    /// A list of addresses, or of tables with more than the address.
    Endpoints(&'static Table),
}

/// What a key is when it is not set.
#[derive(Debug, Clone, Copy)]
pub enum Otherwise {
    /// An error.
    Required,
    /// Nothing, which means this.
    Absent(&'static str),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Flag(bool),
    /// A time.
    Duration(Duration),
    /// A number of bytes.
    Size(u64),
    /// A text.
    Text(&'static str),
    /// Texts.
    Texts(&'static [&'static str]),
    /// Whole numbers.
    Integers(&'static [i64]),
}

impl Table {
    /// All of its keys.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().flat_map(|group| group.iter())
    }

    /// The key with this name.
    ///
    /// # Panics
    /// There is none. Only the reader asks, and it reads every key in the test of `full.toml`.
    #[must_use]
    pub fn key(&self, name: &str) -> &'static Key {
        match self.keys().find(|key| key.name == name) {
            Some(key) => key,
            None => panic!("{name}: not in the table of keys"),
        }
    }
}

/// What a key takes, and is otherwise: the two halves that belong together.
type Takes = (Is, Otherwise);

const fn key(name: &'static str, takes: Takes, about: &'static str) -> Key {
    Key {
        name,
        is: takes.0,
        otherwise: takes.1,
        about,
    }
}

const HOUR: u64 = 3_600_000;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn integer(min: i64, max: i64, default: i64) -> Takes {
    (Is::Integer(min, max), Otherwise::Integer(default))
}

const fn number(min: f64, max: f64, default: f64) -> Takes {
    (Is::Number(min, max), Otherwise::Number(default))
}

const fn flag(default: bool) -> Takes {
    (Is::Flag, Otherwise::Flag(default))
}

/// In milliseconds.
const fn duration(min: u64, max: u64, default: u64) -> Takes {
    (
        Is::Duration(ms(min), ms(max)),
        Otherwise::Duration(ms(default)),
    )
}

/// In milliseconds.
const fn no_duration(min: u64, max: u64, without: &'static str) -> Takes {
    (Is::Duration(ms(min), ms(max)), Otherwise::Absent(without))
}

const fn size(min: u64, max: u64, default: u64) -> Takes {
    (Is::Size(min, max), Otherwise::Size(default))
}

const fn text(format: &'static str, default: &'static str) -> Takes {
    (Is::Text(format), Otherwise::Text(default))
}

const fn no_text(format: &'static str, without: &'static str) -> Takes {
    (Is::Text(format), Otherwise::Absent(without))
}

const fn word(words: &'static [&'static str], default: &'static str) -> Takes {
    (Is::Word(words), Otherwise::Text(default))
}

const fn table(table: &'static Table, without: &'static str) -> Takes {
    (Is::Table(table), Otherwise::Absent(without))
}

const fn required(is: Is) -> Takes {
    (is, Otherwise::Required)
}
