//! Which fields may stand at the end of a body.

use http::{
    HeaderMap, HeaderName,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_TYPE, COOKIE, EXPECT, LOCATION, MAX_FORWARDS, SET_COOKIE, TRAILER,
    },
};

use super::names::{
    Names, STANDARD, X_FORWARDED, X_REQUEST_ID, remove_found, remove_hop_by_hop, remove_kinds,
};

/// Fields that frame, route or authenticate a message are not trailers (RFC 9110 section 6.5.1): a server that merges them into
/// the headers would let whoever sends the body change them after they were checked.
const FORBIDDEN: [HeaderName; 12] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    LOCATION,
    MAX_FORWARDS,
    SET_COOKIE,
    TRAILER,
];

/// Takes out what must not stand at the end of a body, in either direction.
pub fn clean_trailers(trailers: &mut HeaderMap) {
    let mut names = Vec::new();
    let found = Names::of(trailers);
    remove_hop_by_hop(trailers, found, &mut names);
    remove_found(trailers, found, &X_FORWARDED);
    remove_found(trailers, found, &STANDARD);
    remove_found(
        trailers,
        found,
        &[
            (Names::HOST, http::header::HOST),
            (Names::VIA, http::header::VIA),
            (Names::X_REQUEST_ID, X_REQUEST_ID),
        ],
    );
    if found.has(Names::HEARSAY) || found.has(Names::LOOK_ALIKE) {
        remove_kinds(trailers, &[Names::HEARSAY, Names::LOOK_ALIKE], &mut names);
    }
    for name in FORBIDDEN {
        trailers.remove(name);
    }
}
