//! A table of the configuration, read by the table of its keys: what a key takes and is otherwise is said there, and only there.

use std::{fmt::Display, net::SocketAddr, path::PathBuf, time::Duration};

use http::Uri;
use service_kit::config::{Section, TextOrTable, WEB_URL};

use crate::config::keys::{Is, Key, Otherwise, Table};

/// One table that is being read. Values of the wrong kind, and those that are missing, are noted as errors by the section, and
/// something usable stands in for them.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    section: Section<'a>,
    table: &'static Table,
}

/// One item of a list of endpoints.
pub(super) enum Item<'a> {
    Url(String),
    Table(Fields<'a>),
}

impl<'a> Fields<'a> {
    pub fn new(section: Section<'a>, table: &'static Table) -> Self {
        Self { section, table }
    }

    /// For what is read by service-kit.
    pub fn section(&mut self) -> &mut Section<'a> {
        &mut self.section
    }

    pub fn contains(&self, name: &str) -> bool {
        self.section.contains(name)
    }

    /// Whether no other key of the table is there.
    pub fn has_only(&self, name: &str) -> bool {
        self.table
            .keys()
            .all(|key| key.name == name || !self.contains(key.name))
    }

    /// Refuses a value that is of the right kind, and out of place.
    pub fn reject(&mut self, name: &str, allowed: impl Display) {
        self.section.reject(name, allowed);
    }

    /// Refuses a value as one that the key does not take.
    fn reject_format(&mut self, key: &Key) {
        let (Is::Text(format) | Is::Texts(format) | Is::TextTable(format)) = key.is else {
            mismatch(key)
        };
        self.section.reject(key.name, format);
    }

    pub fn reject_item(&mut self, name: &str, index: usize, allowed: &str) {
        self.section.reject_item(name, index, allowed);
    }

    /// A key that is needed, because of another one, is not there.
    pub fn need(&mut self, name: &str) {
        if !self.contains(name) {
            let key = self.table.key(name);
            match (key.is, key.otherwise) {
                (Is::Text(format), _) => self.section.reject(name, format),
                (Is::Url, _) => self.section.reject(name, WEB_URL),
                (_, Otherwise::Absent(when)) => self.section.reject(name, when),
                _ => self.section.reject(name, "a value"),
            }
        }
    }

    pub fn integer(&mut self, name: &str) -> i64 {
        let key = self.table.key(name);
        let (Is::Integer(min, max), Otherwise::Integer(default)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        self.section.integer(name, default, min..=max)
    }

    pub fn opt_integer(&mut self, name: &str) -> Option<i64> {
        let key = self.table.key(name);
        let (Is::Integer(min, max), Otherwise::Absent(_)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        self.section.opt_integer(name, min..=max)
    }

    /// A number whose range fits.
    pub fn count(&mut self, name: &str) -> u32 {
        u32::try_from(self.integer(name)).unwrap_or(u32::MAX)
    }

    pub fn size(&mut self, name: &str) -> u64 {
        let key = self.table.key(name);
        let (Is::Size(min, max), Otherwise::Size(default)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        self.section.bytes(name, default, min..=max)
    }

    pub fn number(&mut self, name: &str) -> f64 {
        let key = self.table.key(name);
        let (Is::Number(min, max), Otherwise::Number(default)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        self.section.float(name, default, min..=max)
    }

    pub fn flag(&mut self, name: &str) -> bool {
        let key = self.table.key(name);
        let (Is::Flag, Otherwise::Flag(default)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        self.section.boolean(name, default)
    }

    pub fn duration(&mut self, name: &str) -> Duration {
        let key = self.table.key(name);
        let (Is::Duration(min, max), Otherwise::Duration(default)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        self.section.duration(name, default, min..=max)
    }

    pub fn opt_duration(&mut self, name: &str) -> Option<Duration> {
        let key = self.table.key(name);
        let (Is::Duration(min, max), Otherwise::Absent(_)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        self.section.opt_duration(name, min..=max)
    }

    /// A word of those that the key takes; the empty text if a required one is missing or wrong.
    pub fn word(&mut self, name: &str) -> String {
        let key = self.table.key(name);
        match (key.is, key.otherwise) {
            (Is::Word(words), Otherwise::Text(default)) => {
                self.section.choice(name, default, words)
            }
            (Is::Word(words), Otherwise::Required) => {
                let found = self.section.opt_choice(name, words);
                if !self.contains(name) {
                    self.section
                        .reject(name, format!("one of {}", words.join(", ")));
                }
                found.unwrap_or_default()
            }
            _ => mismatch(key),
        }
    }

    pub fn words(&mut self, name: &str) -> Vec<String> {
        let key = self.table.key(name);
        let (Is::Words(words), Otherwise::Texts(default)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        self.section.choices(name, default, words)
    }

    pub fn integers(&mut self, name: &str) -> Vec<i64> {
        let key = self.table.key(name);
        let (Is::Integers(min, max), Otherwise::Integers(default)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        self.section.integers(name, default, min..=max)
    }

    /// A text; the empty one if a required one is missing.
    pub fn text(&mut self, name: &str) -> String {
        let key = self.table.key(name);
        match (key.is, key.otherwise) {
            (Is::Text(_), Otherwise::Text(default)) => self.section.string(name, default),
            (Is::Text(_), Otherwise::Required) => self.section.required_string(name),
            (Is::Text(_), Otherwise::Absent(_)) => {
                self.section.opt_string(name).unwrap_or_default()
            }
            _ => mismatch(key),
        }
    }

    /// A text that means something; nothing if it is absent or wrong.
    pub fn parsed<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let key = self.table.key(name);
        let has_default = matches!(key.otherwise, Otherwise::Text(_));
        let text = self.text(name);
        if !has_default && (text.is_empty() || !self.contains(name)) {
            // A required one that is not there has been noted; an empty one that is optional has not.
            if self.contains(name) && matches!(key.otherwise, Otherwise::Absent(_)) {
                self.reject_format(key);
            }
            return None;
        }
        let parsed = parse(&text);
        if parsed.is_none() {
            self.reject_format(key);
        }
        parsed
    }

    /// Texts that mean something; those that do not are left out.
    pub fn all_parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let key = self.table.key(name);
        let (Is::Texts(format), Otherwise::Texts(default)) = (key.is, key.otherwise) else {
            mismatch(key)
        };
        let texts = self.section.strings(name, default);
        let mut parsed = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match parse(text) {
                Some(value) => parsed.push(value),
                None => self.section.reject_item(name, index, format),
            }
        }
        parsed
    }

    pub fn text_table(&mut self, name: &str) -> Vec<(String, String)> {
        let key = self.table.key(name);
        let Is::TextTable(_) = key.is else {
            mismatch(key)
        };
        self.section.text_table(name)
    }

    pub fn address(&mut self, name: &str) -> Option<SocketAddr> {
        let key = self.table.key(name);
        let (Is::Address, Otherwise::Required | Otherwise::Absent(_)) = (key.is, key.otherwise)
        else {
            mismatch(key)
        };
        let address = self.section.opt_socket_addr(name);
        if matches!(key.otherwise, Otherwise::Required) && !self.contains(name) {
            self.section.reject(name, "IP:PORT");
        }
        address
    }

    pub fn file(&mut self, name: &str) -> Option<PathBuf> {
        let key = self.table.key(name);
        let Is::File = key.is else { mismatch(key) };
        let path = self.section.opt_path(name);
        if matches!(key.otherwise, Otherwise::Required) && !self.contains(name) {
            self.section.reject(name, "the path of a file");
        }
        path
    }

    pub fn url(&mut self, name: &str) -> Option<Uri> {
        let key = self.table.key(name);
        let Is::Url = key.is else { mismatch(key) };
        let url = self.section.web_url(name);
        if matches!(key.otherwise, Otherwise::Required) {
            self.need(name);
        }
        url
    }

    pub fn table(&mut self, name: &str) -> Option<Self> {
        let table = self.inner(name);
        let section = self.section.section(name)?;
        Some(Self::new(section, table))
    }

    pub fn table_or_empty(&mut self, name: &str) -> Self {
        let table = self.inner(name);
        Self::new(self.section.section_or_empty(name), table)
    }

    pub fn tables(&mut self, name: &str) -> Vec<Self> {
        let key = self.table.key(name);
        let Is::Tables(table) = key.is else {
            mismatch(key)
        };
        let sections = self.section.list(name);
        sections
            .into_iter()
            .map(|section| Self::new(section, table))
            .collect()
    }

    pub fn named(&mut self, name: &str) -> Vec<(String, Self)> {
        let key = self.table.key(name);
        let Is::Named(table) = key.is else {
            mismatch(key)
        };
        let sections = self.section.sections(name);
        sections
            .into_iter()
            .map(|(name, section)| (name, Self::new(section, table)))
            .collect()
    }

    pub fn endpoints(&mut self, name: &str) -> Vec<Item<'a>> {
        let key = self.table.key(name);
        let Is::Endpoints(table) = key.is else {
            mismatch(key)
        };
        let allowed = "a list of at least one endpoint: addresses like \"http://10.0.0.1:80\" and tables like { url = \"http://10.0.0.1:80\", weight = 2 }";
        let items = self.section.texts_or_tables(name, "url", allowed);
        items
            .into_iter()
            .map(|item| match item {
                TextOrTable::Text(text) => Item::Url(text),
                TextOrTable::Table(section) => Item::Table(Self::new(section, table)),
            })
            .collect()
    }

    fn inner(&self, name: &str) -> &'static Table {
        let key = self.table.key(name);
        match key.is {
            Is::Table(table) => table,
            _ => mismatch(key),
        }
    }
}

/// The reader and the table of keys are both ours; a test reads every key.
fn mismatch(key: &Key) -> ! {
    panic!("{}: read as another kind than it is: {key:?}", key.name)
}
