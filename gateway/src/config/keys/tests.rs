//! The table of keys against the reader, the shipped files and the schema.

use std::collections::{BTreeMap, BTreeSet};

use service_kit::{
    config::{ConfigErrors, Loaded, Origin, Sources, load},
    runtime::CommonSettings,
};

use super::*;
use crate::{FULL_CONFIG, INFO, config::model::Gateway};

const POLICY_TABLES: [&str; 8] = [
    "timeout",
    "body_idle_timeout",
    "total_timeout",
    "fallback",
    "bulkhead",
    "breaker",
    "retry",
    "hedge",
];

fn reading(text: &str) -> Result<Loaded<Gateway>, ConfigErrors> {
    let sources = Sources {
        built_in: text,
        ..Sources::default()
    };
    let loaded = load(&sources, |root| {
        (CommonSettings::read(root, &INFO), crate::config::read(root))
    })?;
    Ok(loaded.map(|(_, gateway)| gateway))
}

/// A key wherever it stands: `route.0.bulkhead.enabled` is `bulkhead.enabled` on any level, `upstreams.cart.url` is
/// `upstreams.NAME.url`.
fn place(path: &[String]) -> String {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let below = match &parts[..] {
        ["defaults", below @ ..] | ["upstreams", _, below @ ..] | ["route", _, below @ ..] => below,
        _ => &[],
    };
    if below.first().is_some_and(|key| POLICY_TABLES.contains(key)) {
        return below.join(".");
    }
    match &parts[..] {
        ["upstreams", _, rest @ ..] => [&["upstreams", "NAME"], rest].concat(),
        ["route", _, "headers", _] => vec!["route", "headers"],
        parts => parts.to_vec(),
    }
    .into_iter()
    .filter(|part| !part.bytes().all(|byte| byte.is_ascii_digit()))
    .collect::<Vec<_>>()
    .join(".")
}

fn collect(table: &'static Table, path: &[String], keys: &mut BTreeMap<String, &'static Key>) {
    for key in table.keys() {
        let path = [path, &[key.name.to_owned()]].concat();
        keys.insert(place(&path), key);
        match key.is {
            Is::Table(inner) => collect(inner, &path, keys),
            Is::Tables(inner) | Is::Endpoints(inner) => {
                collect(inner, &[&path[..], &["0".to_owned()]].concat(), keys);
            }
            Is::Named(inner) => collect(inner, &[&path[..], &["x".to_owned()]].concat(), keys),
            _ => {}
        }
    }
}

/// Every key of the table by its place.
fn keys() -> BTreeMap<String, &'static Key> {
    let mut keys = BTreeMap::new();
    collect(&ROOT, &[], &mut keys);
    keys
}

#[test]
fn the_reader_asks_for_every_key_of_the_table_and_for_no_other() {
    let loaded = reading(FULL_CONFIG).unwrap_or_else(|errors| panic!("{errors}"));
    let asked: BTreeSet<String> = loaded
        .asked()
        .map(place)
        .filter(|place| place != "upstreams.NAME" && !place.is_empty())
        .collect();
    let known: BTreeSet<String> = keys().into_keys().collect();
    let only_asked: Vec<_> = asked.difference(&known).collect();
    let only_known: Vec<_> = known.difference(&asked).collect();
    assert!(
        only_asked.is_empty() && only_known.is_empty(),
        "read, but not in the table: {only_asked:?}; in the table, but not read: {only_known:?}"
    );
}

#[test]
fn the_full_configuration_sets_every_key() {
    let loaded = reading(FULL_CONFIG).unwrap_or_else(|errors| panic!("{errors}"));
    let set: BTreeSet<String> = loaded
        .settings()
        .filter(|setting| *setting.origin != Origin::Default)
        .map(|setting| place(setting.path))
        .collect();
    let is_table = |key: &Key| {
        matches!(
            key.is,
            Is::Table(_) | Is::Tables(_) | Is::Named(_) | Is::Endpoints(_)
        )
    };
    let missing: Vec<String> = keys()
        .into_iter()
        .filter(|(place, key)| !is_table(key) && !set.contains(place))
        .map(|(place, _)| place)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Tables that have defaults, and nothing in them that is not needed.
const LEAST: &str = r#"
    [[faults.rule]]
    routes = ["/"]
    kind = "hang"
    [[listener]]
    address = "127.0.0.1:0"
    tls = { certificate = "c", key = "k" }
    [upstreams.a]
    endpoints = [{ url = "http://a" }]
    fallback = { body = "x" }
    bulkhead = { max_concurrent = 1 }
    breaker = { failure_rate = {} }
    retry = {}
    hedge = {}
    health = { kind = "http" }
    ejection = { failure_rate = {} }
    [upstreams.b]
    discovery = { kind = "file", path = "x" }
    [upstreams.c]
    discovery = { kind = "srv", name = "x" }
    protocol = "http2"
    health = { kind = "grpc" }
    [product_details]
    product = "a"
    recommendations = "a"
    [[route]]
    path = "/"
    upstream = "a"
"#;

/// Some are read by others (service-kit, the guards' builders), which have their own.
#[test]
fn every_default_is_what_the_reader_takes() {
    let loaded = reading(LEAST).unwrap_or_else(|errors| panic!("{errors}"));
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for setting in loaded.settings() {
        if *setting.origin == Origin::Default {
            taken.insert(place(setting.path), setting.value.to_owned());
        }
    }
    for (place, key) in keys() {
        let stated = key.otherwise.to_string();
        if !stated.is_empty() {
            assert_eq!(taken.get(&place), Some(&stated), "{place}");
        }
    }
}

/// The builders know their limits themselves.
#[test]
fn the_limits_of_guards_are_those_of_their_builders() {
    let is_taken = |table: &str, keys: &str| {
        let text = format!(
            "[upstreams.a]\nurl = \"http://a\"\n{table} = {{ {keys} }}\n[[route]]\npath = \"/\"\nupstream = \"a\"\n"
        );
        reading(&text).is_ok()
    };
    let all = keys();
    for (place, further) in [
        ("bulkhead.max_concurrent", ""),
        ("bulkhead.max_queue", ", max_concurrent = 1"),
        ("breaker.consecutive_failures", ""),
        ("breaker.half_open_trials", ", consecutive_failures = 1"),
        ("breaker.success_threshold", ", consecutive_failures = 1"),
    ] {
        let Some((Is::Integer(min, max), (table, key))) =
            all.get(place).map(|key| key.is).zip(place.split_once('.'))
        else {
            panic!("{place}: no integer");
        };
        for (value, expected) in [(min - 1, false), (min, true), (max, true), (max + 1, false)] {
            let keys = format!("{key} = {value}{further}");
            assert_eq!(is_taken(table, &keys), expected, "{place} = {value}");
        }
    }
    for (window, expected) in [(0, false), (1, true), (100_000, true), (100_001, false)] {
        let keys = format!("failure_rate = {{ window = {window} }}");
        assert_eq!(is_taken("breaker", &keys), expected, "window = {window}");
    }
}

fn shipped(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_schema_that_is_shipped_is_the_one_of_this_table() {
    assert!(
        shipped("config/schema.json") == schema::text(),
        "out of date: cargo run -p gateway -- schema > gateway/config/schema.json"
    );
}

#[test]
fn the_reference_has_the_tables_of_this_table() {
    let reference = shipped("../docs/gateway/configuration.md");
    let (_, tables) = reference
        .split_once("<!-- gateway schema --markdown -->\n\n")
        .expect("the mark before the tables");
    assert!(
        tables == reference::markdown(),
        "out of date: replace what follows the mark with: cargo run -p gateway -- schema --markdown"
    );
}

/// The schema is made of the table; that it takes what is shipped shows that the words in it are the right ones.
#[test]
fn the_schema_takes_what_is_shipped() {
    let schema = schema::schema();
    for (name, text) in crate::CONFIGS
        .iter()
        .copied()
        .chain([("full.toml", FULL_CONFIG)])
    {
        let value: serde_json::Value = toml::from_str(text).expect(name);
        let mut faults = Vec::new();
        check(&schema, &value, name, &mut faults);
        assert!(faults.is_empty(), "{faults:#?}");
    }
    let wrong = serde_json::json!({ "limits": { "headers": 0, "heders": 1 }, "workers": "two", "route": [{}] });
    let mut faults = Vec::new();
    check(&schema, &wrong, "", &mut faults);
    assert_eq!(faults.len(), 5, "{faults:#?}");
}

/// As much of JSON Schema as ours uses, without patterns.
fn check(
    schema: &serde_json::Value,
    value: &serde_json::Value,
    at: &str,
    faults: &mut Vec<String>,
) {
    use serde_json::Value;
    if let Some(choices) = schema["anyOf"].as_array() {
        let is_taken = |choice: &Value| {
            let mut faults = Vec::new();
            check(choice, value, at, &mut faults);
            faults.is_empty()
        };
        if !choices.iter().any(is_taken) {
            faults.push(format!("{at}: none of {choices:?}"));
        }
    }
    let is_of = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => value.is_number(),
    };
    if let Some(kind) = schema["type"].as_str()
        && !is_of(kind)
    {
        faults.push(format!("{at}: {value} is no {kind}"));
        return;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        faults.push(format!("{at}: {value} is not among {words:?}"));
    }
    if let Some(number) = value.as_f64() {
        let below = schema["minimum"].as_f64().is_some_and(|min| number < min);
        let above = schema["maximum"].as_f64().is_some_and(|max| number > max);
        if below || above {
            faults.push(format!("{at}: {number} is out of range"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        check(&schema["items"], item, &format!("{at}[]"), faults);
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap_or_default()).is_none() {
            faults.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        match schema["properties"].get(name) {
            Some(schema) => check(schema, inner, &at, faults),
            None => match &schema["additionalProperties"] {
                Value::Bool(false) => faults.push(format!("{at}: no such key")),
                other => check(other, inner, &at, faults),
            },
        }
    }
}

#[test]
fn what_is_printed_of_the_full_configuration_can_be_read_again() {
    let first = reading(FULL_CONFIG).unwrap_or_else(|errors| panic!("{errors}"));
    let printed = first.print();
    let second = reading(&printed).unwrap_or_else(|errors| panic!("{errors}\n{printed}"));
    let values = |loaded: &Loaded<Gateway>| -> Vec<(Vec<String>, String)> {
        loaded
            .settings()
            // A short form is printed as the long one.
            .filter(|setting| !setting.path.iter().any(|part| part == "endpoints"))
            .map(|setting| (setting.path.to_vec(), setting.value.to_owned()))
            .collect()
    };
    for (first, second) in values(&first).iter().zip(&values(&second)) {
        assert_eq!(first, second);
    }
    assert_eq!(values(&first).len(), values(&second).len());
}
