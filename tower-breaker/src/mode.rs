//! What a guard turns a refusal into: an error in a box, an error with its type, or a response.
//!
//! Every guard layer is generic over one of these marker types; its `.typed()` and `.respond()` methods choose one, and
//! [`Boxed`] is the default. The trait is open, so a stack may have a form of its own, such as a fallback:
//!
//! ```
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::{BoxError, CircuitBreaker, CircuitBreakerLayer, Refused, mode::ErrorMode};
//!
//! /// Says "unknown" while the service behind is not asked.
//! #[derive(Clone)]
//! struct OrUnknown;
//!
//! impl<Err> ErrorMode<Option<u32>, Err> for OrUnknown {
//!     type Error = Err;
//!
//!     fn refused(&self, _: Refused) -> Result<Option<u32>, Err> {
//!         Ok(None)
//!     }
//!
//!     fn inner(&self, err: Err) -> Err {
//!         err
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let breaker = CircuitBreaker::builder("stock").consecutive_failures(5).build()?;
//! let mut stock = ServiceBuilder::new()
//!     .layer(CircuitBreakerLayer::new(breaker.clone()).mode(OrUnknown))
//!     .service(service_fn(async |item: u32| Ok::<_, std::io::Error>(Some(item))));
//! breaker.force_open();
//! assert_eq!(stock.ready().await?.call(7).await?, None);
//! # Ok(())
//! # }
//! ```

use crate::{BoxError, Error, Refused};

/// How a guard's outcome is shown to the caller, for a service with this response and error.
pub trait ErrorMode<Res, Err> {
    /// The error type of the guarded service.
    type Error;

    /// What the caller gets for a refused call.
    fn refused(&self, refused: Refused) -> Result<Res, Self::Error>;

    /// What the caller gets when the service behind the guard failed.
    fn inner(&self, err: Err) -> Self::Error;
}

/// Refusals and inner errors both become a [`BoxError`], as in tower's own middlewares; [`Refused::find`] tells them
/// apart. A refusal costs the allocation of the box.
#[derive(Debug, Clone, Copy, Default)]
pub struct Boxed;

impl<Res, Err: Into<BoxError>> ErrorMode<Res, Err> for Boxed {
    type Error = BoxError;

    fn refused(&self, refused: Refused) -> Result<Res, BoxError> {
        Err(refused.into())
    }

    fn inner(&self, err: Err) -> BoxError {
        err.into()
    }
}

/// The error type is [`Error<E>`](Error), so that the inner type survives. Allocates nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Typed;

impl<Res, Err> ErrorMode<Res, Err> for Typed {
    type Error = Error<Err>;

    fn refused(&self, refused: Refused) -> Result<Res, Error<Err>> {
        Err(Error::Refused(refused))
    }

    fn inner(&self, err: Err) -> Error<Err> {
        Error::Inner(err)
    }
}

/// Refusals become a `503 Service Unavailable` response with a problem+json body, and with `Retry-After` where there is a
/// [wait to tell](Refused::retry_after), which circuits have unless they are held open for good; the error type stays the inner one.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, Default)]
pub struct Respond;

#[cfg(feature = "http")]
impl<B: From<String>, Err> ErrorMode<http::Response<B>, Err> for Respond {
    type Error = Err;

    fn refused(&self, refused: Refused) -> Result<http::Response<B>, Err> {
        Ok(crate::http::refused_response(&refused))
    }

    fn inner(&self, err: Err) -> Err {
        err
    }
}
