//! Which part of a request is its key.
//!
//! A [`PickKey`] shows the key to the registry in its borrowed form, so that looking a known key up allocates nothing. Any closure that
//! gives a key by value is one; so use it for numbers and the like. [`part`] is for keys that are part of the request:
//!
//! ```
//! use tower_breaker::{CircuitBreaker, Keyed, KeyedLayer, keyed::by};
//!
//! struct Ask {
//!     tenant: u64,
//!     region: String,
//! }
//!
//! let breakers = Keyed::breakers(|tenant: &u64| {
//!     CircuitBreaker::builder(format!("tenant {tenant}")).consecutive_failures(5)
//! })
//! .overflow(CircuitBreaker::builder("other tenants").consecutive_failures(100))
//! .build()?;
//! let by_tenant = KeyedLayer::new(breakers, |ask: &Ask| ask.tenant);
//!
//! let breakers = Keyed::breakers(|region: &String| {
//!     CircuitBreaker::builder(region.as_str()).consecutive_failures(5)
//! })
//! .overflow(CircuitBreaker::builder("other regions").consecutive_failures(100))
//! .build()?;
//! let by_region = KeyedLayer::new(breakers, by::part(|ask: &Ask| Some(ask.region.as_str())));
//! # let _ = (by_tenant, by_region);
//! # Ok::<(), tower_breaker::BuildError>(())
//! ```
//!
//! With the `http` feature there are [`Host`], [`PathPrefix`], [`Header`] and [`Extension`].

#[cfg(feature = "http")]
mod http;

use std::fmt;

#[cfg(feature = "http")]
pub use self::http::{Extension, Header, Host, PathPrefix};

/// Finds a request's key.
pub trait PickKey<Req> {
    /// The form in which a key is looked up: `str` for `String`s, and the key's own type for numbers.
    type Key: ?Sized;

    /// Shows the request's key to `use_key`, or nothing if it has none, and gives what that gives.
    fn with_key<R>(&self, request: &Req, use_key: impl FnOnce(Option<&Self::Key>) -> R) -> R;
}

impl<F, Req, V> PickKey<Req> for F
where
    F: Fn(&Req) -> V,
{
    type Key = V;

    #[inline]
    fn with_key<R>(&self, request: &Req, use_key: impl FnOnce(Option<&V>) -> R) -> R {
        use_key(Some(&self(request)))
    }
}

/// Finds keys that are part of the request. Made by [`part`].
#[derive(Clone, Copy)]
pub struct Part<F>(F);

/// The key is this part of the request; `None` if the request has none.
pub fn part<Req, Q: ?Sized, F>(part: F) -> Part<F>
where
    F: for<'a> Fn(&'a Req) -> Option<&'a Q>,
{
    Part(part)
}

impl<F, Req, Q: ?Sized> PickKey<Req> for Part<F>
where
    F: for<'a> Fn(&'a Req) -> Option<&'a Q>,
{
    type Key = Q;

    #[inline]
    fn with_key<R>(&self, request: &Req, use_key: impl FnOnce(Option<&Q>) -> R) -> R {
        use_key((self.0)(request))
    }
}

impl<F> fmt::Debug for Part<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Part")
    }
}
