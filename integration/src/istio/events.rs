//! A response body without end: what a watch sends.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// The lines of a channel, until its sender goes.
#[derive(Debug)]
pub(super) struct Events {
    lines: mpsc::Receiver<Bytes>,
}

impl Events {
    pub(super) fn new(lines: mpsc::Receiver<Bytes>) -> Self {
        Self { lines }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.lines
            .poll_recv(context)
            .map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
