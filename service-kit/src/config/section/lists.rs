//! Lists of texts.

use super::Section;
use super::words::one_of;
use crate::config::tree::Kind;
use crate::config::values;

impl Section<'_> {
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
