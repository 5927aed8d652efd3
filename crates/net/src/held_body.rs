//! The body of an answer that holds something until the transport has it to its end.
//!
//! It changes no frame. The rule: what it holds is dropped with it, whether the answer was sent or
//! not.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// A body, and what it holds.
#[derive(Debug)]
pub(crate) struct HeldBody<H> {
    body: Body,
    _held: H,
}

impl<H> HeldBody<H> {
    /// Joins a body with what it holds.
    pub(crate) fn new(body: Body, held: H) -> Self {
        HeldBody { body, _held: held }
    }
}

impl<H: Unpin> http_body::Body for HeldBody<H> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
