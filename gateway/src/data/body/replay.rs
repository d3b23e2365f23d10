//! A request body that is kept while it is sent, so that it can be sent again.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::{RequestBodyError, outgoing::Stream};

/// One reading of a body that may be read several times, one after the other: where one begins, the one before it is over.
#[derive(Debug)]
pub(super) struct Reading {
    kept: Rc<RefCell<Kept>>,
    // Which reading it is; known once it has begun.
    turn: Option<u64>,
    next: usize,
    ended: bool,
}

#[derive(Debug)]
struct Kept {
    source: Option<Stream>,
    pieces: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    room: usize,
    // More has come than may be kept: there is no other reading than the one that is under way.
    overflowed: bool,
    turn: u64,
    // Who waits for more.
    waiting: Option<Waker>,
}

impl Reading {
    /// Keeps at most `room` bytes.
    pub(super) fn new(source: Stream, room: usize) -> Self {
        let kept = Kept {
            source: Some(source),
            pieces: Vec::new(),
            trailers: None,
            room,
            overflowed: false,
            turn: 0,
            waiting: None,
        };
        Self {
            kept: Rc::new(RefCell::new(kept)),
            turn: None,
            next: 0,
            ended: false,
        }
    }

    /// Another reading, from the beginning.
    pub(super) fn again(&self) -> Self {
        Self {
            kept: self.kept.clone(),
            turn: None,
            next: 0,
            ended: false,
        }
    }

    /// Whether another one has begun. An upstream that answered before it had the whole request may still be reading it, on a connection that
    /// is no longer waited for: what it took would be missing in the other reading, which would not even hear of it.
    pub(super) fn is_over(&self) -> bool {
        self.turn
            .is_some_and(|turn| turn != self.kept.borrow().turn)
    }

    /// Whether another reading would get all of it.
    pub(super) fn is_kept(&self) -> bool {
        !self.kept.borrow().overflowed
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let kept = &mut *self.kept.borrow_mut();
        if self.turn.is_none() {
            kept.turn += 1;
            self.turn = Some(kept.turn);
            // Of the reading before this one, which shall notice that it is over.
            if let Some(waiting) = kept.waiting.take() {
                waiting.wake();
            }
            // It was whole when this one was wanted, but the reading before has gone on since then. Part of a body is none.
            if kept.overflowed {
                return Poll::Ready(Some(Err(RequestBodyError::Broken(None))));
            }
        }
        if let Some(piece) = kept.pieces.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
        }
        let Some(source) = &mut kept.source else {
            let trailers = kept.trailers.clone().filter(|_| !self.ended);
            self.ended = true;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        };
        let polled = source.poll(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    kept.keep(data);
                    self.next = kept.pieces.len();
                } else if let Some(trailers) = frame.trailers_ref() {
                    kept.trailers = Some(trailers.clone());
                    kept.source = None;
                    self.ended = true;
                }
            }
            Poll::Ready(Some(Err(_))) => kept.overflowed = true,
            Poll::Ready(None) => {
                kept.source = None;
                self.ended = true;
            }
            Poll::Pending => match &mut kept.waiting {
                Some(waiting) => waiting.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            },
        }
        polled
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let kept = self.kept.borrow();
        self.next == kept.pieces.len()
            && match &kept.source {
                Some(source) => source.is_end_stream(),
                None => self.ended || kept.trailers.is_none(),
            }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let kept = self.kept.borrow();
        let left: u64 = kept.pieces[self.next.min(kept.pieces.len())..]
            .iter()
            .map(|piece| piece.len() as u64)
            .sum();
        let Some(source) = &kept.source else {
            let mut hint = SizeHint::with_exact(left);
            if kept.trailers.is_some() {
                // HTTP/1 has no trailers where a length is announced.
                hint = SizeHint::new();
                hint.set_lower(left);
            }
            return hint;
        };
        let rest = source.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(left + upper);
        }
        hint.set_lower(left + rest.lower());
        hint
    }
}

impl Kept {
    fn keep(&mut self, data: &Bytes) {
        if self.overflowed {
            return;
        }
        if data.len() > self.room {
            self.overflowed = true;
            self.pieces = Vec::new();
            return;
        }
        self.room -= data.len();
        self.pieces.push(data.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use http_body::Body;
    use http_body_util::BodyExt;

    use super::super::{
        Outgoing,
        testing::{coming, data, exchange, outgoing, trailers},
    };
    use super::*;

    async fn all(body: Outgoing) -> (Bytes, Option<HeaderMap>) {
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned();
        (collected.to_bytes(), trailers)
    }

    async fn next(body: &mut Outgoing) -> Bytes {
        let frame = body.frame().await.unwrap().unwrap();
        frame.into_data().unwrap()
    }

    #[tokio::test]
    async fn what_was_sent_once_can_be_sent_again_to_its_last_trailer() {
        let body = outgoing(vec![data("one "), data("two"), trailers("x-sum", "7")]).await;
        let body = body.kept(7);
        let copies = [body.copy().unwrap(), body.copy().unwrap()];
        let first = all(body).await;
        assert_eq!(first.0, "one two");
        assert_eq!(first.1.as_ref().unwrap()["x-sum"], "7");
        for copy in copies {
            assert!(copy.is_kept());
            assert_eq!(copy.size_hint().exact(), None, "it would have no trailers");
            assert_eq!(all(copy).await, first);
        }
    }

    #[tokio::test]
    async fn another_reading_begins_with_what_came_and_goes_on_with_what_comes() {
        let (sender, incoming) = coming().await;
        let mut first = Outgoing::new(incoming, 100, None, exchange()).kept(100);
        let mut second = first.copy().unwrap();
        sender.send(data("one ")).unwrap();
        assert_eq!(next(&mut first).await, "one ");
        drop(first);
        assert_eq!(next(&mut second).await, "one ");
        assert!(!second.is_end_stream());
        sender.send(data("two")).unwrap();
        drop(sender);
        let third = second.copy().unwrap();
        assert_eq!(all(second).await.0, "two");
        assert_eq!(all(third).await.0, "one two");
    }

    /// As on a connection whose answer came too early, and is read no more.
    #[tokio::test]
    async fn a_reading_that_goes_on_takes_nothing_from_the_next() {
        let (sender, incoming) = coming().await;
        let mut first = Outgoing::new(incoming, 100, None, exchange()).kept(4);
        let mut second = first.copy().unwrap();
        sender.send(data("one ")).unwrap();
        assert_eq!(next(&mut first).await, "one ");
        let going_on = tokio::task::LocalSet::new();
        let ended = going_on.spawn_local(async move { first.frame().await });
        going_on
            .run_until(async {
                tokio::task::yield_now().await;
                assert_eq!(next(&mut second).await, "one ");
                // Nothing has come; that the other one has begun is enough.
                let ended = ended.await.unwrap().unwrap();
                assert!(matches!(ended, Err(RequestBodyError::Broken(None))));
                assert!(second.exchange().request_body_error().is_none());
                sender.send(data("and more than is kept")).unwrap();
                drop(sender);
                assert_eq!(all(second).await.0, "and more than is kept");
            })
            .await;
    }

    #[tokio::test]
    async fn what_is_no_longer_whole_is_not_sent_in_part() {
        let mut first = outgoing(vec![data("1234"), data("5678"), data("9")]).await;
        first = first.kept(7);
        let mut second = first.copy().unwrap();
        assert_eq!(next(&mut first).await, "1234");
        assert!(second.is_kept());
        assert_eq!(next(&mut first).await, "5678");
        let error = second.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, RequestBodyError::Broken(None)), "{error}");
    }

    #[tokio::test]
    async fn what_grows_beyond_the_bound_is_sent_whole_but_once() {
        let mut body = outgoing(vec![data("1234"), data("5678"), data("9")]).await;
        body = body.kept(7);
        let copy = body.copy().unwrap();
        assert_eq!(next(&mut body).await, "1234");
        assert!(copy.is_kept());
        assert_eq!(next(&mut body).await, "5678");
        assert!(!copy.is_kept() && !body.is_kept());
        assert_eq!(all(body).await.0, "9");
    }

    #[tokio::test]
    async fn the_length_is_that_of_the_whole_in_every_reading() {
        let body = outgoing(vec![data("12345")]).await.kept(100);
        let copy = body.copy().unwrap();
        let exact = copy.size_hint().exact();
        assert_eq!(body.size_hint().exact(), exact);
        assert_eq!(all(body).await.0, "12345");
        assert_eq!(copy.size_hint().lower(), 5);
        assert_eq!(all(copy).await.0, "12345");
    }

    #[tokio::test]
    async fn what_broke_off_cannot_be_sent_again() {
        let body = outgoing(vec![data("1"), Err(io::Error::other("gone"))]).await;
        let body = body.kept(100);
        let copy = body.copy().unwrap();
        let error = body.collect().await.unwrap_err();
        assert!(matches!(error, RequestBodyError::Broken(_)), "{error}");
        assert!(!copy.is_kept());
    }

    #[tokio::test]
    async fn too_much_is_too_much_in_the_first_reading() {
        let (sender, incoming) = coming().await;
        let body = Outgoing::new(incoming, 3, None, exchange()).kept(100);
        sender.send(data("1234")).unwrap();
        let error = body.collect().await.unwrap_err();
        assert!(matches!(error, RequestBodyError::TooLarge(3)), "{error}");
    }

    #[tokio::test]
    async fn nothing_can_be_copied_and_a_stream_cannot() {
        let empty = outgoing(Vec::new()).await;
        assert!(!empty.is_kept(), "it is not known yet that it is empty");
        let nothing = Outgoing::nothing(exchange());
        assert!(nothing.is_kept() && nothing.copy().unwrap().is_empty());
        assert!(outgoing(vec![data("1")]).await.copy().is_none());
    }
}
