//! What has been asked for and found out while a configuration is read, and what that leaves unknown.

use super::error::{ConfigError, Origin};
use super::path::dotted;
use super::tree::{Kind, Node, Table};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What one read of a configuration has found out so far; shared by all its sections.
#[derive(Debug)]
pub(crate) struct Reading {
    root: Table,
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

/// What was wrong, every value with its key, and every key asked for.
type Outcome = (
    Vec<ConfigError>,
    Vec<(Vec<String>, Effective)>,
    Vec<Vec<String>>,
);

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

    pub fn root(&self) -> &Table {
        &self.root
    }

    /// The file (or built-in text) a missing key should have been in.
    pub fn home(&self) -> &Origin {
        &self.home
    }

    /// Notes that a key was asked for, and what it amounts to if that is known by now.
    pub fn ask(&self, path: Vec<String>, effective: Option<Effective>) {
        let mut found = self.found.borrow_mut();
        if !found.asked.contains_key(&path) {
            found.order.push(path.clone());
        }
        let slot = found.asked.entry(path).or_default();
        if effective.is_some() {
            *slot = effective;
        }
    }

    /// Notes an error. The same key may be read twice (by the kit and by the service); one complaint is enough.
    pub fn complain(&self, error: ConfigError) {
        let mut found = self.found.borrow_mut();
        if !found.errors.contains(&error) {
            found.errors.push(error);
        }
    }

    pub fn into_outcome(self) -> Outcome {
        self.report_unknown(&mut Vec::new(), &self.root);
        let found = self.found.into_inner();
        let mut asked = found.asked;
        let effective = found
            .order
            .iter()
            .filter_map(|path| {
                let effective = asked.remove(path).flatten()?;
                Some((path.clone(), effective))
            })
            .collect();
        (found.errors, effective, found.order)
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
