/// Keeps of a request what a fallback needs of it. Any `Fn(&Request) -> Option<Kept>` does.
pub trait Keep<Req> {
    /// What is kept.
    type Kept;

    /// Called with the request of every call, before the service behind gets it. `None` if there is no fallback for it.
    fn keep(&self, request: &Req) -> Option<Self::Kept>;
}

impl<F, Req, Kept> Keep<Req> for F
where
    F: Fn(&Req) -> Option<Kept>,
{
    type Kept = Kept;

    fn keep(&self, request: &Req) -> Option<Kept> {
        self(request)
    }
}

/// Keeps nothing: the fallback needs nothing of the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeepNothing;

impl<Req> Keep<Req> for KeepNothing {
    type Kept = ();

    fn keep(&self, _: &Req) -> Option<()> {
        Some(())
    }
}

/// Keeps a clone of the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneRequest;

impl<Req: Clone> Keep<Req> for CloneRequest {
    type Kept = Req;

    fn keep(&self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}
