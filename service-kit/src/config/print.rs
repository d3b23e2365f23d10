//! The effective configuration as TOML that can be fed back with `--config`.

use super::path::is_index;
use super::reading::Effective;
use super::values::show_text;
use std::fmt::Write as _;

pub(crate) fn to_toml(effective: &[(Vec<String>, Effective)]) -> String {
    let mut text = String::new();
    let mut tables: Vec<&[String]> = Vec::new();
    for (path, _) in effective {
        if let Some((_, table)) = path.split_last()
            && !tables.contains(&table)
        {
            tables.push(table);
        }
    }
    // The root's keys must come before the first table header.
    tables.sort_by_key(|table| !table.is_empty());
    for table in tables {
        if !table.is_empty() {
            let _ = writeln!(text, "\n{}", header(table));
        }
        for (path, value) in effective {
            if let Some((key, parent)) = path.split_last()
                && parent == table
            {
                let _ = writeln!(
                    text,
                    "{} = {}  # {}",
                    quoted(key),
                    value.value,
                    value.origin
                );
            }
        }
    }
    text
}

fn header(table: &[String]) -> String {
    let names: Vec<String> = table
        .iter()
        .filter(|part| !is_index(part))
        .map(|part| quoted(part))
        .collect();
    let names = names.join(".");
    if table.last().is_some_and(|part| is_index(part)) {
        format!("[[{names}]]")
    } else {
        format!("[{names}]")
    }
}

fn quoted(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { key.to_owned() } else { show_text(key) }
}
