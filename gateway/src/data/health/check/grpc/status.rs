//! gRPC status codes.

use std::fmt;

use ::http::HeaderValue;

/// One.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcStatus(u8);

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl GrpcStatus {
    pub(super) const OK: Self = Self(0);
    const UNKNOWN: Self = Self(2);

    /// What is no code, is that of an unknown error.
    pub(super) fn read(value: &HeaderValue) -> Self {
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        number.map_or(Self::UNKNOWN, Self)
    }
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.get(usize::from(self.0)).unwrap_or(&"not a code");
        write!(f, "{} ({name})", self.0)
    }
}
