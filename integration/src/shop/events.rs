//! A stream of server-sent events: an event at once, signs of life, and an end after some time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Longest pause between two events.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
const EVENT: &[u8] = b"event: state\ndata: {\"state\":\"packed\"}\n\n";

/// The body of one stream.
#[derive(Debug)]
pub(super) struct Events {
    beat: Interval,
    /// Events still to come.
    left: u32,
}

impl Events {
    /// A stream that ends after `lasts`.
    pub(super) fn new(lasts: Duration) -> Self {
        let pauses = (lasts.as_secs_f64() / SIGN_OF_LIFE.as_secs_f64()).ceil();
        let pauses = (pauses as u32).max(1);
        let mut beat = interval((lasts / pauses).max(Duration::from_millis(1)));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            beat,
            // The first one comes at once, the last one at the end.
            left: pauses + 1,
        }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.beat.poll_tick(context));
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(EVENT)))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_stream_begins_at_once_and_ends_after_its_time() {
        let begun = Instant::now();
        let lasts = Duration::from_millis(200);
        let mut events = Events::new(lasts);
        assert!(events.frame().await.is_some());
        assert!(begun.elapsed() < lasts);
        assert!(events.frame().await.is_some());
        assert!(events.frame().await.is_none());
        assert!(begun.elapsed() >= lasts);
    }
}
