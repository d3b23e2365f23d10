//! Reading JSON strictly: a key that nobody asked for is an error.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value};

pub struct Fields<'a> {
    place: String,
    all: &'a Map<String, Value>,
    unread: BTreeSet<&'a str>,
}

impl<'a> Fields<'a> {
    pub fn of(place: impl Into<String>, value: &'a Value) -> Result<Self, String> {
        let place = place.into();
        let Value::Object(all) = value else {
            return Err(format!("{place}: {value} is not an object"));
        };
        let unread = all.keys().map(String::as_str).collect();
        Ok(Self { place, all, unread })
    }

    pub fn get(&mut self, key: &str) -> Option<&'a Value> {
        self.unread.remove(key);
        self.all.get(key)
    }

    pub fn number(&mut self, key: &str) -> Result<Option<u64>, String> {
        self.read(key, Value::as_u64)
    }

    pub fn word(&mut self, key: &str) -> Result<Option<&'a str>, String> {
        self.read(key, Value::as_str)
    }

    pub fn flag(&mut self, key: &str) -> Result<bool, String> {
        Ok(self.read(key, Value::as_bool)?.unwrap_or(false))
    }

    pub fn list(&mut self, key: &str) -> Result<Option<&'a Vec<Value>>, String> {
        self.read(key, Value::as_array)
    }

    /// The object under this key, or an empty one.
    pub fn object(&mut self, key: &str) -> Result<Fields<'a>, String> {
        static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        match self.get(key) {
            Some(value) => Fields::of(format!("{}.{key}", self.place), value),
            None => Ok(Fields {
                place: format!("{}.{key}", self.place),
                all: &EMPTY,
                unread: BTreeSet::new(),
            }),
        }
    }

    pub fn need<T>(&self, key: &str, value: Option<T>) -> Result<T, String> {
        value.ok_or_else(|| format!("{}: `{key}` is missing", self.place))
    }

    pub fn unknown<T>(&self, key: &str, value: impl std::fmt::Debug) -> Result<T, String> {
        Err(format!(
            "{}: `{key}` is {value:?}, which is not understood",
            self.place
        ))
    }

    pub fn end(self) -> Result<(), String> {
        if self.unread.is_empty() {
            Ok(())
        } else {
            Err(format!("{}: not understood: {:?}", self.place, self.unread))
        }
    }

    fn read<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => self.unknown(key, value),
            },
        }
    }
}
