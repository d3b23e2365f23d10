//! Any request: whether it is let in, and what of its headers goes on. Nothing panics. What is let in has one reading: its path is what
//! a server makes of it that decodes and resolves all it can, there is one host, and one way to find the end of the body. What goes on
//! has no field for the next hop, none that `Connection` named, nothing that a stranger claims about itself, and no look-alike of
//! these; and everything else is still there as it was.
#![no_main]

mod paths;

use arbitrary::Arbitrary;
use gateway::{
    config::model::{ForwardedHeaders, Forwarding, Network},
    data::{
        admit::{Admitted, TARGET_BYTES, admit},
        answer_check::check_answer,
        headers::{Answered, Asked, ForwardingPolicy, Scratch, clean_trailers, hide_endpoint},
    },
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header,
    request::Parts,
};
use libfuzzer_sys::fuzz_target;

const PEER: &str = "192.0.2.7";

/// Names that something is done about, and some that nothing is.
const NAMES: [&str; 32] = [
    "host",
    "connection",
    "transfer-encoding",
    "content-length",
    "upgrade",
    "te",
    "expect",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "http2-settings",
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-real-ip",
    "x-original-url",
    "x-request-id",
    "x_forwarded_for",
    "x-forwarded_for",
    "x.real.ip",
    "content_length",
    "transfer_encoding",
    "location",
    "cookie",
    "accept",
    "x-own",
    "x_own",
    "trailer",
];

#[derive(Debug, Arbitrary)]
enum Name<'a> {
    Known(u8),
    Any(&'a [u8]),
}

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: u8,
    is_trusted: bool,
    written: u8,
    request_id: bool,
    fields: Vec<(Name<'a>, &'a [u8])>,
    status: u16,
    answer: Vec<(Name<'a>, &'a [u8])>,
}

fn map(fields: &[(Name<'_>, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = match name {
            Name::Known(at) => HeaderName::from_static(NAMES[usize::from(*at) % NAMES.len()]),
            Name::Any(bytes) => match HeaderName::from_bytes(bytes) {
                Ok(name) => name,
                Err(_) => continue,
            },
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    headers
}

impl Input<'_> {
    fn parts(&self) -> Option<Parts> {
        let method = Method::from_bytes(if self.method.is_empty() {
            b"GET"
        } else {
            self.method
        });
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = method.ok()?;
        parts.uri = Uri::try_from(self.target).ok()?;
        parts.version =
            [Version::HTTP_11, Version::HTTP_10, Version::HTTP_2][usize::from(self.version) % 3];
        parts.headers = map(&self.fields);
        Some(parts)
    }

    fn policy(&self) -> ForwardingPolicy {
        use ForwardedHeaders::{Both, Forwarded, None, XForwarded};
        let trusted = self.is_trusted.then(|| Network {
            first: PEER.parse().expect("an address"),
            prefix: 32,
        });
        ForwardingPolicy::new(&Forwarding {
            trusted: trusted.into_iter().collect(),
            headers: [Both, XForwarded, Forwarded, None][usize::from(self.written) % 4],
            via: HeaderValue::from_static("edge"),
            request_id: self.request_id,
        })
    }
}

const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Fields by which a stranger could speak for the gateway.
fn is_claim(name: &str) -> bool {
    const CLAIMS: [&str; 8] = [
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "x-cluster-client-ip",
        "x-original-url",
        "x-original-host",
        "x-rewrite-url",
    ];
    name.starts_with("x-forwarded-") || CLAIMS.contains(&name)
}

fn is_ours(name: &str) -> bool {
    is_claim(name) || matches!(name, "host" | "via" | "x-request-id" | "content-length")
}

/// As CGI and its kin read a name.
fn plain(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.chars().map(letter).collect()
}

fn is_look_alike(name: &str) -> bool {
    let plain = plain(name);
    plain != name && (is_ours(&plain) || HOP_BY_HOP.contains(&plain.as_str()))
}

/// The names in `Connection`, as they were written.
fn named(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|option| String::from_utf8_lossy(option.trim_ascii()).to_lowercase())
        .collect()
}

fn is_let_in_rightly(parts: &Parts, admitted: &Admitted<'_>) {
    let path = parts.uri.path();
    assert_eq!(
        paths::as_an_eager_server_reads_it(path),
        admitted.path.as_str()
    );
    assert!(!admitted.path.as_str().chars().any(char::is_control));
    assert!(parts.headers.get_all(header::HOST).iter().count() <= 1);
    assert!(parts.method != Method::CONNECT && parts.method != Method::TRACE);
    match &admitted.host {
        Some(host) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
            assert!(host.as_str().bytes().all(plain), "{host:?}");
            assert!(!host.name().is_empty() && !host.name().ends_with('.'));
        }
        None => assert_eq!(parts.version, Version::HTTP_10),
    }
    let encodings: Vec<_> = parts
        .headers
        .get_all(header::TRANSFER_ENCODING)
        .iter()
        .collect();
    match encodings[..] {
        [] => {}
        [one] => {
            assert!(one.as_bytes().eq_ignore_ascii_case(b"chunked"));
            assert!(!parts.headers.contains_key(header::CONTENT_LENGTH));
        }
        _ => panic!("{encodings:?}"),
    }
}

fn goes_on_rightly(input: &Input<'_>, before: &HeaderMap, after: &HeaderMap) {
    let named = named(before);
    for name in after.keys() {
        let name = name.as_str();
        assert!(!HOP_BY_HOP.contains(&name), "{name} goes on");
        assert!(!is_look_alike(name), "{name} goes on");
        assert!(
            is_ours(name) || !named.iter().any(|named| named == name),
            "{name} was named"
        );
        if is_claim(name) && !input.is_trusted {
            for value in after.get_all(name) {
                let value = value.to_str().expect("of the gateway's own");
                let is_own = match name {
                    "x-forwarded-for" => value == PEER,
                    "x-forwarded-proto" => value == "http",
                    "x-forwarded-host" => true,
                    "forwarded" => value.starts_with("for=192.0.2.7;"),
                    _ => false,
                };
                assert!(is_own, "a stranger's {name}: {value}");
            }
        }
    }
    // What nothing is said about is as it was.
    for name in before.keys() {
        let text = name.as_str();
        let is_plain = !is_ours(text)
            && !is_look_alike(text)
            && !HOP_BY_HOP.contains(&text)
            && !named.iter().any(|named| named == text)
            && text != "cookie";
        if is_plain {
            let (was, is) = (before.get_all(name), after.get_all(name));
            assert!(was.iter().eq(is.iter()), "{text} is not what it was");
        }
    }
    let via = after[header::VIA].as_bytes();
    assert!(via.ends_with(b" edge"), "{via:?}");
    if input.request_id {
        assert_eq!(after.get_all("x-request-id").iter().count(), 1);
    }
    let hosts: Vec<_> = after.get_all(header::HOST).iter().collect();
    assert!(hosts.len() <= 1);
}

fn answer(input: &Input<'_>, policy: &ForwardingPolicy, scratch: &mut Scratch) {
    let Ok(status) = StatusCode::from_u16(input.status) else {
        return;
    };
    let before = map(&input.answer);
    let mut after = before.clone();
    let endpoint = HeaderValue::from_static("10.0.0.1:80");
    let checked = check_answer(status, Version::HTTP_11, &before, None);
    if let Ok(names) = checked {
        assert!(status.as_u16() >= 200);
        assert!(before.get_all(header::CONTENT_LENGTH).iter().count() <= 1);
        assert!(
            !(before.contains_key(header::CONTENT_LENGTH)
                && before.contains_key(header::TRANSFER_ENCODING))
        );
        hide_endpoint(&mut after, &endpoint, scratch);
        let answered = Answered {
            names,
            version: Version::HTTP_11,
            request_id: None,
        };
        policy.to_client(&mut after, answered, scratch);
        for name in after.keys() {
            assert!(!HOP_BY_HOP.contains(&name.as_str()), "{name} comes back");
        }
        if let (Some(was), Some(is)) = (before.get(header::LOCATION), after.get(header::LOCATION)) {
            let (was, is) = (was.as_bytes(), is.as_bytes());
            assert!(was == is || (is.starts_with(b"/") && !is.starts_with(b"//")));
        }
    }
    let mut trailers = before;
    clean_trailers(&mut trailers);
    for name in trailers.keys() {
        let name = name.as_str();
        let is_bad = HOP_BY_HOP.contains(&name) || is_ours(name) || is_look_alike(name);
        assert!(!is_bad, "{name} is a trailer");
    }
}

fuzz_target!(|input: Input<'_>| {
    let policy = input.policy();
    let mut scratch = Scratch::new();
    if let Some(mut parts) = input.parts()
        && let Ok(admitted) = admit(&parts, TARGET_BYTES)
    {
        is_let_in_rightly(&parts, &admitted);
        let names = admitted.names;
        let asked_host = admitted.host.map(|host| host.as_str().to_owned());
        let before = parts.headers.clone();
        let facts = policy.connection(PEER.parse().ok(), false);
        let asked = Asked {
            names,
            version: parts.version,
            authority: parts.uri.authority(),
        };
        policy.to_upstream(&mut parts.headers, &facts, asked, &mut scratch);
        goes_on_rightly(&input, &before, &parts.headers);
        let host = parts.headers.get(header::HOST).map(HeaderValue::as_bytes);
        assert_eq!(host, asked_host.as_deref().map(str::as_bytes));
    }
    answer(&input, &policy, &mut scratch);
});
