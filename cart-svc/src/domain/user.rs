//! Whose cart it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The owner of a cart. The integer `7` and the text `"7"` are the same owner; it is written as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// The longest owner name, in characters.
    pub const MAX_CHARS: usize = 128;

    /// What a request may say, for a message.
    pub const ALLOWED: &'static str =
        "an integer, or 1 to 128 visible characters (letters, digits, ASCII punctuation)";

    /// `None` when empty, too long, or not entirely visible.
    pub fn new(text: impl Into<String>) -> Option<UserId> {
        let text = text.into();
        let fits =
            !text.is_empty() && text.chars().take(Self::MAX_CHARS + 1).count() <= Self::MAX_CHARS;
        (fits && text.chars().all(is_visible)).then_some(UserId(text))
    }

    /// The owner as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A narrow set on purpose: spaces, controls and zero-width characters would make two owners that look the same.
fn is_visible(c: char) -> bool {
    c.is_alphanumeric() || c.is_ascii_punctuation()
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_names_up_to_the_limit_are_owners() {
        for text in [
            "1",
            "-7",
            "user_12",
            "zoë@example",
            "顧客",
            &"a".repeat(128),
        ] {
            assert!(UserId::new(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn empty_long_or_invisible_names_are_not() {
        for text in [
            "",
            " ",
            "a b",
            "a\n",
            "a\0",
            "a\u{200b}",
            "\u{202e}x",
            &"é".repeat(129),
        ] {
            assert!(UserId::new(text).is_none(), "{text:?}");
        }
    }
}
