//! W3C trace context (`traceparent`, `tracestate`): read from a request, carried through the task, sent on by the client.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// The header that names the trace.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header with what the tracing systems on the way added.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The trace a request belongs to, with this service's own span in it. Also found in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    parent: Option<u64>,
    flags: u8,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// Continues the trace of an incoming request with a span of our own; begins one if there is none or it is not valid.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let parsed = match (values.next(), values.next()) {
            (Some(value), None) => parse(value.as_bytes()),
            _ => None,
        };
        match parsed {
            Some((trace_id, parent, flags)) => Self {
                trace_id,
                span_id: random_u64(),
                parent: Some(parent),
                flags,
                state: single_state(headers),
            },
            None => Self::begin(),
        }
    }

    /// Begins a trace.
    pub fn begin() -> Self {
        Self {
            trace_id: random_u128(),
            span_id: random_u64(),
            parent: None,
            flags: 0,
            state: None,
        }
    }

    /// 32 hex digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// 16 hex digits: this service's part of the trace.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// 16 hex digits: the caller's part, if there was one.
    pub fn parent_id(&self) -> Option<String> {
        self.parent.map(|parent| format!("{parent:016x}"))
    }

    /// The header's value for calls made on behalf of this request.
    pub fn traceparent(&self) -> String {
        format!(
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }

    /// As [`traceparent`](Self::traceparent), without the detour over a text: a proxy makes one for each request.
    #[must_use]
    pub fn traceparent_value(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id.to_be_bytes());
        write_hex(&mut text[36..52], &self.span_id.to_be_bytes());
        write_hex(&mut text[53..55], &[self.flags]);
        // Hexadecimal digits and dashes are always a valid value.
        HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// The `tracestate` to send on.
    pub fn tracestate(&self) -> Option<&HeaderValue> {
        self.state.as_ref()
    }

    /// Runs a future with this as its [`current`] context.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace_id)
    }
}

/// The context of the request this task is answering. A task spawned from a handler has none unless it is given one
/// with [`TraceContext::scope`].
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs one poll, or one call, with the context.
pub(crate) fn enter<T>(context: &TraceContext, body: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(context.clone(), body)
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

fn single_state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(TRACESTATE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Some(value.clone()),
        (Some(first), Some(second)) => {
            let all = [first, second]
                .into_iter()
                .chain(values)
                .map(|value| value.to_str().ok());
            let joined = all.collect::<Option<Vec<_>>>()?.join(",");
            HeaderValue::from_str(&joined).ok()
        }
        _ => None,
    }
}

/// Version 00 exactly; a later version is read by the part that is known.
fn parse(value: &[u8]) -> Option<(u128, u64, u8)> {
    let text = std::str::from_utf8(value).ok()?;
    let (known, rest) = text.split_at_checked(55)?;
    let mut parts = known.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let shape = parts.next().is_none()
        && version.len() == 2
        && trace.len() == 32
        && parent.len() == 16
        && flags.len() == 2;
    if !shape
        || ![version, trace, parent, flags]
            .into_iter()
            .all(is_lower_hex)
    {
        return None;
    }
    let rest_allowed = match version {
        "00" => rest.is_empty(),
        "ff" => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let trace_id = u128::from_str_radix(trace, 16).ok()?;
    let parent_id = u64::from_str_radix(parent, 16).ok()?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    // Only the sampled flag is defined; the others must not be sent on.
    (rest_allowed && trace_id != 0 && parent_id != 0).then_some((trace_id, parent_id, flags & 1))
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// All zero means "none" on the wire.
fn random_u64() -> u64 {
    fastrand::u64(1..)
}

fn random_u128() -> u128 {
    fastrand::u128(1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(values: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |&(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a header"),
            )
        };
        values.iter().map(pair).collect()
    }

    #[test]
    fn a_valid_parent_is_continued_with_a_span_of_our_own() {
        let context =
            TraceContext::from_headers(&headers(&[("traceparent", VALID), ("tracestate", "a=1")]));
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.parent_id().as_deref(), Some("00f067aa0ba902b7"));
        assert_ne!(context.span_id(), "00f067aa0ba902b7");
        assert_eq!(
            context.traceparent_value().as_bytes(),
            context.traceparent().as_bytes()
        );
        assert_eq!(
            context.tracestate().map(HeaderValue::as_bytes),
            Some(b"a=1".as_slice())
        );
        assert_eq!(
            parse(context.traceparent().as_bytes()).map(|(trace, ..)| trace),
            Some(context.trace_id)
        );
    }

    #[test]
    fn what_is_not_valid_begins_a_trace() {
        let wrong = [
            "",
            "rubbish",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01extra",
            "00-4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7---01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        ];
        for text in wrong {
            let context = TraceContext::from_headers(&headers(&[
                ("traceparent", text),
                ("tracestate", "a=1"),
            ]));
            assert_eq!(
                (context.parent_id(), context.tracestate()),
                (None, None),
                "{text}"
            );
        }
    }

    #[test]
    fn two_parents_are_none() {
        let context =
            TraceContext::from_headers(&headers(&[("traceparent", VALID), ("traceparent", VALID)]));
        assert_eq!(context.parent_id(), None);
    }

    #[test]
    fn a_later_version_is_read_by_its_known_part() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more";
        let context = TraceContext::from_headers(&headers(&[("traceparent", later)]));
        assert_eq!(context.parent_id().as_deref(), Some("00f067aa0ba902b7"));
        assert!(context.traceparent().starts_with("00-") && context.traceparent().ends_with("-01"));
    }

    #[test]
    fn several_states_are_one_list() {
        let context = TraceContext::from_headers(&headers(&[
            ("traceparent", VALID),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
        ]));
        assert_eq!(
            context.tracestate().map(HeaderValue::as_bytes),
            Some(b"a=1,b=2".as_slice())
        );
    }

    #[tokio::test]
    async fn the_current_context_is_the_tasks() {
        assert_eq!(current(), None);
        let context = TraceContext::begin();
        let seen = context.clone().scope(async { current() }).await;
        assert_eq!(seen, Some(context));
    }
}
