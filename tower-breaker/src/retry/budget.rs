//! A budget of tokens.

use std::fmt;

use tower::retry::budget::Budget;

use crate::{
    BuildError, Problem,
    sync::{AtomicU32, Ordering},
};

/// A budget for tower's retries that knows no time: full at first, each retry takes out its cost, each success puts the refund
/// back, and it never holds more than its capacity. What AWS's SDKs do by default ("standard retry mode").
///
/// Lock-free. In an outage there are capacity ÷ cost retries at once, then none until there are successes again. A steady
/// share of failures below refund ÷ (cost + refund), 1 in 6 by default, is retried without end.
///
/// The SDKs give back a retry's whole cost when the call succeeds that was retried, and take twice as much for a retry after a time-out.
/// tower's [`Budget`] is not told the one nor the other, so here neither is done.
///
/// ```
/// use tower::retry::budget::Budget;
/// use tower_breaker::retry::TokenBudget;
///
/// let budget = TokenBudget::default();
/// assert_eq!((0..200).filter(|_| budget.withdraw()).count(), 100);
/// budget.deposit();
/// assert_eq!(budget.balance(), 1);
/// ```
pub struct TokenBudget {
    capacity: u32,
    cost: u32,
    refund: u32,
    balance: AtomicU32,
}

impl TokenBudget {
    /// Holds `capacity` tokens; a retry costs `cost` of them, and a success gives back `refund`.
    ///
    /// # Errors
    ///
    /// The capacity is 1 to 1,000,000,000, the cost 1 to the capacity, the refund 0 to the capacity.
    pub fn new(capacity: u32, cost: u32, refund: u32) -> Result<Self, BuildError> {
        let mut problems = Vec::new();
        let mut check = |option, value: u32, least: u32, most: u32| {
            if !(least..=most).contains(&value) {
                let allowed = format!("{least} to {most}");
                problems.push(Problem::new(option, value, allowed));
            }
        };
        check("capacity", capacity, 1, 1_000_000_000);
        check("cost", cost, 1, capacity);
        check("refund", refund, 0, capacity);
        BuildError::check("retry budget", "tokens", problems)?;
        Ok(Self {
            capacity,
            cost,
            refund,
            balance: AtomicU32::new(capacity),
        })
    }

    /// How many tokens it holds.
    pub fn balance(&self) -> u32 {
        self.balance.load(Ordering::Relaxed)
    }

    // Nothing but the balance hangs on the order.
    fn change(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
            .is_ok()
    }
}

impl Default for TokenBudget {
    /// 500 tokens, 5 for a retry, 1 back for a success.
    fn default() -> Self {
        Self {
            capacity: 500,
            cost: 5,
            refund: 1,
            balance: AtomicU32::new(500),
        }
    }
}

impl Budget for TokenBudget {
    fn deposit(&self) {
        // A full one, which it nearly always is, is only read.
        self.change(|balance| {
            let more = balance.saturating_add(self.refund).min(self.capacity);
            (more != balance).then_some(more)
        });
    }

    fn withdraw(&self) -> bool {
        self.change(|balance| balance.checked_sub(self.cost))
    }
}

impl fmt::Debug for TokenBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBudget")
            .field("capacity", &self.capacity)
            .field("cost", &self.cost)
            .field("refund", &self.refund)
            .field("balance", &self.balance())
            .finish()
    }
}
