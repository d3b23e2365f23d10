//! How an answer says that it is degraded.

use super::Degraded;

/// Marks a degraded answer. Any `Fn(&mut Response, &Degraded)` does.
pub trait Mark<Res> {
    /// Called with every degraded answer, before the caller gets it.
    fn mark(&self, response: &mut Res, degraded: &Degraded);
}

impl<F, Res> Mark<Res> for F
where
    F: Fn(&mut Res, &Degraded),
{
    fn mark(&self, response: &mut Res, degraded: &Degraded) {
        self(response, degraded);
    }
}

/// Marks nothing: the value speaks for itself, or nobody needs to know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unmarked;

impl<Res> Mark<Res> for Unmarked {
    fn mark(&self, _: &mut Res, _: &Degraded) {}
}

#[cfg(feature = "http")]
pub use self::in_http::HttpMark;

#[cfg(feature = "http")]
mod in_http {
    use http::{HeaderName, HeaderValue, Response};

    use super::{Degraded, Mark};

    /// Marks HTTP responses: the [`Degraded`] in the extensions, for this process, and a header, for whoever is further away.
    ///
    /// The header is a structured field ([RFC 9651](https://www.rfc-editor.org/rfc/rfc9651)): the boolean true, with the fallback's name as
    /// the parameter `by`, if it is printable ASCII, and the [cause](super::super::Cause::as_str) as `reason`:
    ///
    /// ```text
    /// degraded: ?1;by="older prices";reason=circuit_open
    /// ```
    ///
    /// There is no registered header for it. `Warning` was meant for such things, and is obsolete
    /// ([RFC 9111, section 5.5](https://www.rfc-editor.org/rfc/rfc9111#section-5.5)); `Cache-Status`
    /// ([RFC 9211](https://www.rfc-editor.org/rfc/rfc9211)) speaks of caches, which a fallback need not be.
    #[derive(Debug, Clone)]
    pub struct HttpMark {
        header: Option<HeaderName>,
    }

    impl HttpMark {
        /// With the header `degraded`.
        pub fn new() -> Self {
            Self::header(HeaderName::from_static("degraded"))
        }

        /// With a header of this name.
        pub fn header(name: HeaderName) -> Self {
            Self { header: Some(name) }
        }

        /// Without a header.
        pub fn only_extension() -> Self {
            Self { header: None }
        }
    }

    impl Default for HttpMark {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<B> Mark<Response<B>> for HttpMark {
        fn mark(&self, response: &mut Response<B>, degraded: &Degraded) {
            response.extensions_mut().insert(degraded.clone());
            let Some(name) = &self.header else { return };
            if let Ok(value) = HeaderValue::try_from(field(degraded)) {
                response.headers_mut().insert(name.clone(), value);
            }
        }
    }

    fn field(degraded: &Degraded) -> String {
        let by = degraded.by();
        let mut field = String::with_capacity(40 + by.len());
        field.push_str("?1");
        if by.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            field.push_str(";by=\"");
            for c in by.chars() {
                if matches!(c, '"' | '\\') {
                    field.push('\\');
                }
                field.push(c);
            }
            field.push('"');
        }
        field.push_str(";reason=");
        field.push_str(degraded.cause().as_str());
        field
    }

    #[cfg(all(test, not(breaker_loom)))]
    mod tests {
        use super::*;
        use crate::fallback::Cause;

        #[test]
        fn the_header_is_a_structured_field_whatever_the_name_holds() {
            let field = |name: &str| field(&Degraded::new(&name.into(), Cause::Error));
            assert_eq!(
                field("older prices"),
                r#"?1;by="older prices";reason=error"#
            );
            assert_eq!(field(r#"a"b\c"#), r#"?1;by="a\"b\\c";reason=error"#);
            assert_eq!(field("älter"), "?1;reason=error");
            assert_eq!(field("a\r\nset-cookie: b"), "?1;reason=error");
        }
    }
}
