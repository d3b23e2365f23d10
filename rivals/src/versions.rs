//! Which versions are measured: those of the Cargo.lock that this program was built with.

use std::collections::HashMap;

const LOCK: &str = include_str!("../Cargo.lock");

pub fn locked() -> HashMap<&'static str, &'static str> {
    let value = |line: &'static str, key: &str| {
        line.strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(" = \""))
            .and_then(|rest| rest.strip_suffix('"'))
    };
    let mut versions = HashMap::new();
    let mut name = "";
    for line in LOCK.lines() {
        if let Some(found) = value(line, "name") {
            name = found;
        } else if let Some(version) = value(line, "version") {
            versions.insert(name, version);
        }
    }
    versions
}
