//! The tables of the reference, `docs/gateway/configuration.md`.

use std::{fmt::Write as _, time::Duration};

use super::{Is, Key, Otherwise, ROOT, Table, write};

/// One table for each table of the configuration, the root first.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    section(&mut text, &ROOT, "The root", &[]);
    text
}

fn section(text: &mut String, table: &'static Table, title: &str, path: &[&str]) {
    // Writing to a text never fails.
    let _ = writeln!(text, "### {title}\n\n{}\n", table.about);
    let _ = writeln!(
        text,
        "| key | takes | without it | what it is for |\n|---|---|---|---|"
    );
    for key in table.keys() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            key.name,
            cell(&takes(&key.is)),
            cell(&otherwise(key)),
            cell(key.about)
        );
    }
    let _ = writeln!(text);
    let is_policy = path.first() == Some(&"defaults");
    for key in table.keys() {
        let (inner, written) = match key.is {
            Is::Table(inner) | Is::Endpoints(inner) => (inner, [path, &[key.name]].concat()),
            Is::Tables(inner) => (inner, [path, &[key.name]].concat()),
            Is::Named(inner) => (inner, [path, &[key.name, "NAME"]].concat()),
            _ => continue,
        };
        // The policy's tables are the same on every level, and stand once.
        if is_policy_table(key.name) && !is_policy {
            continue;
        }
        let title = match key.is {
            Is::Tables(_) => format!("`[[{}]]`", written.join(".")),
            Is::Endpoints(_) => format!("An item of `{}`", written.join(".")),
            _ => format!("`[{}]`", written.join(".")),
        };
        section(text, inner, &title, &written);
    }
}

fn is_policy_table(name: &str) -> bool {
    ["fallback", "bulkhead", "breaker", "retry", "hedge"].contains(&name)
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn otherwise(key: &Key) -> String {
    match key.otherwise {
        Otherwise::Required => "**required**".to_owned(),
        Otherwise::Absent(without) => without.to_owned(),
        value => format!("`{value}`"),
    }
}

fn takes(is: &Is) -> String {
    let kind = match is {
        Is::Integer(..) => "integer",
        Is::Number(..) => "number",
        Is::Flag => "flag",
        Is::Duration(..) => "duration",
        Is::Size(..) => "size",
        Is::Text(_) => "text",
        Is::Word(_) => "word",
        Is::Words(_) => "list of words",
        Is::Texts(_) => "list of texts",
        Is::Integers(..) => "list of integers",
        Is::Address => "address",
        Is::File => "file",
        Is::Url => "URL",
        Is::Table(_) => "table",
        Is::Tables(_) => "tables",
        Is::Named(_) => "tables by name",
        Is::TextTable(_) => "table of texts",
        Is::Endpoints(_) => "list of URLs and tables",
    };
    match range(is) {
        range if range.is_empty() => kind.to_owned(),
        range => format!("{kind}: {range}"),
    }
}

/// What is allowed, as far as the kind does not say it.
pub(super) fn range(is: &Is) -> String {
    let times = |time: &Duration| write::duration(*time);
    match is {
        Is::Integer(min, i64::MAX) => format!("at least {min}"),
        Is::Integer(min, max) | Is::Integers(min, max) => format!("{min} to {max}"),
        Is::Number(min, max) => format!("{min} to {max}"),
        Is::Duration(min, max) => format!("{} to {}", times(min), times(max)),
        Is::Size(min, max) => format!("{} to {}", write::size(*min), write::size(*max)),
        Is::Text(format) | Is::Texts(format) | Is::TextTable(format) => (*format).to_owned(),
        Is::Word(words) | Is::Words(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            words.join(", ")
        }
        Is::Address => "IP:PORT".to_owned(),
        Is::Url => "http:// or https://".to_owned(),
        _ => String::new(),
    }
}
