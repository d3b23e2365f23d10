//! A request body that is kept while it is sent, so that it can be sent again.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::{RequestBodyError, outgoing::Stream};

/// One reading of a body that may be read several times, one after the other.
#[derive(Debug)]
pub(super) struct Reading {
    kept: Rc<RefCell<Kept>>,
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
        };
        Self {
            kept: Rc::new(RefCell::new(kept)),
            next: 0,
            ended: false,
        }
    }

    /// Another reading, from the beginning.
    pub(super) fn again(&self) -> Self {
        Self {
            kept: self.kept.clone(),
            next: 0,
            ended: false,
        }
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
            Poll::Pending => {}
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
            return SizeHint::with_exact(left);
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
