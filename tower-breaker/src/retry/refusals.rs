use crate::{Refused, classify::refusal::Refusal};

/// Where a retry policy looks for refusals, besides in errors: [`InErrors`], nowhere, or `InResponses`.
pub trait FindRefusal<Res> {
    /// The refusal of which this response was made, if it was.
    fn find<'a>(&self, response: &'a Res) -> Option<&'a Refused>;
}

/// In errors only.
#[derive(Debug, Clone, Copy, Default)]
pub struct InErrors;

impl<Res> FindRefusal<Res> for InErrors {
    fn find<'a>(&self, _: &'a Res) -> Option<&'a Refused> {
        None
    }
}

/// In errors, and in the extensions of HTTP responses, where guards that answer by themselves (`.respond()`) leave them. They do
/// not cross the wire, so a refusal of another process is a failure of it.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, Default)]
pub struct InResponses;

#[cfg(feature = "http")]
impl<B> FindRefusal<http::Response<B>> for InResponses {
    fn find<'a>(&self, response: &'a http::Response<B>) -> Option<&'a Refused> {
        response.extensions().get()
    }
}

pub(super) fn find<'a, Res, Err: 'static>(
    place: &impl FindRefusal<Res>,
    result: Result<&'a Res, &'a Err>,
) -> Option<Refusal<'a>> {
    match result {
        Ok(response) => place.find(response).map(Refusal::Guard),
        Err(err) => crate::classify::refusal::find(err),
    }
}
