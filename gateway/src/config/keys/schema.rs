//! The JSON Schema of the configuration, for editors that complete and check TOML by one. Draft 7, which is what they know.
//! It is about single keys; what keys have to do with each other is said by `gateway check`.

use serde_json::{Map, Value, json};

use super::{Is, Key, Otherwise, ROOT, Table, write};

const DURATION: &str = "^[0-9]+ ?[a-zµ]+( ?[0-9]+ ?[a-zµ]+)*$|^0$";
const SIZE: &str = "^[0-9]+ ?(B|KiB|MiB|GiB|TiB|KB|kB|MB|GB|TB)?$";

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let mut schema = of_table(&ROOT);
    if let Some(schema) = schema.as_object_mut() {
        let draft = "http://json-schema.org/draft-07/schema#";
        schema.insert("$schema".to_owned(), draft.into());
        schema.insert("title".to_owned(), "gateway".into());
    }
    schema
}

/// The schema as it stands in `config/schema.json`.
#[must_use]
pub fn text() -> String {
    // Keys are texts and numbers are finite, so it always can be written.
    serde_json::to_string_pretty(&schema()).unwrap_or_default() + "\n"
}

fn of_table(table: &Table) -> Value {
    let properties: Map<String, Value> = table
        .keys()
        .map(|key| (key.name.to_owned(), of_key(key)))
        .collect();
    let required: Vec<&str> = table
        .keys()
        .filter(|key| matches!(key.otherwise, Otherwise::Required))
        .map(|key| key.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": table.about,
        "additionalProperties": false,
        "properties": properties,
    });
    // A table that is only switched off needs nothing else.
    if !required.is_empty() {
        match table.keys().any(|key| key.name == "enabled") {
            true => {
                schema["anyOf"] = json!([
                    { "required": required },
                    { "required": ["enabled"], "properties": { "enabled": { "const": false } } },
                ]);
            }
            false => schema["required"] = json!(required),
        }
    }
    schema
}

fn of_key(key: &Key) -> Value {
    let mut schema = of_values(&key.is);
    let otherwise = match key.otherwise {
        Otherwise::Required => "Required.".to_owned(),
        Otherwise::Absent(without) => format!("Without it: {without}."),
        value => format!("Default: {value}."),
    };
    let range = match super::reference::range(&key.is) {
        range if range.is_empty() => String::new(),
        range => format!(" Allowed: {range}."),
    };
    schema["description"] = format!("{}{range} {otherwise}", key.about).into();
    if let Some(default) = default(&key.otherwise) {
        schema["default"] = default;
    }
    schema
}

fn default(otherwise: &Otherwise) -> Option<Value> {
    Some(match otherwise {
        Otherwise::Required | Otherwise::Absent(_) => return None,
        Otherwise::Integer(number) => json!(number),
        Otherwise::Number(number) => json!(number),
        Otherwise::Flag(flag) => json!(flag),
        Otherwise::Duration(time) => json!(write::duration(*time)),
        Otherwise::Size(bytes) => json!(write::size(*bytes)),
        Otherwise::Text(text) => json!(text),
        Otherwise::Texts(texts) => json!(texts),
        Otherwise::Integers(numbers) => json!(numbers),
    })
}

fn of_values(is: &Is) -> Value {
    match is {
        Is::Integer(min, i64::MAX) => json!({ "type": "integer", "minimum": min }),
        Is::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Is::Number(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
        Is::Flag => json!({ "type": "boolean" }),
        Is::Duration(..) => json!({ "type": "string", "pattern": DURATION }),
        Is::Size(min, max) => json!({ "anyOf": [
            { "type": "string", "pattern": SIZE },
            { "type": "integer", "minimum": min, "maximum": max },
        ] }),
        Is::Text(_) | Is::Address | Is::File | Is::Url => json!({ "type": "string" }),
        Is::Word(words) => json!({ "type": "string", "enum": words }),
        Is::Words(words) => json!({
            "type": "array", "uniqueItems": true, "items": { "type": "string", "enum": words },
        }),
        Is::Texts(_) => json!({ "type": "array", "items": { "type": "string" } }),
        Is::Integers(min, max) => json!({
            "type": "array",
            "uniqueItems": true,
            "items": { "type": "integer", "minimum": min, "maximum": max },
        }),
        Is::Table(table) => of_table(table),
        Is::Tables(table) => json!({ "type": "array", "items": of_table(table) }),
        Is::Named(table) => json!({ "type": "object", "additionalProperties": of_table(table) }),
        Is::TextTable(_) => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        Is::Endpoints(table) => json!({
            "type": "array",
            "minItems": 1,
            "items": { "anyOf": [{ "type": "string" }, of_table(table)] },
        }),
    }
}
