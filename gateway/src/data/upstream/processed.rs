//! Whether an HTTP/2 endpoint has looked at a request that failed.

use std::error::Error;

use h2::Reason;

/// Whether the endpoint says that it has done nothing with the request, which then may be sent again whatever it is (RFC 9113, section
/// 8.7): it has refused the stream, or has gone away before it came to it.
#[must_use]
pub fn was_not_processed(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            // h2 fails with the endpoint's GOAWAY only what the endpoint said it has not processed.
            let gone = error.is_go_away();
            let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
            return error.is_remote() && (gone || refused);
        }
        cause = error.source();
    }
    false
}
