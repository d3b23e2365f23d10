//! serde's messages without Rust's type names, which mean nothing to a client.

/// What a type takes.
pub(super) fn of_type(name: &str) -> &str {
    match name {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a whole number that is not negative and not too large",
        "i8" => "a whole number from -128 to 127",
        "i16" => "a whole number from -32768 to 32767",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "i64" | "i128" | "isize" => "a whole number that is not too large",
        "f32" | "f64" => "a number",
        "bool" | "a boolean" | "`true` or `false`" => "true or false",
        "char" | "a character" => "one character",
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        "unit" => "null",
        name if name.starts_with("struct ") => "an object",
        name if name.starts_with("tuple ") => "a list",
        name => name,
    }
}

/// `invalid type: map, expected u32` and the like, which end with what was expected.
pub(super) fn of_message(message: &str) -> String {
    match message.rsplit_once("expected ") {
        Some((start, expected)) => format!("{start}expected {}", of_type(expected)),
        None => of_parse_error(message).to_owned(),
    }
}

/// std's messages about texts that are not the number or flag they should be.
fn of_parse_error(message: &str) -> &str {
    match message {
        "invalid digit found in string" => "not a whole number of the expected kind",
        "cannot parse integer from empty string" | "cannot parse float from empty string" => {
            "empty, a number is expected"
        }
        "number too large to fit in target type" => "the number is too large",
        "number too small to fit in target type" => "the number is too small",
        "invalid float literal" => "not a number",
        "provided string was not `true` or `false`" => "neither true nor false",
        message => message,
    }
}

#[cfg(test)]
mod tests {
    use super::of_message;

    #[test]
    fn type_names_become_words() {
        assert_eq!(
            of_message("invalid value: integer `-1`, expected u8"),
            "invalid value: integer `-1`, expected a whole number from 0 to 255"
        );
        assert_eq!(
            of_message("invalid type: null, expected struct Order"),
            "invalid type: null, expected an object"
        );
        assert_eq!(
            of_message("unknown field `x`, expected `a` or `b`"),
            "unknown field `x`, expected `a` or `b`"
        );
        assert_eq!(of_message("something else"), "something else");
    }
}
