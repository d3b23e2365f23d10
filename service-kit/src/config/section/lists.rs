//! Lists of texts and of numbers, lists in which texts and tables mix, and tables of texts.

use super::Section;
use super::words::one_of;
use crate::config::reading::Effective;
use crate::config::tree::Kind;
use crate::config::values;
use std::ops::RangeInclusive;

/// One item of a list that takes texts and tables.
#[derive(Debug, Clone)]
pub enum TextOrTable<'a> {
    /// The short form.
    Text(String),
    /// The long form.
    Table(Section<'a>),
}

impl<'a> Section<'a> {
    /// A list whose items have a short form, a text, and a long one, a table in which that text is the key `short`:
    /// `["http://a", { url = "http://b", weight = 2 }]`. Empty if it is absent, and an error if it is there and empty; `allowed`
    /// says what it takes.
    pub fn texts_or_tables(
        &mut self,
        key: &str,
        short: &str,
        allowed: &str,
    ) -> Vec<TextOrTable<'a>> {
        let list = self.child(key);
        self.reading.ask(list.clone(), None);
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let item_path = |index: usize| {
            let mut path = list.clone();
            path.push(index.to_string());
            path
        };
        let note_text = |index: usize, text: &str| {
            let mut path = item_path(index);
            self.reading.ask(path.clone(), None);
            path.push(short.to_owned());
            let effective = Effective {
                value: values::show_text(text),
                origin: node.first_origin().clone(),
            };
            self.reading.ask(path, Some(effective));
        };
        let mut found = Vec::new();
        match &node.kind {
            Kind::List(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    match &item.kind {
                        Kind::String(text) => {
                            note_text(index, text);
                            found.push(TextOrTable::Text(text.clone()));
                        }
                        Kind::Table(table) => {
                            let path = item_path(index);
                            self.reading.ask(path.clone(), None);
                            found.push(TextOrTable::Table(Section {
                                reading: self.reading,
                                path,
                                table: Some(table),
                            }));
                        }
                        _ => self.invalid(&format!("{key}[{index}]"), item, &allowed),
                    }
                }
            }
            Kind::String(text) if node.origin.is_text() => {
                for (index, text) in comma_separated(text).into_iter().enumerate() {
                    note_text(index, &text);
                    found.push(TextOrTable::Text(text));
                }
            }
            _ => self.invalid(key, node, &allowed),
        }
        found
    }

    /// Refuses one item of a list for a reason only the service knows; `allowed` says what it takes.
    pub fn reject_item(&mut self, key: &str, index: usize, allowed: &str) {
        let items = match self.node(key).map(|node| &node.kind) {
            Some(Kind::List(items)) => items.as_slice(),
            _ => &[],
        };
        match items.get(index) {
            Some(item) => self.invalid(&format!("{key}[{index}]"), item, &allowed),
            // A variable's or a flag's list is one text.
            None => self.reject(key, allowed),
        }
    }

    /// A table whose keys the user chooses and whose values are texts, by key; empty if it is absent.
    pub fn text_table(&mut self, key: &str) -> Vec<(String, String)> {
        let Some(mut section) = self.section(key) else {
            return Vec::new();
        };
        let names: Vec<String> = section
            .table
            .into_iter()
            .flat_map(|table| table.keys().cloned())
            .collect();
        names
            .into_iter()
            .filter_map(|name| section.opt_string(&name).map(|text| (name, text)))
            .collect()
    }

    /// A list of integers within `range`, each at most once.
    pub fn integers(&mut self, key: &str, default: &[i64], range: RangeInclusive<i64>) -> Vec<i64> {
        let allowed = format!(
            "a list of integers from {} to {}, each at most once",
            range.start(),
            range.end()
        );
        let show = |items: &Vec<i64>| format!("{items:?}");
        let value = self.scalar(key, allowed, show, |kind, lenient| {
            let items: Option<Vec<i64>> = match kind {
                Kind::List(items) => items
                    .iter()
                    .map(|item| match item.kind {
                        Kind::Integer(number) => Some(number),
                        _ => None,
                    })
                    .collect(),
                Kind::String(text) if lenient => comma_separated(text)
                    .iter()
                    .map(|item| item.parse().ok())
                    .collect(),
                _ => None,
            };
            items.filter(|items| items.iter().all(|item| range.contains(item)) && is_set(items))
        });
        self.or_default(key, value, default.to_vec(), show)
    }

    /// A list of words out of a fixed set, each at most once.
    pub fn choices(&mut self, key: &str, default: &[&str], choices: &[&str]) -> Vec<String> {
        let allowed = format!("a list of {}, each at most once", one_of(choices));
        self.texts(key, default, &allowed, |items| {
            items.iter().all(|item| choices.contains(&item.as_str())) && is_set(items)
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
        let value = self.scalar(
            key,
            allowed,
            |items: &Vec<String>| show_texts(items),
            |kind, lenient| {
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
            },
        );
        let default = default.iter().map(|&text| text.to_owned()).collect();
        self.or_default(key, value, default, |items| show_texts(items))
    }
}

/// Whether each item is there once.
fn is_set<T: PartialEq>(items: &[T]) -> bool {
    items
        .iter()
        .enumerate()
        .all(|(at, item)| !items.iter().take(at).any(|before| before == item))
}

fn comma_separated(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn show_texts(items: &[String]) -> String {
    format!(
        "[{}]",
        items
            .iter()
            .map(|item| values::show_text(item))
            .collect::<Vec<_>>()
            .join(", ")
    )
}
