//! A lock in parts whose readers touch no cache line that another reader writes, and whose writers look at all of them.
//!
//! Readers that share a lock's word pay for it as they would for an `Arc`: see [`ownership`](crate::ownership), and decision 0092 for
//! what it costs a look-up. So each thread has a seat of its own, where it says which part it is reading. A writer takes the part's
//! lock, announces itself, and waits until no seat has the part's number. A reader that sees a writer announced leaves its seat and
//! takes the lock in its turn; so does a thread without a seat.
//!
//! The protocol is Dekker's: the reader writes its seat and then reads the announcement, the writer writes the announcement and then
//! reads the seats, all of them sequentially consistent, so that at least one of the two sees the other.
//!
//! A reader that the system stops in the middle keeps a writer of that part waiting, as with any lock. So what is done while reading
//! is short. For the same reason code that is called while its thread reads or has a turn must not come back: it could wait for a
//! lock whose holder waits for its seat. It panics, always and not only when there is such a holder; but a thread without a seat has
//! nothing to see it by, and waits for itself if it asks for a lock that it has.
//!
//! A process that was forked has the seats and locks of threads that it has not. As with any lock, it must not use them.

#[cfg(not(breaker_loom))]
use std::cell::UnsafeCell;
use std::{num::NonZeroU32, sync::PoisonError};

#[cfg(breaker_loom)]
use loom::cell::UnsafeCell;

use crate::{
    striped,
    sync::{AtomicU32, Mutex, MutexGuard, Ordering},
};

/// Several values, each with a lock of this kind.
pub(super) struct Parts<T> {
    seats: Box<[Seat]>,
    parts: Box<[Part<T>]>,
}

// Two lines, because the hardware fetches them in pairs.
#[repr(align(128))]
struct Seat(AtomicU32);

#[repr(align(128))]
struct Part<T> {
    // Whether a writer is at work, or about to be. Written only under the lock.
    writing: AtomicU32,
    turn: Mutex<()>,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is behind a lock, as in an `RwLock`, with the same bounds.
unsafe impl<T: Send> Send for Part<T> {}
// SAFETY: as above. Readers on several threads have a `&T` at once, and a writer a `&mut T`.
unsafe impl<T: Send + Sync> Sync for Part<T> {}

/// One's turn with a part: nobody else writes it, but others may be reading.
pub(super) struct Turn<'a, T> {
    parts: &'a Parts<T>,
    part: &'a Part<T>,
    number: NonZeroU32,
    // In this order: the seat is left before the lock is.
    _seat: Option<Leaves<'a>>,
    _turn: MutexGuard<'a, ()>,
}

// In the seat of a thread that has a turn: no part's number, so no writer waits for it.
const HAS_A_TURN: u32 = u32::MAX;

impl<T> Parts<T> {
    pub(super) fn new(values: impl IntoIterator<Item = T>) -> Self {
        Self::with_seats(striped::stripes(), values)
    }

    fn with_seats(seats: usize, values: impl IntoIterator<Item = T>) -> Self {
        let part = |value| Part {
            writing: AtomicU32::new(0),
            turn: Mutex::new(()),
            value: UnsafeCell::new(value),
        };
        Self {
            seats: (0..seats).map(|_| Seat(AtomicU32::new(0))).collect(),
            parts: values.into_iter().map(part).collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Reads a part.
    #[inline]
    pub(super) fn read<R>(&self, part: usize, read: impl FnOnce(&T) -> R) -> R {
        self.read_from(striped::number_of_this_thread(), part, read)
    }

    /// Waits for one's turn with a part.
    pub(super) fn turn(&self, part: usize) -> Turn<'_, T> {
        self.turn_from(striped::number_of_this_thread(), part)
    }

    #[inline]
    fn read_from<R>(&self, seat: usize, part: usize, read: impl FnOnce(&T) -> R) -> R {
        let _hold = match self.sit_down(seat, part) {
            Some(leaves) => Hold::Seat(leaves),
            None => Hold::Turn(self.turn_from(seat, part)),
        };
        // In one place for both, so that it is inlined.
        self.parts[part].with(read)
    }

    #[inline]
    fn sit_down(&self, seat: usize, part: usize) -> Option<Leaves<'_>> {
        let Seat(seat) = self.seats.get(seat)?;
        must_be_free(seat);
        seat.store(number(part).get(), Ordering::SeqCst);
        // Loom takes accesses for no more than acquiring and releasing, however they are marked.
        #[cfg(breaker_loom)]
        crate::sync::fence(Ordering::SeqCst);
        let leaves = Leaves(seat);
        let writing = self.parts[part].writing.load(Ordering::SeqCst);
        (writing == 0).then_some(leaves)
    }

    #[cold]
    fn turn_from(&self, seat: usize, part: usize) -> Turn<'_, T> {
        let seat = self.seats.get(seat).map(|Seat(seat)| {
            must_be_free(seat);
            // For this thread's own eyes.
            seat.store(HAS_A_TURN, Ordering::Relaxed);
            Leaves(seat)
        });
        Turn {
            parts: self,
            part: &self.parts[part],
            number: number(part),
            _seat: seat,
            _turn: self.parts[part]
                .turn
                .lock()
                // What a panic may have interrupted is put right by whoever panicked, or was never touched.
                .unwrap_or_else(PoisonError::into_inner),
        }
    }
}

// Taken by this very thread, if at all: code that is called from here has come back.
#[inline]
fn must_be_free(seat: &AtomicU32) {
    #[cold]
    #[inline(never)]
    fn has_come_back() -> ! {
        panic!(
            "the registry is used by something that it calls while it looks a key up, such as the key's `Eq`"
        )
    }
    if seat.load(Ordering::Relaxed) != 0 {
        has_come_back();
    }
}

// What a reader of this part has in its seat.
#[inline]
fn number(part: usize) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(part as u32)
}

// What lets one read.
enum Hold<'a, T> {
    Seat(#[expect(dead_code, reason = "dropped when it is over")] Leaves<'a>),
    Turn(#[expect(dead_code, reason = "dropped when it is over")] Turn<'a, T>),
}

/// Leaves the seat when dropped, even by a panic.
struct Leaves<'a>(&'a AtomicU32);

impl Drop for Leaves<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl<T> Part<T> {
    #[inline]
    fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        // SAFETY: the caller has a seat that says so and saw no writer, or has the lock. A writer has the lock and sees no such
        // seat: so there is none.
        #[cfg(not(breaker_loom))]
        return read(unsafe { &*self.value.get() });
        // SAFETY: as above.
        #[cfg(breaker_loom)]
        self.value.with(|value| read(unsafe { &*value }))
    }
}

impl<T> Turn<'_, T> {
    pub(super) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.part.with(look)
    }

    /// Changes the part, once those who were reading have gone. Its own thread is not one of them: see [`must_be_free`].
    pub(super) fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        struct Written<'a>(&'a AtomicU32);
        impl Drop for Written<'_> {
            fn drop(&mut self) {
                self.0.store(0, Ordering::Release);
            }
        }
        self.part.writing.store(1, Ordering::SeqCst);
        #[cfg(breaker_loom)]
        crate::sync::fence(Ordering::SeqCst);
        let _written = Written(&self.part.writing);
        for Seat(seat) in &self.parts.seats {
            wait_until(|| seat.load(Ordering::SeqCst) != self.number.get());
        }
        // SAFETY: this has the lock, and nobody has a seat in this part; see `with`. `&mut self` says that this `Turn` has given
        // no reference away.
        #[cfg(not(breaker_loom))]
        return change(unsafe { &mut *self.part.value.get() });
        // SAFETY: as above.
        #[cfg(breaker_loom)]
        self.part
            .value
            .with_mut(|value| change(unsafe { &mut *value }))
    }
}

// Reading takes no time to speak of, unless the reader's thread is stopped in the middle of it.
fn wait_until(done: impl Fn() -> bool) {
    #[cfg(not(breaker_loom))]
    {
        let mut looks = 0_u32;
        while !done() {
            looks += 1;
            if looks < 64 {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
    #[cfg(breaker_loom)]
    while !done() {
        loom::thread::yield_now();
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicBool, AtomicU64},
        thread,
    };

    use super::*;

    #[test]
    fn readers_never_see_half_of_a_change_on_more_threads_than_seats() {
        let parts = Parts::with_seats(2, [(0_u64, 0_u64), (0, 0)]);
        let done = AtomicBool::new(false);
        let reads = AtomicU64::new(0);
        thread::scope(|scope| {
            for reader in 0..4 {
                let (parts, done, reads) = (&parts, &done, &reads);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        for part in 0..2 {
                            parts.read_from(reader, part, |(left, right)| assert_eq!(left, right));
                        }
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for change in 0..20_000 {
                parts.turn_from(4, change % 2).change(|(left, right)| {
                    *left += 1;
                    *right += 1;
                });
            }
            while reads.load(Ordering::Relaxed) < 100 {
                thread::yield_now();
            }
            done.store(true, Ordering::Relaxed);
        });
        for part in 0..2 {
            parts.read(part, |value| assert_eq!(*value, (10_000, 10_000)));
        }
    }

    fn panics<R>(act: impl FnOnce() -> R) -> bool {
        catch_unwind(AssertUnwindSafe(act)).is_err()
    }

    #[test]
    fn a_reading_that_panics_leaves_the_part_usable() {
        let parts = Parts::new([1, 2]);
        for _ in 0..2 {
            assert!(panics(|| parts.read(0, |_| panic!("a key's"))));
            parts.turn(0).change(|one| *one += 1);
        }
        parts.read(0, |one| assert_eq!(*one, 3));
    }

    #[test]
    fn a_change_that_panics_leaves_the_part_usable() {
        let parts = Parts::new([1, 2]);
        assert!(panics(|| parts.turn(0).change(|_| panic!("in a change"))));
        parts.read(0, |one| assert_eq!(*one, 1));
        parts.turn(0).change(|one| *one = 3);
        parts.read(0, |one| assert_eq!(*one, 3));
    }

    #[test]
    fn whoever_comes_back_panics_and_leaves_all_parts_usable() {
        let parts = Parts::with_seats(1, [1, 2]);
        let read = |part| parts.read_from(0, part, |value| *value);
        let change = |part| parts.turn_from(0, part).change(|value| *value = 9);
        for other in 0..2 {
            assert!(panics(|| parts.read_from(0, 0, |_| read(other))));
            assert!(panics(|| parts.read_from(0, 0, |_| change(other))));
            assert!(panics(|| parts.turn_from(0, 0).look(|_| read(other))));
            assert!(panics(|| parts.turn_from(0, 0).look(|_| change(other))));
            assert!(panics(|| parts.turn_from(0, 0).change(|_| read(other))));
            assert!(panics(|| parts.turn_from(0, 0).change(|_| change(other))));
        }
        assert_eq!((read(0), read(1)), (1, 2));
        change(1);
        assert_eq!((read(0), read(1)), (1, 9));
    }
}

#[cfg(all(test, breaker_loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;

    // Loom watches the cell inside, and says so if a reading and a change are not ordered.
    #[test]
    fn loom_a_reader_excludes_a_writer_and_sees_the_whole_of_a_change_or_nothing() {
        loom::model(|| {
            let parts = Arc::new(Parts::with_seats(2, [(0, 0)]));
            let reader = {
                let parts = parts.clone();
                thread::spawn(move || {
                    parts.read_from(0, 0, |(left, right)| assert_eq!(left, right));
                })
            };
            parts.turn_from(1, 0).change(|value| *value = (1, 1));
            reader.join().unwrap();
            parts.read_from(0, 0, |value| assert_eq!(*value, (1, 1)));
        });
    }

    #[test]
    fn loom_a_seat_that_goes_from_part_to_part_keeps_a_writer_out_of_each() {
        loom::model(|| {
            let parts = Arc::new(Parts::with_seats(1, [0, 0]));
            let reader = {
                let parts = parts.clone();
                thread::spawn(move || {
                    let read = |part| parts.read_from(0, part, |value| *value);
                    (read(0), read(1), read(0))
                })
            };
            parts.turn_from(1, 0).change(|value| *value = 1);
            let (first, _, last) = reader.join().unwrap();
            assert!(first <= last);
        });
    }

    // As `striped` hands numbers on: given back and taken under one lock.
    #[test]
    fn loom_a_seat_that_is_handed_on_keeps_a_writer_out_for_both_who_had_it() {
        let mut model = loom::model::Builder::new();
        // All interleavings of three threads and two locks take minutes.
        model.preemption_bound = Some(3);
        model.check(|| {
            let parts = Arc::new(Parts::with_seats(1, [(0, 0)]));
            let free = Arc::new(loom::sync::Mutex::new(true));
            let readers = [(); 2].map(|()| {
                let (parts, free) = (parts.clone(), free.clone());
                thread::spawn(move || {
                    let mine = std::mem::take(&mut *free.lock().unwrap());
                    let seat = if mine { 0 } else { 7 };
                    parts.read_from(seat, 0, |(left, right)| assert_eq!(left, right));
                    if mine {
                        *free.lock().unwrap() = true;
                    }
                })
            });
            parts.turn_from(8, 0).change(|value| *value = (1, 1));
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }

    #[test]
    fn loom_a_thread_without_a_seat_takes_its_turn() {
        loom::model(|| {
            let parts = Arc::new(Parts::with_seats(1, [(0, 0)]));
            let reader = {
                let parts = parts.clone();
                thread::spawn(move || {
                    parts.read_from(7, 0, |(left, right)| assert_eq!(left, right));
                })
            };
            parts.turn_from(8, 0).change(|value| *value = (1, 1));
            reader.join().unwrap();
        });
    }
}
