//! A client's name for one write, so that sending it twice does it once.

/// The value of an `Idempotency-Key` header. It is looked up per user, so two users may choose the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The longest key.
    pub const MAX_BYTES: usize = 255;

    /// What a request may say, for a message.
    pub const ALLOWED: &'static str = "1 to 255 visible ASCII characters";

    /// `None` when empty, too long, or not visible ASCII.
    pub fn new(text: impl Into<String>) -> Option<IdempotencyKey> {
        let text = text.into();
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then_some(IdempotencyKey(text))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_visible() {
        assert!(IdempotencyKey::new("8e03978e-40d5-43dd-bc93-6894a57f9324").is_some());
        assert!(IdempotencyKey::new("k".repeat(255)).is_some());
        for text in ["", " ", "a b", "é", &"k".repeat(256)] {
            assert!(IdempotencyKey::new(text).is_none(), "{text:?}");
        }
    }
}
