//! The name of a guard, as its refusals share it: one pointer.
//!
//! To share a name by counting costs an atomic addition, and another when the refusal is dropped, as much as all else that a refusal
//! costs besides reading the clock. But the names of guards that are built alone are few, and for the whole life of a program mostly the same; so
//! the first [`MOST`] of them are *kept*: never freed, found again when a guard of that name is built, and shared as a bare pointer. All others
//! are counted: more of them, very long ones, and those of a registry's guards, which strangers may have chosen.

use std::{
    cell::Cell,
    collections::BTreeMap,
    mem::{self, ManuallyDrop},
    ops::Deref,
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};

/// How many names are kept at most, and of how many bytes: a quarter of a megabyte at the very most.
const MOST: usize = 1_024;
const LONGEST: usize = 128;

static KEPT: Mutex<BTreeMap<&'static str, &'static Name>> = Mutex::new(BTreeMap::new());

// Aligned, so that a pointer to one has a bit to spare.
#[repr(align(8))]
struct Name(Arc<str>);

/// A guard's.
pub(crate) struct Label(Pointer);

/// A refusal's.
///
/// Even to count is cheaper than it looks: each thread keeps the counted one of the last refusal that it dropped, and the next one
/// of the same guard takes that.
pub(crate) struct Lent(Pointer);

/// With `COUNTED` in its address, it is one that `Arc::into_raw` gave, and stands for one of its owners. Without, it is of a name that is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pointer(NonNull<Name>);

const COUNTED: usize = 1;

thread_local! {
    static SPARE: Cell<Option<Label>> = const { Cell::new(None) };
}

// SAFETY: to send or to share a pointer is to send or to share an `Arc<Name>` or a `&'static Name`, and a name can be both.
unsafe impl Send for Pointer {}
// SAFETY: as above.
unsafe impl Sync for Pointer {}

impl Pointer {
    fn counted(name: Arc<Name>) -> Self {
        // SAFETY: an `Arc` is never at zero.
        let name = unsafe { NonNull::new_unchecked(Arc::into_raw(name).cast_mut()) };
        Self(name.map_addr(|address| address | COUNTED))
    }

    #[inline]
    fn is_counted(self) -> bool {
        self.0.addr().get() & COUNTED != 0
    }

    #[inline]
    fn address(self) -> *const Name {
        self.0.as_ptr().map_addr(|address| address & !COUNTED)
    }

    /// The name, for as long as whoever has this pointer is an owner.
    fn name(&self) -> &Arc<str> {
        // SAFETY: kept names are never freed, and a counted one is not while it has an owner.
        unsafe { &(*self.address()).0 }
    }

    /// What a counted one stands for.
    ///
    /// # Safety
    ///
    /// It must be counted, and be an owner, which it is no more if this is dropped.
    unsafe fn owner(self) -> ManuallyDrop<Arc<Name>> {
        // SAFETY: `counted` made it from an `Arc` of this type.
        ManuallyDrop::new(unsafe { Arc::from_raw(self.address()) })
    }
}

impl Label {
    /// One that is kept, if there is room.
    pub(crate) fn kept(name: Arc<str>) -> Self {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&*name) {
            return Self(Pointer(NonNull::from(*known)));
        }
        if kept.len() >= MOST || name.len() > LONGEST {
            return Self::counted(name);
        }
        let new: &'static Name = Box::leak(Box::new(Name(name)));
        kept.insert(&new.0, new);
        Self(Pointer(NonNull::from(new)))
    }

    /// One that is freed with the last that shares it.
    pub(crate) fn counted(name: Arc<str>) -> Self {
        Self(Pointer::counted(Arc::new(Name(name))))
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        self.0.name()
    }

    /// For a refusal.
    #[inline]
    pub(crate) fn lend(&self) -> Lent {
        if self.0.is_counted() {
            return self.lend_counted();
        }
        Lent(self.0)
    }

    #[cold]
    fn lend_counted(&self) -> Lent {
        // A thread that is ending has no spare any more.
        match SPARE.try_with(Cell::take) {
            Ok(Some(spare)) if spare.0 == self.0 => {
                let lent = Lent(spare.0);
                mem::forget(spare);
                lent
            }
            _ => {
                // SAFETY: a counted label is an owner.
                let owner = unsafe { self.0.owner() };
                Lent(Pointer::counted(Arc::clone(&owner)))
            }
        }
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        if self.0.is_counted() {
            // SAFETY: a counted label is an owner, and the pointer is not used any more.
            drop(ManuallyDrop::into_inner(unsafe { self.0.owner() }));
        }
    }
}

// By value, so that a result with a refusal in it need not be in memory for the sake of being dropped.
#[inline(never)]
fn give_back(label: Label) {
    // What was there before is dropped; so is this one, if the thread is ending.
    let _ = SPARE.try_with(|spare| spare.set(Some(label)));
}

impl Clone for Lent {
    fn clone(&self) -> Self {
        if self.0.is_counted() {
            // SAFETY: a counted one is an owner.
            let owner = unsafe { self.0.owner() };
            return Self(Pointer::counted(Arc::clone(&owner)));
        }
        Self(self.0)
    }
}

impl Deref for Lent {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.name()
    }
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_counted() {
            // It is not dropped again: the pointer is not used any more.
            give_back(Label(self.0));
        }
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    fn owners(label: &Label) -> usize {
        assert!(label.0.is_counted());
        // SAFETY: a counted label is an owner.
        Arc::strong_count(&*unsafe { label.0.owner() })
    }

    #[test]
    fn a_kept_name_is_the_same_for_all_guards_of_that_name() {
        let labels = ["kept", "kept", "kept too"].map(|name| Label::kept(name.into()));
        assert!(labels.iter().all(|label| !label.0.is_counted()));
        assert!(labels[0].0 == labels[1].0 && labels[1].0 != labels[2].0);
        let lent = labels[0].lend();
        drop(labels);
        assert_eq!((&*lent, &*lent.clone()), ("kept", "kept"));
    }

    #[test]
    fn a_name_that_is_too_long_to_be_kept_is_counted() {
        for (length, is_counted) in [(LONGEST, false), (LONGEST + 1, true)] {
            let name = "x".repeat(length);
            let label = Label::kept(name.as_str().into());
            assert_eq!(label.0.is_counted(), is_counted);
            assert_eq!(*label.lend(), *name);
        }
    }

    #[test]
    fn a_refusal_outlives_the_guard_whose_name_it_has() {
        let label = Label::counted("stock".into());
        let lent = label.lend();
        assert_eq!(owners(&label), 2);
        let again = lent.clone();
        assert_eq!(owners(&label), 3);
        drop(label);
        drop(lent);
        let name = std::thread::spawn(move || again.to_owned()).join();
        assert_eq!(name.ok().as_deref(), Some("stock"));
    }

    #[test]
    fn a_thread_keeps_the_label_of_the_last_refusal_that_it_dropped_for_the_next() {
        let label = Label::counted("stock".into());
        let first = label.lend();
        assert_eq!(owners(&label), 2);
        drop(first);
        assert_eq!(owners(&label), 2, "kept");
        let again = label.lend();
        assert_eq!(owners(&label), 2, "and taken");
        drop((again, label.lend()));
        assert_eq!(owners(&label), 2, "only one");
        let other = Label::counted("basket".into());
        drop(other.lend());
        assert_eq!(owners(&label), 1);
    }
}
