//! Shared state that a call may hold on to without a reference count of its own.
//!
//! An `Arc` costs every call two atomic read-modify-writes on one word, which threads that share a guard take from each other:
//! with two threads a call on a closed circuit then takes ten times as long (decision 0070 has the figures). But a guard counts
//! its calls anyway, exactly, on counters that each thread has for itself ([`Striped`](crate::striped)), so it knows already
//! whether any are under way. Here that knowledge takes the place of the count:
//!
//! * handles are [`Owner`]s, counted as in an `Arc`;
//! * a call has a [`Loan`], which is a bare pointer: it counts as the value says ([`Lender::has_loans`]);
//! * when the last owner goes, the value is freed if it has no loans, and else put on a list. Whoever ends a loan of a value that
//!   he saw to be there looks at it again; and so does, a moment later, whoever put it there. Each who looks at one looks at a
//!   few of the others.
//!
//! So a loan never touches the value after its end has been counted, and memory whose last call ended just as its last handle
//! went may wait until something else is retired (every call could look whether something has been, which would cost it 0.02
//! times the benchmark's floor). A loan that is leaked (`mem::forget` of a call's future) leaks the value, as it would leak an `Arc`.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    ops::{Bound, Deref},
    ptr::NonNull,
};

use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, fence};

/// A value that counts its loans.
///
/// # Safety
///
/// `has_loans` must give `true` as long as there is a loan whose beginning happened before and whose end has not been counted.
/// Counting an end must release what was done before, and `has_loans` must acquire it, so that a `false` happens after everything
/// that was done with any loan.
pub(crate) unsafe trait Lender: Send + Sync + 'static {
    /// How the end of a loan is counted.
    type Ending<'a>: Ending<Rest = Self::Rest>;
    /// What is left to do when it could not be.
    type Rest;

    fn has_loans(&self) -> bool;
}

// In this order, and aligned to cache lines, so that a value can say what of it is in one line.
#[repr(C, align(64))]
struct Block<T: ?Sized> {
    owners: AtomicU64,
    // Whether it is on the list of the retired. Written only under the list's lock.
    retired: AtomicU32,
    value: T,
}

/// A counted handle.
pub(crate) struct Owner<T: Lender>(NonNull<Block<T>>);

/// What a call has instead of a handle.
pub(crate) struct Loan<T: Lender>(NonNull<Block<T>>);

// SAFETY: both give out `&T` on whatever thread they are on, and the last of them drops the `T` there: `Lender` demands both
// `Send` and `Sync`.
unsafe impl<T: Lender> Send for Owner<T> {}
// SAFETY: as above.
unsafe impl<T: Lender> Sync for Owner<T> {}
// SAFETY: as above.
unsafe impl<T: Lender> Send for Loan<T> {}
// SAFETY: as above.
unsafe impl<T: Lender> Sync for Loan<T> {}

impl<T: Lender> Owner<T> {
    pub(crate) fn new(value: T) -> Self {
        let block = Box::new(Block {
            owners: AtomicU64::new(1),
            retired: AtomicU32::new(0),
            value,
        });
        Self(NonNull::from(Box::leak(block)))
    }

    /// Whether this is the only owner, and there is no loan. While nobody can clone or borrow from this one, it stays so.
    pub(crate) fn is_alone(&self) -> bool {
        // In this order: a loan may make itself an owner before it ends, but not after.
        !self.has_loans() && self.block().owners.load(Ordering::Acquire) == 1
    }

    /// Whether both own the same value.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn block(&self) -> &Block<T> {
        // SAFETY: the block lives as long as it has an owner, and this is one.
        unsafe { self.0.as_ref() }
    }

    /// The pointer that goes with a loan.
    ///
    /// # Safety
    ///
    /// The caller has counted the loan's beginning in the value, and will count its end after the last use of what this gives,
    /// and at most once.
    #[inline(always)]
    pub(crate) unsafe fn lend(&self) -> Loan<T> {
        Loan(self.0)
    }
}

impl<T: Lender> Deref for Owner<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: as in `block`.
        unsafe { &self.0.as_ref().value }
    }
}

impl<T: Lender> Clone for Owner<T> {
    fn clone(&self) -> Self {
        self.block().owners.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl<T: Lender> Drop for Owner<T> {
    fn drop(&mut self) {
        let owners = &self.block().owners;
        let mut count = owners.load(Ordering::Relaxed);
        while count > 1 {
            match owners.compare_exchange(count, count - 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(actual) => count = actual,
            }
        }
        // Perhaps the last. That one goes under the lock, because it touches the block after it has given it up.
        let mut list = retired();
        if self.block().owners.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            if self.block().retired.load(Ordering::Relaxed) == 0 {
                self.block().retired.store(1, Ordering::Relaxed);
                list.retired.insert(self.0.addr().get(), Retired(self.0));
            }
        }
        let address = self.0.addr().get();
        let free = list.take_free(address);
        let is_kept = list.retired.contains_key(&address);
        drop(list);
        // Runs the destructors of the user's listeners, and so without the lock.
        drop(free);
        if is_kept {
            await_stragglers(address);
        }
    }
}

// A call that was just ending did not see that the value had been put on the list: so it is looked at again when that has passed.
#[cold]
fn await_stragglers(address: usize) {
    #[cfg(not(breaker_loom))]
    for _ in 0..200 {
        std::hint::spin_loop();
    }
    look_at(address);
}

impl<T: Lender> Loan<T> {
    /// Makes an owner of a borrower, for what must outlive the loan's end.
    pub(crate) fn own(&self) -> Owner<T> {
        // SAFETY: the loan's end has not been counted, so the block is alive.
        let block = unsafe { self.0.as_ref() };
        block.owners.fetch_add(1, Ordering::Relaxed);
        Owner(self.0)
    }

    /// Ends the loan, where that can always be done.
    #[inline(always)]
    pub(crate) fn end(self, find: impl for<'a> FnOnce(&'a T) -> T::Ending<'a>)
    where
        T: Lender<Rest = Infallible>,
    {
        let Ok(()) = self.try_end(find);
    }

    /// Ends the loan, if what `find` finds can be done; else gives it back.
    #[inline(always)]
    pub(crate) fn try_end(
        self,
        find: impl for<'a> FnOnce(&'a T) -> T::Ending<'a>,
    ) -> Result<(), NotEnded<T>> {
        // SAFETY: the loan's end has not been counted, so the block is alive.
        let block = unsafe { self.0.as_ref() };
        let is_retired = block.retired.load(Ordering::Relaxed) != 0;
        if let Err(rest) = find(&block.value).count() {
            return Err(NotEnded { loan: self, rest });
        }
        // From here on the block may be gone.
        if is_retired {
            look_at(self.0.addr().get());
        }
        Ok(())
    }
}

/// How the end of a loan is counted, still to be done.
///
/// Not a function that is given the value: a reference that is an argument must be good until the function returns, but once
/// the end is counted another thread may free the value. Only references to what is nothing but an atomic may then be left
/// behind (rust-lang/rust#55005: it is how an `Arc` counts, too), and so everything else is done with before.
pub(crate) trait Ending {
    type Rest;

    /// Counts it, as the last thing that is done, or says what is left to do.
    fn count(self) -> Result<(), Self::Rest>;
}

/// A loan whose end has not been counted.
pub(crate) struct NotEnded<T: Lender> {
    pub(crate) loan: Loan<T>,
    pub(crate) rest: T::Rest,
}

impl Ending for Addition<'_> {
    type Rest = Infallible;

    #[inline]
    fn count(self) -> Result<(), Infallible> {
        self.make();
        Ok(())
    }
}

/// An addition of one.
pub(crate) struct Addition<'a> {
    // What no other thread writes to, if there is that; else others add to `shared`, too. Not an enum of the two: the compiler
    // sees through this one.
    alone: Option<&'a AtomicU64>,
    shared: &'a AtomicU64,
}

impl<'a> Addition<'a> {
    /// To a counter of this thread's own, or else to the `shared` one.
    #[inline]
    pub(crate) fn new(alone: Option<&'a AtomicU64>, shared: &'a AtomicU64) -> Self {
        Self { alone, shared }
    }

    /// Makes it.
    #[inline]
    pub(crate) fn make(self) {
        match self.alone {
            Some(counter) => {
                let count = counter.load(Ordering::Relaxed);
                counter.store(count.wrapping_add(1), Ordering::Release);
            }
            None => {
                self.shared.fetch_add(1, Ordering::Release);
            }
        }
    }
}

impl<T: Lender> Deref for Loan<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: who has the loan has not yet counted its end: see `lend`.
        unsafe { &self.0.as_ref().value }
    }
}

impl<T: Lender> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loan")
    }
}

trait Erased: Send + Sync {
    fn is_free(&self) -> bool;
}

impl<T: Lender> Erased for Block<T> {
    fn is_free(&self) -> bool {
        // In this order: a loan may make itself an owner before it ends, but not after.
        !self.value.has_loans() && self.owners.load(Ordering::Acquire) == 0
    }
}

struct Retired(NonNull<dyn Erased>);

// SAFETY: `Erased` is `Send` and `Sync`.
unsafe impl Send for Retired {}

/// By their addresses.
struct List {
    retired: BTreeMap<usize, Retired>,
    // Up to which address the list has been looked through.
    seen: usize,
}

impl List {
    const NEW: Self = Self {
        retired: BTreeMap::new(),
        seen: 0,
    };
}

#[cfg(not(breaker_loom))]
static RETIRED: Mutex<List> = Mutex::new(List::NEW);

#[cfg(breaker_loom)]
loom::lazy_static! {
    static ref RETIRED: Mutex<List> = Mutex::new(List::NEW);
}

fn retired() -> MutexGuard<'static, List> {
    RETIRED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cold]
fn look_at(address: usize) {
    let mut list = retired();
    let free = list.take_free(address);
    drop(list);
    drop(free);
}

impl List {
    // How many others are looked at each time: so that all have their turn, at a cost that does not grow with their number.
    const OTHERS: usize = 4;

    /// Takes what is at this address off the list, if it is free, and a few others that are.
    fn take_free(&mut self, address: usize) -> Vec<Box<dyn Erased>> {
        let mut looked_at = [address; 1 + Self::OTHERS];
        let ahead = (Bound::Excluded(self.seen), Bound::Unbounded);
        let others = self.retired.range(ahead).map(|(other, _)| *other);
        let mut count = 1;
        for (place, other) in looked_at[1..].iter_mut().zip(others) {
            *place = other;
            count += 1;
        }
        // At the end it begins again.
        self.seen = if count > Self::OTHERS {
            looked_at[count - 1]
        } else {
            0
        };
        looked_at[..count]
            .iter()
            .filter_map(|address| self.take_if_free(*address))
            .collect()
    }

    fn take_if_free(&mut self, address: usize) -> Option<Box<dyn Erased>> {
        let Retired(block) = self.retired.get(&address)?;
        // SAFETY: what is on the list is alive: it is taken off before it is freed, both under the lock.
        if !unsafe { block.as_ref() }.is_free() {
            return None;
        }
        let Retired(block) = self.retired.remove(&address)?;
        // SAFETY: it came from a box; there is no owner and no loan any more, and no way to make one, and who was the last
        // owner is done with it, because he was so under the lock.
        Some(unsafe { Box::from_raw(block.as_ptr()) })
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use std::sync::{Arc, Weak};

    use super::*;

    struct Counted {
        begun: AtomicU64,
        ended: AtomicU64,
        _alive: Arc<()>,
    }

    // SAFETY: an end is counted by a releasing addition (`Addition`), and read by an acquiring load.
    unsafe impl Lender for Counted {
        type Ending<'a> = Addition<'a>;
        type Rest = Infallible;

        fn has_loans(&self) -> bool {
            let ended = self.ended.load(Ordering::Acquire);
            self.begun.load(Ordering::Acquire) != ended
        }
    }

    fn look_through() {
        let others: Vec<usize> = retired().retired.keys().copied().collect();
        others.into_iter().for_each(look_at);
    }

    fn counted() -> (Owner<Counted>, Weak<()>) {
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        let value = Counted {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            _alive: alive,
        };
        (Owner::new(value), weak)
    }

    fn borrow(owner: &Owner<Counted>) -> Loan<Counted> {
        owner.begun.fetch_add(1, Ordering::Relaxed);
        // SAFETY: counted above; `give_back` counts the end and consumes the loan.
        unsafe { owner.lend() }
    }

    fn give_back(loan: Loan<Counted>) {
        loan.end(|value| Addition::new(None, &value.ended));
    }

    // As if it had ended before the value was put on the list, and had not seen that.
    fn give_back_unseen(loan: Loan<Counted>) {
        loan.ended.fetch_add(1, Ordering::Release);
    }

    #[test]
    fn what_a_straggler_left_behind_is_freed_when_others_are_retired() {
        let (owner, alive) = counted();
        let straggler = borrow(&owner);
        drop(owner);
        give_back_unseen(straggler);
        // The other tests of this process put theirs on the list, too, but not that many.
        for _ in 0..1_000 {
            let (other, _) = counted();
            let loan = borrow(&other);
            drop(other);
            give_back(loan);
        }
        assert!(alive.upgrade().is_none());
    }

    #[test]
    fn those_that_are_still_lent_are_not_in_the_way_of_others() {
        let mut values: Vec<_> = (0..16).map(|_| counted()).collect();
        values.sort_by_key(|(owner, _)| owner.0.addr());
        let (loans, alive): (Vec<_>, Vec<_>) = values
            .into_iter()
            .map(|(owner, alive)| (borrow(&owner), alive))
            .unzip();
        let mut loans = loans.into_iter();
        // More than are looked at each time, and first in the order in which they are.
        let lent: Vec<_> = loans.by_ref().take(12).collect();
        loans.for_each(give_back_unseen);
        for _ in 0..1_000 {
            look_at(0);
        }
        assert!(alive[..12].iter().all(|alive| alive.upgrade().is_some()));
        assert!(alive[12..].iter().all(|alive| alive.upgrade().is_none()));
        lent.into_iter().for_each(give_back);
        assert!(alive.iter().all(|alive| alive.upgrade().is_none()));
    }

    #[test]
    fn an_owner_is_alone_without_another_and_without_a_loan() {
        let (owner, _) = counted();
        assert!(owner.is_alone());
        let other = owner.clone();
        assert!(!owner.is_alone() && owner.is(&other));
        drop(other);
        assert!(owner.is_alone());
        let loan = borrow(&owner);
        assert!(!owner.is_alone());
        give_back(loan);
        assert!(owner.is_alone());
        let (stranger, _) = counted();
        assert!(!owner.is(&stranger));
    }

    #[test]
    fn without_loans_the_last_owner_frees() {
        let (owner, alive) = counted();
        let other = owner.clone();
        give_back(borrow(&owner));
        drop(owner);
        assert!(alive.upgrade().is_some());
        drop(other);
        assert!(alive.upgrade().is_none());
    }

    #[test]
    fn the_last_loan_frees_what_has_no_owner() {
        let (owner, alive) = counted();
        let (a, b) = (borrow(&owner), borrow(&owner));
        drop(owner);
        give_back(a);
        assert!(alive.upgrade().is_some());
        give_back(b);
        assert!(alive.upgrade().is_none());
    }

    #[test]
    fn a_loan_may_become_an_owner_after_all_others_have_gone() {
        let (owner, alive) = counted();
        let loan = borrow(&owner);
        drop(owner);
        let again = loan.own();
        give_back(loan);
        assert!(alive.upgrade().is_some());
        drop(again);
        assert!(alive.upgrade().is_none());
    }

    #[test]
    fn threads_that_race_with_the_last_owner_free_it_exactly_once() {
        for _ in 0..2_000 {
            let (owner, alive) = counted();
            let loans: Vec<_> = (0..2).map(|_| borrow(&owner)).collect();
            std::thread::scope(|scope| {
                for loan in loans {
                    scope.spawn(move || {
                        let own = loan.own();
                        give_back(loan);
                        drop(own);
                    });
                }
                drop(owner);
            });
            // Whoever came last may have left it on the list.
            look_through();
            assert!(alive.upgrade().is_none());
        }
    }
}

#[cfg(all(test, breaker_loom))]
mod loom_tests {
    use loom::{cell::UnsafeCell, thread};

    use super::*;

    // Reading it is a use of the value, dropping it a write to it: loom says so if the two are not ordered.
    struct Watched {
        begun: AtomicU64,
        ended: AtomicU64,
        body: UnsafeCell<u32>,
        freed: loom::sync::Arc<AtomicU64>,
    }

    // SAFETY: only loom's own cells are inside, which are watched.
    unsafe impl Sync for Watched {}

    // SAFETY: as in the tests above.
    unsafe impl Lender for Watched {
        type Ending<'a> = Addition<'a>;
        type Rest = Infallible;

        fn has_loans(&self) -> bool {
            let ended = self.ended.load(Ordering::Acquire);
            self.begun.load(Ordering::Acquire) != ended
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            self.body.with_mut(|body| {
                // SAFETY: nobody else is there any more, which is what is being tested.
                unsafe { *body = 0 }
            });
            self.freed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn look_through() {
        let others: Vec<usize> = retired().retired.keys().copied().collect();
        others.into_iter().for_each(look_at);
    }

    fn watched(freed: &loom::sync::Arc<AtomicU64>) -> Owner<Watched> {
        Owner::new(Watched {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            body: UnsafeCell::new(7),
            freed: freed.clone(),
        })
    }

    fn borrow(owner: &Owner<Watched>) -> Loan<Watched> {
        owner.begun.fetch_add(1, Ordering::Relaxed);
        // SAFETY: counted above; the end is counted once, in `give_back`.
        unsafe { owner.lend() }
    }

    fn give_back(loan: Loan<Watched>) {
        // SAFETY: reading beside other readers.
        loan.body.with(|body| assert_eq!(unsafe { *body }, 7));
        loan.end(|value| Addition::new(None, &value.ended));
    }

    // Ends a loan while the last owner goes. Once with each of them ahead: see `breaker::loom_tests::model` for why.
    fn explore(end: impl Fn(Loan<Watched>) + Copy + Send + Sync + 'static) {
        for owner_first in [false, true] {
            loom::model(move || {
                let freed = loom::sync::Arc::new(AtomicU64::new(0));
                let owner = watched(&freed);
                let loan = borrow(&owner);
                let (going, ending);
                if owner_first {
                    going = thread::spawn(move || drop(owner));
                    ending = thread::spawn(move || end(loan));
                } else {
                    ending = thread::spawn(move || end(loan));
                    going = thread::spawn(move || drop(owner));
                }
                going.join().unwrap();
                ending.join().unwrap();
                look_through();
                assert_eq!(freed.load(Ordering::Relaxed), 1);
            });
        }
    }

    #[test]
    fn loom_a_loan_that_ends_while_the_last_owner_goes_is_freed_once_and_not_before() {
        explore(give_back);
    }

    #[test]
    fn loom_a_loan_that_becomes_an_owner_while_the_last_owner_goes() {
        explore(|loan| {
            let own = loan.own();
            give_back(loan);
            own.body.with(|body| {
                // SAFETY: reading beside other readers.
                assert_eq!(unsafe { *body }, 7)
            });
            drop(own);
        });
    }
}
