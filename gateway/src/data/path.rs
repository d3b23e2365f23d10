//! Which request paths are let in, and the form routes are matched on.
//!
//! A proxy and the server behind it must read a path the same way; where they could differ, a path can slip past a route.
//! So nothing is rewritten here: a path with two readings is refused, and what is let in is forwarded byte for byte.
//! Matching looks at the percent-decoded form, because that is what the upstream will look at.

use std::{borrow::Cow, fmt};

/// Why a request path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// Not an origin-form path (`*`, an authority, nothing).
    NotAbsolute,
    /// `//` anywhere: some servers merge it, some do not.
    EmptySegment,
    /// `.` or `..`, plain, encoded, or followed by a path parameter (`..;x`).
    DotSegment,
    /// `%2F`, `%5C` or a backslash: a slash to some servers, a character to others.
    HiddenSlash,
    /// `%` without two hex digits.
    BadEscape,
    /// An encoded control character, NUL among them.
    Control,
    /// An escape that decodes to another escape.
    DoubleEncoded,
    /// Not UTF-8 after decoding (overlong encodings of a slash among them).
    NotUtf8,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the request target must be a path that starts with a slash",
            Self::EmptySegment => {
                "the path must not contain an empty segment (two slashes in a row)"
            }
            Self::DotSegment => {
                "the path must not contain a dot segment (\".\" or \"..\", encoded or not)"
            }
            Self::HiddenSlash => {
                "the path must not contain a backslash or an encoded slash or backslash"
            }
            Self::BadEscape => {
                "a percent sign in the path must be followed by two hexadecimal digits"
            }
            Self::Control => "the path must not contain control characters, encoded or not",
            Self::DoubleEncoded => "the path must not be percent-encoded twice",
            Self::NotUtf8 => "the path must be UTF-8 once percent-decoded",
        })
    }
}

impl std::error::Error for PathError {}

/// A request path that has one reading, percent-decoded. Only [`SafePath::parse`] makes one, so a route table that takes
/// nothing else cannot be asked about an unchecked path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafePath<'p>(Cow<'p, str>);

impl<'p> SafePath<'p> {
    /// Checks a path as it stands in the request line, without the query.
    ///
    /// # Errors
    /// The first reason found to refuse it.
    pub fn parse(path: &'p str) -> Result<Self, PathError> {
        if !path.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        if is_plain(path.as_bytes()) {
            return Ok(Self(Cow::Borrowed(path)));
        }
        Self::parse_closely(path)
    }

    /// The whole truth, of which [`is_plain`] is a part.
    fn parse_closely(path: &'p str) -> Result<Self, PathError> {
        let decoded = decode(path)?;
        for text in decoded.chars() {
            if text == '\\' {
                return Err(PathError::HiddenSlash);
            }
            if text.is_control() {
                return Err(PathError::Control);
            }
        }
        if has_escape(&decoded) {
            return Err(PathError::DoubleEncoded);
        }
        let mut segments = decoded.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            // A trailing slash leaves one empty segment, at the end, and names a different resource: it is allowed.
            if segment.is_empty() && segments.peek().is_some() {
                return Err(PathError::EmptySegment);
            }
            let name = segment.split(';').next().unwrap_or(segment);
            if matches!(name, "." | "..") {
                return Err(PathError::DotSegment);
            }
        }
        Ok(Self(decoded))
    }

    /// The decoded path, always starting with a slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a path is of nothing but the characters of most paths, in segments that begin with none of the special ones. Most are,
/// and one look at each byte is enough for them.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    for &byte in path {
        let is_usual = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
        let is_inside = matches!(byte, b'.' | b'/') && before != b'/';
        if !is_usual && !is_inside {
            return false;
        }
        before = byte;
    }
    true
}

fn decode(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let escaped = escaped_byte(bytes, at).ok_or(PathError::BadEscape)?;
            if matches!(escaped, b'/' | b'\\') {
                return Err(PathError::HiddenSlash);
            }
            decoded.push(escaped);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| PathError::NotUtf8)
}

/// The byte that the escape at `at` stands for.
fn escaped_byte(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |offset| {
        let digit = char::from(*bytes.get(at + offset)?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    Some(digit(1)? << 4 | digit(2)?)
}

/// Servers that decode twice exist, so what still looks like an escape after decoding has two readings.
fn has_escape(decoded: &str) -> bool {
    let bytes = decoded.as_bytes();
    (0..bytes.len()).any(|at| bytes[at] == b'%' && escaped_byte(bytes, at).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_and_decodes() {
        for (path, decoded) in [
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("/a.b/..c/...", "/a.b/..c/..."),
            ("/%70roducts", "/products"),
            ("/caf%C3%A9", "/café"),
            ("/a%20b", "/a b"),
            ("/100%25", "/100%"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/a:b@c!$&'()*+,=~", "/a:b@c!$&'()*+,=~"),
        ] {
            assert_eq!(
                SafePath::parse(path).map(|path| path.as_str().to_owned()),
                Ok(decoded.to_owned()),
                "{path}"
            );
        }
    }

    #[test]
    fn refuses_every_path_with_two_readings() {
        use PathError::*;
        for (path, why) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("a", NotAbsolute),
            ("//", EmptySegment),
            ("//a", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("/.", DotSegment),
            ("/..", DotSegment),
            ("/a/./b", DotSegment),
            ("/a/../b", DotSegment),
            ("/a/..", DotSegment),
            ("/a/%2e%2e/b", DotSegment),
            ("/a/.%2E/b", DotSegment),
            ("/a/%2e", DotSegment),
            ("/a/..;/b", DotSegment),
            ("/a/..;x=1/b", DotSegment),
            ("/a/..%3b/b", DotSegment),
            ("/a%2fb", HiddenSlash),
            ("/a%2F..%2Fb", HiddenSlash),
            ("/a%5cb", HiddenSlash),
            ("/a\\b", HiddenSlash),
            ("/a\\..\\b", HiddenSlash),
            ("/a%", BadEscape),
            ("/a%2", BadEscape),
            ("/a%zz", BadEscape),
            ("/a%+1", BadEscape),
            ("/a%00", Control),
            ("/a%0d%0aX:y", Control),
            ("/a%7f", Control),
            ("/a%252e%252e/b", DoubleEncoded),
            ("/a%252fb", DoubleEncoded),
            ("/a%255cb", DoubleEncoded),
            ("/a%25252fb", DoubleEncoded),
            ("/a%2500", DoubleEncoded),
            ("/%2561dmin", DoubleEncoded),
            ("/a%ff", NotUtf8),
            ("/a%c0%afb", NotUtf8),
            ("/a%c0%ae%c0%ae/b", NotUtf8),
        ] {
            assert_eq!(SafePath::parse(path), Err(why), "{path}");
        }
    }

    /// What a server that merges, resolves and decodes as much as it can would make of a path.
    fn as_an_eager_server_reads_it(path: &str) -> String {
        let mut text = path.to_owned();
        for _ in 0..4 {
            let mut once = Vec::new();
            let mut at = 0;
            let bytes = text.as_bytes();
            while at < bytes.len() {
                match (bytes[at], escaped_byte(bytes, at)) {
                    (b'%', Some(byte)) => {
                        once.push(byte);
                        at += 3;
                    }
                    (byte, _) => {
                        once.push(byte);
                        at += 1;
                    }
                }
            }
            text = String::from_utf8_lossy(&once).replace('\\', "/");
        }
        let mut kept: Vec<&str> = Vec::new();
        for segment in text.split('/').skip(1) {
            match segment.split(';').next().unwrap_or_default() {
                "." => {}
                ".." => {
                    kept.pop();
                }
                _ => kept.push(segment),
            }
        }
        format!("/{}", kept.join("/")).replace("//", "/")
    }

    proptest! {
        #[test]
        fn what_is_let_in_reads_the_same_everywhere(path in "/([a-c./\\\\;]|%2[eEfF5]|%5[cC]|%2525|%61|%){0,12}") {
            if let Ok(safe) = SafePath::parse(&path) {
                prop_assert_eq!(as_an_eager_server_reads_it(&path), safe.as_str());
            }
        }

        #[test]
        fn the_quick_look_finds_what_the_close_one_does(path in "/[a./\\\\;%-]{0,8}") {
            prop_assert_eq!(SafePath::parse(&path), SafePath::parse_closely(&path));
        }

        #[test]
        fn never_panics(path in "\\PC*") {
            let _ = SafePath::parse(&path);
        }
    }
}
