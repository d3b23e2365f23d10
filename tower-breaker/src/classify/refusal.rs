//! Refusals of limiters further in, which say nothing about the service behind them.

use std::{any::Any, convert::Infallible, error::Error as StdError};

use tower::load_shed::error::Overloaded;

use crate::{BoxError, Error, Refused, refused::chain};

/// What a limiter further in said.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal<'a> {
    Guard(&'a Refused),
    /// Tower's, which says nothing more.
    LoadShed,
}

/// The refusal of a guard of ours or of tower's load shed, if this error, or anything it was caused by, is one.
pub(crate) fn find_in_chain<'a>(err: &'a (dyn StdError + 'static)) -> Option<Refusal<'a>> {
    chain(err).find_map(|err| match err.downcast_ref::<Refused>() {
        Some(refused) => Some(Refusal::Guard(refused)),
        None => err.is::<Overloaded>().then_some(Refusal::LoadShed),
    })
}

/// The same for an error of which nothing is known but that it is `'static`: `BoxError` does not implement `Error`, so that
/// one bound could not cover it and ordinary error types.
pub(crate) fn find<E: 'static>(err: &E) -> Option<Refusal<'_>> {
    let err: &dyn Any = err;
    if let Some(err) = err.downcast_ref::<BoxError>() {
        return find_in_chain(&**err);
    }
    if let Some(refused) = err.downcast_ref::<Refused>() {
        return Some(Refusal::Guard(refused));
    }
    if let Some(err) = err.downcast_ref::<Error<BoxError>>() {
        return match err {
            Error::Refused(refused) => Some(Refusal::Guard(refused)),
            Error::Inner(err) => find_in_chain(&**err),
        };
    }
    match err.downcast_ref::<Error<Infallible>>()? {
        Error::Refused(refused) => Some(Refusal::Guard(refused)),
        Error::Inner(never) => match *never {},
    }
}

/// Whether there is one.
pub(super) fn is_in_chain(err: &(dyn StdError + 'static)) -> bool {
    find_in_chain(err).is_some()
}

/// Whether there is one.
pub(super) fn is_in<E: 'static>(err: &E) -> bool {
    find(err).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    fn refused() -> Refused {
        Refused::sample("stock", Reason::CircuitOpen, None)
    }

    #[test]
    fn a_refusal_is_known_in_every_form_that_guards_give_it() {
        let boxed: BoxError = refused().into();
        assert!(is_in(&boxed));
        assert!(is_in(&refused()));
        assert!(is_in(&Error::<Infallible>::Refused(refused())));
        assert!(is_in(&Error::<BoxError>::Inner(boxed)));
        assert!(is_in(&BoxError::from(Overloaded::new())));
        assert!(!is_in(&BoxError::from("down")));
        assert!(!is_in(&"not even an error"));

        let wrapped = std::io::Error::other(Error::<std::io::Error>::Refused(refused()));
        assert!(is_in_chain(&wrapped));
    }

    #[test]
    fn every_other_error_is_a_failure_to_any_error_and_to_error_chain() {
        use crate::classify::{AnyError, ClassifyCall, ErrorChain, Verdict};

        let refused = std::io::Error::other(Error::<std::io::Error>::Refused(refused()));
        let down = std::io::Error::other("down");
        let chain = |result| ClassifyCall::<(), std::io::Error>::verdict(ErrorChain, result);
        let any = |result| ClassifyCall::<(), std::io::Error>::verdict(AnyError, result);
        assert_eq!(
            (chain(Ok(&())), any(Ok(&()))),
            (Verdict::Success, Verdict::Success)
        );
        assert_eq!(
            (chain(Err(&down)), any(Err(&down))),
            (Verdict::Failure, Verdict::Failure)
        );
        assert_eq!(
            (chain(Err(&refused)), any(Err(&refused))),
            (Verdict::Ignore, Verdict::Failure)
        );
    }
}
