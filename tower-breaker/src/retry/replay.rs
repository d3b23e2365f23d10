/// Says whether a request may be sent again, and makes the copy that is.
///
/// Asked before every attempt. Any `Fn(&Request) -> Option<Request>` is one; for HTTP see `HttpRequests`.
pub trait Replay<Req> {
    /// A copy of the request, to be sent if this attempt fails. `None` if it must not be sent twice, or cannot.
    fn replay(&self, request: &Req) -> Option<Req>;
}

impl<F, Req> Replay<Req> for F
where
    F: Fn(&Req) -> Option<Req>,
{
    fn replay(&self, request: &Req) -> Option<Req> {
        self(request)
    }
}
