//! The typed reader that services use: it never stops at the first error.

use super::error::{ConfigError, Origin};
use super::tree::{Kind, Node, Table};
use super::values;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// What one read of a configuration has found out so far; shared by all its sections.
#[derive(Debug)]
pub(crate) struct Reading {
    root: Table,
    /// The file (or built-in text) a missing key should have been in.
    home: Origin,
    found: RefCell<Found>,
}

#[derive(Debug, Default)]
struct Found {
    errors: Vec<ConfigError>,
    /// Every key asked for, with what it amounted to.
    asked: BTreeMap<Vec<String>, Option<Effective>>,
    order: Vec<Vec<String>>,
}

impl Found {
    /// A value of the wrong shape was refused as a whole; what is inside it is not worth a word more.
    fn is_refused(&self, path: &[String]) -> bool {
        let Some((name, parent)) = path.split_last() else {
            return false;
        };
        let path = dotted(parent, name);
        self.errors
            .iter()
            .any(|error| matches!(error, ConfigError::Invalid { key, .. } if *key == path))
    }
}

/// A key's value after merging, for `--print-config`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effective {
    pub value: String,
    pub origin: Origin,
}

impl Reading {
    pub fn new(root: Table, home: Origin) -> Self {
        Self {
            root,
            home,
            found: RefCell::default(),
        }
    }

    pub fn root(&self) -> Section<'_> {
        Section {
            reading: self,
            path: Vec::new(),
            table: Some(&self.root),
        }
    }

    pub fn into_outcome(self) -> (Vec<ConfigError>, Vec<(Vec<String>, Effective)>) {
        self.report_unknown(&mut Vec::new(), &self.root);
        let found = self.found.into_inner();
        let mut asked = found.asked;
        let effective = found
            .order
            .into_iter()
            .filter_map(|path| {
                let effective = asked.remove(&path).flatten()?;
                Some((path, effective))
            })
            .collect();
        (found.errors, effective)
    }

    fn report_unknown(&self, path: &mut Vec<String>, table: &Table) {
        for (key, node) in table {
            path.push(key.clone());
            if !self.found.borrow().asked.contains_key(path) {
                self.push_unknown(path, node);
            } else if !self.found.borrow().is_refused(path) {
                match &node.kind {
                    Kind::Table(inner) => self.report_unknown_in(path, inner),
                    Kind::List(items) => {
                        for (index, item) in items.iter().enumerate() {
                            path.push(index.to_string());
                            if let Some(inner) = item.as_table() {
                                self.report_unknown_in(path, inner);
                            }
                            path.pop();
                        }
                    }
                    _ => {}
                }
            }
            path.pop();
        }
    }

    /// A table whose own keys were never read was refused as a whole already.
    fn report_unknown_in(&self, path: &mut Vec<String>, table: &Table) {
        let entered = self.found.borrow().asked.contains_key(path.as_slice());
        if entered {
            self.report_unknown(path, table);
        }
    }

    fn push_unknown(&self, path: &[String], node: &Node) {
        let (key, parent) = match path.split_last() {
            Some(split) => split,
            None => return,
        };
        let mut found = self.found.borrow_mut();
        let known: Vec<String> = found
            .asked
            .keys()
            .filter_map(|asked| match asked.split_last() {
                Some((name, above)) if above == parent => Some(name.clone()),
                _ => None,
            })
            .collect();
        let nearest = nearest(key, &known).map(|name| dotted(parent, &name));
        let error = ConfigError::Unknown {
            origin: node.first_origin().clone(),
            key: dotted(parent, key),
            nearest,
            known,
        };
        found.errors.push(error);
    }
}

fn nearest(key: &str, known: &[String]) -> Option<String> {
    let plain = key.to_ascii_lowercase().replace('-', "_");
    let (distance, name) = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&plain, name), name))
        .min()?;
    // Beyond a third of the word a hint misleads more than it helps.
    (distance <= name.len().div_ceil(3)).then(|| name.clone())
}

fn dotted(parent: &[String], key: &str) -> String {
    let mut text = String::new();
    for part in parent.iter().map(String::as_str).chain([key]) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            text.push_str(&format!("[{part}]"));
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(part);
    }
    text
}

/// One table of the configuration, read key by key.
///
/// Every getter returns a usable value; when the configuration holds something else, the error (where, which key, what
/// was found, what is allowed) is kept and reported with all others at the end. A key nobody asked for is refused as
/// unknown. Values from environment variables and `--set` are text and are read leniently: `"8"` is an integer,
/// `"true"` a boolean, `"a,b"` a list.
#[derive(Debug)]
pub struct Section<'a> {
    reading: &'a Reading,
    path: Vec<String>,
    table: Option<&'a Table>,
}

impl<'a> Section<'a> {
    /// The section's last key: the `NAME` of `[upstreams.NAME]`; empty for the root.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The full dotted key of one of this section's keys.
    pub fn key(&self, key: &str) -> String {
        dotted(&self.path, key)
    }

    /// Whether the configuration holds the key.
    pub fn contains(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    fn node(&self, key: &str) -> Option<&'a Node> {
        self.table.and_then(|table| table.get(key))
    }

    fn child(&self, key: &str) -> Vec<String> {
        self.path.iter().cloned().chain([key.to_owned()]).collect()
    }

    fn ask(&mut self, path: Vec<String>, effective: Option<Effective>) {
        let mut found = self.reading.found.borrow_mut();
        if !found.asked.contains_key(&path) {
            found.order.push(path.clone());
        }
        let slot = found.asked.entry(path).or_default();
        if effective.is_some() {
            *slot = effective;
        }
    }

    fn note(&mut self, key: &str, value: String, origin: &Origin) {
        self.ask(
            self.child(key),
            Some(Effective {
                value,
                origin: origin.clone(),
            }),
        );
    }

    fn push(&mut self, error: ConfigError) {
        let mut found = self.reading.found.borrow_mut();
        // The same key may be read twice (by the kit and by the service); one complaint is enough.
        if !found.errors.contains(&error) {
            found.errors.push(error);
        }
    }

    fn invalid(&mut self, key: &str, node: &Node, allowed: &dyn Display) {
        self.push(ConfigError::Invalid {
            origin: node.first_origin().clone(),
            key: self.key(key),
            found: node.kind.to_string(),
            allowed: allowed.to_string(),
        });
    }

    fn missing(&mut self, key: &str, allowed: &dyn Display) {
        let error = ConfigError::Missing {
            origin: self.reading.home.clone(),
            key: self.key(key),
            allowed: allowed.to_string(),
        };
        self.push(error);
    }

    /// Reads a scalar: the value if it is there and right, else `None` (with the error noted if it is there and wrong).
    fn scalar<T>(
        &mut self,
        key: &str,
        allowed: impl Display,
        show: impl FnOnce(&T) -> String,
        convert: impl FnOnce(&Kind, bool) -> Option<T>,
    ) -> Option<T> {
        self.ask(self.child(key), None);
        let node = self.node(key)?;
        match convert(&node.kind, node.origin.is_text()) {
            Some(value) => {
                self.note(key, show(&value), &node.origin);
                Some(value)
            }
            None => {
                self.invalid(key, node, &allowed);
                None
            }
        }
    }

    fn or_default<T>(
        &mut self,
        key: &str,
        value: Option<T>,
        default: T,
        show: impl FnOnce(&T) -> String,
    ) -> T {
        match value {
            Some(value) => value,
            None => {
                self.note(key, show(&default), &Origin::Default);
                default
            }
        }
    }

    /// Refuses the value of `key` for a reason only the service knows; `allowed` says what it takes.
    pub fn reject(&mut self, key: &str, allowed: impl Display) {
        self.ask(self.child(key), None);
        match self.node(key) {
            Some(node) => self.invalid(key, node, &allowed),
            None => self.missing(key, &allowed),
        }
    }

    /// A text.
    pub fn string(&mut self, key: &str, default: &str) -> String {
        let value = self.opt_string(key);
        self.or_default(key, value, default.to_owned(), |text| format!("{text:?}"))
    }

    /// A text that may be absent.
    pub fn opt_string(&mut self, key: &str) -> Option<String> {
        self.scalar(
            key,
            "a text",
            |text: &String| format!("{text:?}"),
            |kind, _| match kind {
                Kind::String(text) => Some(text.clone()),
                _ => None,
            },
        )
    }

    /// A text that must be there and not be empty; the empty text on error.
    pub fn required_string(&mut self, key: &str) -> String {
        if !self.contains(key) {
            self.ask(self.child(key), None);
            self.missing(key, &"a text");
            return String::new();
        }
        let text = self.scalar(
            key,
            "a text that is not empty",
            |text: &String| format!("{text:?}"),
            |kind, _| match kind {
                Kind::String(text) if !text.is_empty() => Some(text.clone()),
                _ => None,
            },
        );
        text.unwrap_or_default()
    }

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
            format!("{:?}", values::show_duration(*value))
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
            |value| format!("{:?}", values::show_duration(*value)),
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
            format!("{:?}", values::show_bytes(*value))
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
            |value| format!("{:?}", values::show_bytes(*value)),
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

    /// An upstream's base address: `http://host[:port][/path]`, no user, query or fragment. Absent: `None`.
    pub fn url(&mut self, key: &str) -> Option<http::Uri> {
        let allowed = "an address like \"http://127.0.0.1:8081\" (http only, no user name, query or fragment)";
        self.scalar(
            key,
            allowed,
            |uri: &http::Uri| format!("{:?}", uri.to_string()),
            |kind, _| match kind {
                Kind::String(text) => values::parse_base_url(text),
                _ => None,
            },
        )
    }

    /// Like [`url`](Self::url), but its absence is an error.
    pub fn required_url(&mut self, key: &str) -> Option<http::Uri> {
        if !self.contains(key) {
            self.ask(self.child(key), None);
            self.missing(key, &"an address like \"http://127.0.0.1:8081\"");
            return None;
        }
        self.url(key)
    }

    /// An address to listen on, `IP:PORT`; port 0 lets the system choose.
    pub fn socket_addr(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        let value = self.opt_socket_addr(key);
        self.or_default(key, value, default, |address| {
            format!("{:?}", address.to_string())
        })
    }

    /// An address to listen on that may be absent.
    pub fn opt_socket_addr(&mut self, key: &str) -> Option<SocketAddr> {
        let allowed = "IP:PORT, such as \"127.0.0.1:8081\", \"0.0.0.0:8081\" or \"[::1]:0\" (port 0: any free one)";
        self.scalar(
            key,
            allowed,
            |address: &SocketAddr| format!("{:?}", address.to_string()),
            |kind, _| match kind {
                Kind::String(text) => text.trim().parse().ok(),
                _ => None,
            },
        )
    }

    /// One of a fixed set of words.
    pub fn choice(&mut self, key: &str, default: &str, choices: &[&str]) -> String {
        let value = self.opt_choice(key, choices);
        self.or_default(key, value, default.to_owned(), |text| format!("{text:?}"))
    }

    /// One of a fixed set of words, or absent.
    pub fn opt_choice(&mut self, key: &str, choices: &[&str]) -> Option<String> {
        self.scalar(
            key,
            one_of(choices),
            |text: &String| format!("{text:?}"),
            |kind, _| match kind {
                Kind::String(text) if choices.contains(&text.as_str()) => Some(text.clone()),
                _ => None,
            },
        )
    }

    /// A list of words out of a fixed set, each at most once.
    pub fn choices(&mut self, key: &str, default: &[&str], choices: &[&str]) -> Vec<String> {
        let allowed = format!("a list of {}, each at most once", one_of(choices));
        self.texts(key, default, &allowed, |items| {
            items.iter().all(|item| choices.contains(&item.as_str()))
                && items
                    .iter()
                    .enumerate()
                    .all(|(at, item)| !items.iter().take(at).any(|before| before == item))
        })
    }

    /// A list of texts.
    pub fn strings(&mut self, key: &str, default: &[&str]) -> Vec<String> {
        self.texts(
            key,
            default,
            "a list of texts, such as [\"a\", \"b\"]",
            |_| true,
        )
    }

    fn texts(
        &mut self,
        key: &str,
        default: &[&str],
        allowed: &str,
        valid: impl Fn(&[String]) -> bool,
    ) -> Vec<String> {
        let value = self.scalar(key, allowed, show_texts, |kind, lenient| {
            let items: Option<Vec<String>> = match kind {
                Kind::List(items) => items
                    .iter()
                    .map(|item| match &item.kind {
                        Kind::String(text) => Some(text.clone()),
                        _ => None,
                    })
                    .collect(),
                Kind::String(text) if lenient => Some(comma_separated(text)),
                _ => None,
            };
            items.filter(|items| valid(items))
        });
        let default = default.iter().map(|&text| text.to_owned()).collect();
        self.or_default(key, value, default, show_texts)
    }

    /// A path of a file or folder.
    pub fn path(&mut self, key: &str, default: &str) -> PathBuf {
        let value = self.opt_path(key);
        self.or_default(key, value, PathBuf::from(default), |path| {
            format!("{:?}", path.display().to_string())
        })
    }

    /// A path that may be absent.
    pub fn opt_path(&mut self, key: &str) -> Option<PathBuf> {
        let show = |path: &PathBuf| format!("{:?}", path.display().to_string());
        self.scalar(
            key,
            "the path of a file, not empty",
            show,
            |kind, _| match kind {
                Kind::String(text) if !text.is_empty() => Some(PathBuf::from(text)),
                _ => None,
            },
        )
    }

    /// A sub-table, if the configuration has it.
    pub fn section(&mut self, key: &str) -> Option<Section<'a>> {
        let path = self.child(key);
        self.ask(path.clone(), None);
        let node = self.node(key)?;
        match &node.kind {
            Kind::Table(table) => Some(Section {
                reading: self.reading,
                path,
                table: Some(table),
            }),
            _ => {
                self.invalid(key, node, &"a table");
                None
            }
        }
    }

    /// A sub-table; an empty one (all defaults) if the configuration does not have it.
    pub fn section_or_empty(&mut self, key: &str) -> Section<'a> {
        let path = self.child(key);
        let reading = self.reading;
        self.section(key).unwrap_or(Section {
            reading,
            path,
            table: None,
        })
    }

    /// The sub-tables of a table whose names the user chooses (`[upstreams.NAME]`), by name.
    pub fn sections(&mut self, key: &str) -> Vec<(String, Section<'a>)> {
        let Some(mut parent) = self.section(key) else {
            return Vec::new();
        };
        let names: Vec<String> = parent
            .table
            .into_iter()
            .flat_map(|table| table.keys().cloned())
            .collect();
        names
            .into_iter()
            .filter_map(|name| parent.section(&name).map(|section| (name, section)))
            .collect()
    }

    /// An array of tables (`[[route]]`), in order.
    pub fn list(&mut self, key: &str) -> Vec<Section<'a>> {
        let path = self.child(key);
        self.ask(path.clone(), None);
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let Kind::List(items) = &node.kind else {
            self.invalid(key, node, &"a list of tables");
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let mut path = path.clone();
            path.push(index.to_string());
            self.ask(path.clone(), None);
            match &item.kind {
                Kind::Table(table) => sections.push(Section {
                    reading: self.reading,
                    path,
                    table: Some(table),
                }),
                _ => self.invalid(&format!("{key}[{index}]"), item, &"a table"),
            }
        }
        sections
    }
}

struct OneOf<'a>(&'a [&'a str]);

impl Display for OneOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.len().saturating_sub(1);
        for (index, word) in self.0.iter().enumerate() {
            let before = match index {
                0 => "",
                index if index == last => " or ",
                _ => ", ",
            };
            write!(f, "{before}{word:?}")?;
        }
        Ok(())
    }
}

fn one_of<'a>(choices: &'a [&'a str]) -> OneOf<'a> {
    OneOf(choices)
}

fn comma_separated(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn show_texts(items: &Vec<String>) -> String {
    format!("{items:?}")
}
