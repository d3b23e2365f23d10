//! Those who want to be woken when a permit may be free, without waiting for one in the line. Plain data; `gate` puts it behind
//! its lock.

use std::task::Waker;

/// Where a watcher is. Valid from [`Watchers::enter`] until its owner gives it up with [`Watchers::leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Post(usize);

#[derive(Debug, Default)]
pub(super) struct Watchers {
    posts: Vec<Option<Waker>>,
    free: Vec<usize>,
    awake: usize,
}

/// How many are woken each time the lock is held.
pub(super) const AT_ONCE: usize = 8;

impl Watchers {
    /// Says whom to wake, and hands back the waker that is no longer needed.
    pub(super) fn watch(&mut self, post: &mut Option<Post>, waker: Waker) -> Option<Waker> {
        let Post(index) = *post.get_or_insert_with(|| {
            Post(self.free.pop().unwrap_or_else(|| {
                self.posts.push(None);
                self.posts.len() - 1
            }))
        });
        let spare = self.posts[index].replace(waker);
        if spare.is_none() {
            self.awake += 1;
        }
        spare
    }

    /// Gives a post up.
    pub(super) fn leave(&mut self, post: Post) -> Option<Waker> {
        let waker = self.posts[post.0].take();
        self.awake -= usize::from(waker.is_some());
        self.free.push(post.0);
        waker
    }

    /// Whether there is anybody to wake.
    pub(super) fn is_empty(&self) -> bool {
        self.awake == 0
    }

    /// Takes a few of those to wake, from this post on, and says from which one to go on; `None` when these are all.
    pub(super) fn take(
        &mut self,
        from: usize,
        wakers: &mut [Option<Waker>; AT_ONCE],
    ) -> Option<usize> {
        let mut taken = 0;
        for (index, post) in self.posts.iter_mut().enumerate().skip(from) {
            if taken == AT_ONCE {
                return Some(index);
            }
            if let Some(waker) = post.take() {
                wakers[taken] = Some(waker);
                taken += 1;
                self.awake -= 1;
            }
        }
        None
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[allow(clippy::unwrap_used)]
    fn watch(watchers: &mut Watchers) -> Post {
        let mut post = None;
        assert!(watchers.watch(&mut post, Waker::noop().clone()).is_none());
        post.unwrap()
    }

    #[test]
    fn everybody_is_woken_once_and_then_there_is_nobody_to_wake() {
        let mut watchers = Watchers::default();
        assert!(watchers.is_empty());
        let posts: Vec<_> = (0..=AT_ONCE).map(|_| watch(&mut watchers)).collect();
        let mut again = Some(posts[0]);
        assert!(watchers.watch(&mut again, Waker::noop().clone()).is_some());

        let mut wakers = [const { None }; AT_ONCE];
        assert_eq!(watchers.take(0, &mut wakers), Some(AT_ONCE));
        assert!(wakers.iter().all(Option::is_some) && !watchers.is_empty());
        let mut wakers = [const { None }; AT_ONCE];
        assert_eq!(watchers.take(AT_ONCE, &mut wakers), None);
        assert!(wakers[0].is_some() && wakers[1].is_none() && watchers.is_empty());
    }

    #[test]
    fn who_leaves_is_not_woken_and_his_post_is_used_again() {
        let mut watchers = Watchers::default();
        let (woken, leaving) = (watch(&mut watchers), watch(&mut watchers));
        assert!(watchers.leave(leaving).is_some() && !watchers.is_empty());
        let mut wakers = [const { None }; AT_ONCE];
        assert_eq!(watchers.take(0, &mut wakers), None);
        assert!(wakers[0].is_some() && wakers[1].is_none());
        assert!(watchers.leave(woken).is_none() && watchers.is_empty());
        let posts = [watch(&mut watchers), watch(&mut watchers)];
        assert!(posts.contains(&woken) && posts.contains(&leaving));
    }
}
