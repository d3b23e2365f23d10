//! The error types that every guard shares.

use std::{borrow::Cow, error::Error as StdError, fmt};

use crate::Refused;

/// Any error, boxed: what tower's own middlewares fail with.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The typed form of a guarded service's error: either the guard refused, or the service behind it failed.
#[derive(Debug, Clone)]
pub enum Error<E> {
    /// The guard refused the call; the service behind it was not called.
    Refused(Refused),
    /// The service behind the guard failed.
    Inner(E),
}

impl<E> Error<E> {
    /// The refusal, if this is one.
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Inner(_) => None,
        }
    }

    /// The error of the service behind the guard, if this is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Refused(_) => None,
            Self::Inner(err) => Some(err),
        }
    }
}

impl<E> From<Refused> for Error<E> {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Error<BoxError> {
    /// The boxed form, for layers further out that box errors: `BoxError` does not implement `std::error::Error`, so this type
    /// cannot either, and is no `Into<BoxError>`. Use it with tower's `map_err`.
    pub fn into_boxed(self) -> BoxError {
        match self {
            Self::Refused(refused) => refused.into(),
            Self::Inner(err) => err,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Inner(err) => err.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for Error<E> {
    // The enum is transparent: its text is the inner text, so the inner error itself must be reachable for a downcast.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Inner(err) => Some(err),
        }
    }
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    option: Cow<'static, str>,
    value: String,
    allowed: String,
}

impl Problem {
    pub(crate) fn new(
        option: impl Into<Cow<'static, str>>,
        value: impl fmt::Debug,
        allowed: impl fmt::Display,
    ) -> Self {
        Self {
            option: option.into(),
            value: format!("{value:?}"),
            allowed: allowed.to_string(),
        }
    }

    /// The same, of an option that is itself within another one.
    #[cfg(feature = "serde")]
    pub(crate) fn inside(&self, outer: &str) -> Self {
        Self {
            option: format!("{outer}.{}", self.option).into(),
            ..self.clone()
        }
    }

    /// The name of the option, as the builder spells it: `open_for`, `failure_rate.threshold`. If an option was given several
    /// times, with its place among them, from 0: `failure_rate[1].threshold`.
    pub fn option(&self) -> &str {
        &self.option
    }

    /// The value that was given.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What would have been allowed.
    pub fn allowed(&self) -> &str {
        &self.allowed
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is {}; allowed: {}",
            self.option, self.value, self.allowed
        )
    }
}

/// A guard could not be built. Lists everything that is wrong with its configuration, not only the first thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    guard: &'static str,
    name: String,
    problems: Vec<Problem>,
}

impl BuildError {
    // Gives `Ok` when there is nothing to complain about. `guard` is what is being built: "circuit breaker", "bulkhead".
    pub(crate) fn check(
        guard: &'static str,
        name: &str,
        problems: Vec<Problem>,
    ) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        Err(Self::of(guard, name, problems))
    }

    /// There must be a problem.
    pub(crate) fn of(guard: &'static str, name: &str, problems: Vec<Problem>) -> Self {
        Self {
            guard,
            name: name.to_owned(),
            problems,
        }
    }

    /// The name of the guard that could not be built.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that is wrong, in the order of the builder's options. Never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` cannot be built: ", self.guard, self.name)?;
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl StdError for BuildError {}
