//! Which of the fields that need something done are there, and taking them out.
//!
//! A look-up in a [`HeaderMap`] hashes the name, whether it is there or not; there are twenty names to look for, and most requests
//! have three of them. One pass over the names that are there costs less than any two look-ups.

use http::{
    HeaderMap, HeaderName,
    header::{
        CONNECTION, FORWARDED, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING,
        UPGRADE,
    },
};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// The fields found in one head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Names(u32);

impl Names {
    pub(super) const CONNECTION: Self = Self(1);
    pub(super) const KEEP_ALIVE: Self = Self(1 << 1);
    pub(super) const PROXY_CONNECTION: Self = Self(1 << 2);
    pub(super) const PROXY_AUTHENTICATE: Self = Self(1 << 3);
    pub(super) const PROXY_AUTHORIZATION: Self = Self(1 << 4);
    pub(super) const TE: Self = Self(1 << 5);
    pub(in crate::data) const TRANSFER_ENCODING: Self = Self(1 << 6);
    pub(in crate::data) const UPGRADE: Self = Self(1 << 7);
    pub(super) const HTTP2_SETTINGS: Self = Self(1 << 8);
    pub(super) const FORWARDED: Self = Self(1 << 9);
    pub(super) const X_FORWARDED_FOR: Self = Self(1 << 10);
    pub(super) const X_FORWARDED_PROTO: Self = Self(1 << 11);
    pub(super) const X_FORWARDED_HOST: Self = Self(1 << 12);
    pub(super) const X_REQUEST_ID: Self = Self(1 << 13);
    pub(super) const VIA: Self = Self(1 << 14);
    pub(in crate::data) const HOST: Self = Self(1 << 15);
    pub(super) const LOCATION: Self = Self(1 << 16);
    /// A field by which servers learn of the client or of its request beside the usual ones, such as `X-Real-IP`.
    pub(super) const HEARSAY: Self = Self(1 << 17);
    /// A name that some servers read as one of the others: CGI turns `X_Forwarded_For` into the same variable.
    pub(super) const LOOK_ALIKE: Self = Self(1 << 18);
    pub(in crate::data) const CONTENT_LENGTH: Self = Self(1 << 19);
    pub(super) const COOKIE: Self = Self(1 << 20);
    pub(in crate::data) const EXPECT: Self = Self(1 << 21);

    /// For the next hop only, whether or not `Connection` names them. `Trailer` is not one of them: it announces fields at the
    /// end of the body, and bodies are passed on with their trailers.
    const HOP_BY_HOP: Self = Self((1 << 9) - 1);
    /// What `Connection` cannot take away: it would let a client undo what the gateway, or a proxy before it, has said.
    const KEPT: Self = Self(
        Self::FORWARDED.0
            | Self::X_FORWARDED_FOR.0
            | Self::X_FORWARDED_PROTO.0
            | Self::X_FORWARDED_HOST.0
            | Self::X_REQUEST_ID.0
            | Self::VIA.0
            | Self::HOST.0
            | Self::HEARSAY.0
            | Self::CONTENT_LENGTH.0,
    );

    /// Looks at every name once.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            found.0 |= Self::kind(name.as_str().as_bytes()).0;
        }
        found
    }

    #[inline]
    pub(in crate::data) fn has(self, name: Self) -> bool {
        self.0 & name.0 != 0
    }

    /// `name` is in lower case, as all header names are.
    fn kind(name: &[u8]) -> Self {
        let known = Self::known(name);
        if known.0 != 0 || !may_look_alike(name) {
            return known;
        }
        Self::look_alike(name)
    }

    fn known(name: &[u8]) -> Self {
        match (name.len(), name) {
            (2, b"te") => Self::TE,
            (3, b"via") => Self::VIA,
            (4, b"host") => Self::HOST,
            (6, b"cookie") => Self::COOKIE,
            (6, b"expect") => Self::EXPECT,
            (7, b"upgrade") => Self::UPGRADE,
            (8, b"location") => Self::LOCATION,
            (9, b"forwarded") => Self::FORWARDED,
            (9, b"x-real-ip") => Self::HEARSAY,
            (10, b"connection") => Self::CONNECTION,
            (10, b"keep-alive") => Self::KEEP_ALIVE,
            (11, b"x-client-ip") => Self::HEARSAY,
            (12, b"x-request-id") => Self::X_REQUEST_ID,
            (13, b"x-rewrite-url") => Self::HEARSAY,
            (14, b"x-original-url" | b"true-client-ip") => Self::HEARSAY,
            (14, b"http2-settings") => Self::HTTP2_SETTINGS,
            (14, b"content-length") => Self::CONTENT_LENGTH,
            (15, b"x-forwarded-for") => Self::X_FORWARDED_FOR,
            (15, b"x-original-host") => Self::HEARSAY,
            (16, b"x-forwarded-host") => Self::X_FORWARDED_HOST,
            (16, b"proxy-connection") => Self::PROXY_CONNECTION,
            (17, b"x-forwarded-proto") => Self::X_FORWARDED_PROTO,
            (17, b"transfer-encoding") => Self::TRANSFER_ENCODING,
            (18, b"proxy-authenticate") => Self::PROXY_AUTHENTICATE,
            (19, b"proxy-authorization") => Self::PROXY_AUTHORIZATION,
            (19, b"x-cluster-client-ip") => Self::HEARSAY,
            (
                12..,
                [
                    b'x',
                    b'-',
                    b'f',
                    b'o',
                    b'r',
                    b'w',
                    b'a',
                    b'r',
                    b'd',
                    b'e',
                    b'd',
                    b'-',
                    ..,
                ],
            ) => Self::HEARSAY,
            _ => Self(0),
        }
    }

    #[cold]
    fn look_alike(name: &[u8]) -> Self {
        let mut plain = [0; LONGEST];
        let Some(plain) = plain.get_mut(..name.len()) else {
            // Longer than every exact name; only a beginning can tell.
            return if name.len() >= LONGEST && Self::starts_as_forwarded(name) {
                Self::LOOK_ALIKE
            } else {
                Self(0)
            };
        };
        for (plain, byte) in plain.iter_mut().zip(name) {
            *plain = if byte.is_ascii_alphanumeric() {
                *byte
            } else {
                b'-'
            };
        }
        let meant = Self::known(plain);
        if meant.0 & (Self::HOP_BY_HOP.0 | Self::KEPT.0) == 0 {
            Self(0)
        } else {
            Self::LOOK_ALIKE
        }
    }

    fn starts_as_forwarded(name: &[u8]) -> bool {
        let begin = b"x-forwarded-";
        name.iter()
            .zip(begin)
            .all(|(byte, begin)| byte == begin || (*begin == b'-' && !byte.is_ascii_alphanumeric()))
    }
}

/// Longer than every exact name that is known.
const LONGEST: usize = 20;

/// Only a name that is as long as one with a hyphen, begins like it and has a character that is neither letter, digit nor hyphen.
/// The first two are asked because the third costs a look at every character.
fn may_look_alike(name: &[u8]) -> bool {
    let is_alike = match name.first() {
        Some(b'x') => name.len() >= 9,
        Some(b'p') => matches!(name.len(), 16 | 18 | 19),
        Some(b't') => matches!(name.len(), 14 | 17),
        Some(b'c' | b'h') => name.len() == 14,
        Some(b'k') => name.len() == 10,
        _ => false,
    };
    is_alike
        && name
            .iter()
            .any(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')
}

/// Takes out what is for the next hop only. `named` is left empty; it is lent so that its memory is used again.
pub(super) fn remove_hop_by_hop(
    headers: &mut HeaderMap,
    found: Names,
    named: &mut Vec<HeaderName>,
) {
    if found.0 & Names::HOP_BY_HOP.0 == 0 {
        return;
    }
    if found.has(Names::CONNECTION) {
        for value in headers.get_all(CONNECTION) {
            for option in value.as_bytes().split(|&byte| byte == b',') {
                named.extend(named_field(option.trim_ascii()));
            }
        }
        for name in named.drain(..) {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for (flag, name) in [
        (Names::KEEP_ALIVE, KEEP_ALIVE),
        (Names::PROXY_CONNECTION, PROXY_CONNECTION),
        (Names::PROXY_AUTHENTICATE, PROXY_AUTHENTICATE),
        (Names::PROXY_AUTHORIZATION, PROXY_AUTHORIZATION),
        (Names::TE, TE),
        (Names::TRANSFER_ENCODING, TRANSFER_ENCODING),
        (Names::UPGRADE, UPGRADE),
        (Names::HTTP2_SETTINGS, HTTP2_SETTINGS),
    ] {
        if found.has(flag) {
            headers.remove(name);
        }
    }
}

/// The field to take out for one option of `Connection`; `None` where there is no such field, or it goes or stays anyway.
fn named_field(option: &[u8]) -> Option<HeaderName> {
    if option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive") {
        return None;
    }
    let name = HeaderName::from_bytes(option).ok()?;
    let kind = Names::known(name.as_str().as_bytes());
    (kind.0 & (Names::KEPT.0 | Names::HOP_BY_HOP.0) == 0).then_some(name)
}

/// Takes out every field of these kinds, whatever its exact name.
#[cold]
pub(super) fn remove_kinds(headers: &mut HeaderMap, kinds: &[Names], names: &mut Vec<HeaderName>) {
    let of_them = |name: &&HeaderName| {
        let kind = Names::kind(name.as_str().as_bytes());
        kinds.iter().any(|wanted| kind.has(*wanted))
    };
    names.extend(headers.keys().filter(of_them).cloned());
    for name in names.drain(..) {
        headers.remove(name);
    }
}

/// Takes out the gateway's own fields as sent by somebody who is not believed, where the gateway does not replace them.
pub(super) fn remove_found(headers: &mut HeaderMap, found: Names, fields: &[(Names, HeaderName)]) {
    for (flag, name) in fields {
        if found.has(*flag) {
            headers.remove(name);
        }
    }
}

/// The fields of the `X-Forwarded-` family that the gateway writes.
pub(super) const X_FORWARDED: [(Names, HeaderName); 3] = [
    (Names::X_FORWARDED_FOR, X_FORWARDED_FOR),
    (Names::X_FORWARDED_PROTO, X_FORWARDED_PROTO),
    (Names::X_FORWARDED_HOST, X_FORWARDED_HOST),
];

/// RFC 7239's field.
pub(super) const STANDARD: [(Names, HeaderName); 1] = [(Names::FORWARDED, FORWARDED)];

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Names {
        Names::kind(name.as_bytes())
    }

    #[test]
    fn names_are_told_apart() {
        for (name, expected) in [
            ("te", Names::TE),
            ("host", Names::HOST),
            ("connection", Names::CONNECTION),
            ("http2-settings", Names::HTTP2_SETTINGS),
            ("x-forwarded-for", Names::X_FORWARDED_FOR),
            ("x-forwarded-port", Names::HEARSAY),
            ("x-forwarded-", Names::HEARSAY),
            ("x-forwarded-something-quite-long", Names::HEARSAY),
            ("x-real-ip", Names::HEARSAY),
            ("x_forwarded_for", Names::LOOK_ALIKE),
            ("x-forwarded_for", Names::LOOK_ALIKE),
            ("x.forwarded.for", Names::LOOK_ALIKE),
            ("x_forwarded_anything", Names::LOOK_ALIKE),
            ("x_forwarded_something_quite_long", Names::LOOK_ALIKE),
            ("x_real_ip", Names::LOOK_ALIKE),
            ("x_request_id", Names::LOOK_ALIKE),
            ("transfer_encoding", Names::LOOK_ALIKE),
            ("content_length", Names::LOOK_ALIKE),
            ("http2_settings", Names::LOOK_ALIKE),
            ("keep_alive", Names::LOOK_ALIKE),
            ("true_client_ip", Names::LOOK_ALIKE),
            ("my_own", Names(0)),
            ("x_own", Names(0)),
            ("x_forwarder", Names(0)),
            ("x_something_that_is_quite_long", Names(0)),
            ("accept", Names(0)),
            ("cookie", Names::COOKIE),
        ] {
            assert_eq!(kind(name), expected, "{name}");
        }
    }

    /// Whatever stands for the hyphens of a name that is known, it is found; the quick look must not be too quick.
    #[test]
    fn every_name_with_a_hyphen_has_look_alikes() {
        for name in [
            "keep-alive",
            "x-real-ip",
            "x-client-ip",
            "x-request-id",
            "x-rewrite-url",
            "x-original-url",
            "true-client-ip",
            "http2-settings",
            "content-length",
            "x-forwarded-for",
            "x-original-host",
            "x-forwarded-host",
            "proxy-connection",
            "x-forwarded-proto",
            "transfer-encoding",
            "proxy-authenticate",
            "proxy-authorization",
            "x-cluster-client-ip",
            "x-forwarded-whatever",
        ] {
            assert_ne!(kind(name), Names(0), "{name}");
            for other in ["_", ".", "~"] {
                assert_eq!(kind(&name.replace('-', other)), Names::LOOK_ALIKE, "{name}");
                assert_eq!(
                    kind(&name.replacen('-', other, 1)),
                    Names::LOOK_ALIKE,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn every_known_name_is_shorter_than_the_limit() {
        for (flag, name) in X_FORWARDED.iter().chain(&STANDARD) {
            assert_eq!(kind(name.as_str()), *flag);
        }
        assert!(PROXY_AUTHORIZATION.as_str().len() < LONGEST);
        assert!("x-cluster-client-ip".len() < LONGEST);
    }
}
