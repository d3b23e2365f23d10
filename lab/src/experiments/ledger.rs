//! What shoppers were promised: each adds up what was acknowledged, and the carts are compared with it afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One shopper's account. Every add is of one piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    pub variant: usize,
    pub sent: u64,
    pub acknowledged: u64,
}

/// The accounts of all shoppers, by user id. Clones are one ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    accounts: Arc<Mutex<BTreeMap<String, Account>>>,
}

impl Ledger {
    pub fn sent(&self, variant: usize, user: &str) {
        let mut accounts = self.accounts();
        let account = accounts.entry(user.to_owned()).or_default();
        account.variant = variant;
        account.sent += 1;
    }

    pub fn acknowledged(&self, user: &str) {
        if let Some(account) = self.accounts().get_mut(user) {
            account.acknowledged += 1;
        }
    }

    pub fn all(&self) -> Vec<(String, Account)> {
        self.accounts()
            .iter()
            .map(|(user, account)| (user.clone(), *account))
            .collect()
    }

    fn accounts(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The accounts of one variant held against its carts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Audit {
    pub carts: u64,
    pub acknowledged: u64,
    /// Acknowledged but not in the cart.
    pub missing: u64,
    /// In the cart, but more often than they were sent.
    pub surplus: u64,
}

impl Audit {
    /// An add that was not acknowledged may be in the cart or not: its shopper was told nothing.
    pub fn enter(&mut self, account: Account, in_cart: u64) {
        self.carts += 1;
        self.acknowledged += account.acknowledged;
        self.missing += account.acknowledged.saturating_sub(in_cart);
        self.surplus += in_cart.saturating_sub(account.sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_keeps_what_was_sent_and_what_was_acknowledged() {
        let ledger = Ledger::default();
        ledger.sent(1, "a");
        ledger.clone().sent(1, "a");
        ledger.acknowledged("a");
        ledger.acknowledged("stranger");
        assert_eq!(
            ledger.all(),
            [(
                "a".to_owned(),
                Account {
                    variant: 1,
                    sent: 2,
                    acknowledged: 1
                }
            )]
        );
    }

    #[test]
    fn an_audit_finds_what_is_missing_and_what_is_too_much() {
        let account = Account {
            variant: 0,
            sent: 5,
            acknowledged: 3,
        };
        let audit = |in_cart| {
            let mut audit = Audit::default();
            audit.enter(account, in_cart);
            (audit.missing, audit.surplus)
        };
        assert_eq!(audit(3), (0, 0));
        assert_eq!(
            audit(5),
            (0, 0),
            "sent, not acknowledged, and stored all the same"
        );
        assert_eq!(audit(2), (1, 0));
        assert_eq!(audit(7), (0, 2));
    }
}
