//! Which part of an exchange's time is the version's.
//!
//! It begins with the last byte of the request that came before the answer, as Envoy's own
//! `upstream_rq_time` does: a client that sends slowly is not a slow version. It ends with the
//! upstream's last byte, however slowly the client reads. Three kinds of answers end it earlier:
//!
//! - A stream ends it with its headers, or with the first message where messages are counted. How
//!   long it goes on is what it is for, or up to the client.
//! - A long body ends it after its first `ENOUGH_BYTES`. When the proxy's buffers are full it reads
//!   no further from the upstream, so the rest comes only as fast as the client reads.
//! - A body of unknown length that takes longer than `LONGEST` was a stream: its headers ended it.
//!
//! Nothing here asks the proxy. Whoever calls reads the clock, and only where the time is needed.

use core::time::Duration;

/// Bytes of a body after which the client's pace can matter: the smallest buffer of a connection
/// that Envoy's guide for edge proxies recommends.
pub(super) const ENOUGH_BYTES: u64 = 32 * 1024;
/// An answer that takes longer is a stream: the judge waits no longer than this after a jump of the
/// candidate's share.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// Media types of streams: their length says nothing about the version.
const STREAMS: [&str; 6] = [
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/stream+json",
    "application/json-seq",
    "multipart/x-mixed-replace",
];

/// What the headers of an answer say about its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its length was announced.
    Sized,
    /// It ends when it ends.
    Unsized,
    /// It is a sequence of messages, one or many: gRPC.
    Messages,
    /// It is a stream.
    Stream,
}

impl Kind {
    /// The kind of an answer with this status, media type and announced length.
    pub(super) fn of(status: Option<u16>, content_type: &str, length: Option<u64>) -> Self {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let is = |known: &str| media_type.eq_ignore_ascii_case(known);
        let begins = |known: &str| {
            media_type
                .get(..known.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(known))
        };
        if status == Some(101) || STREAMS.into_iter().any(is) {
            Self::Stream
        } else if begins("application/grpc") || begins("application/connect+") {
            Self::Messages
        } else if length.is_some() {
            Self::Sized
        } else {
            Self::Unsized
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Nothing of it has come.
    Awaited,
    /// Its headers have come, at a time that is known where it may be needed.
    Begun { kind: Kind, at: Option<Duration> },
    /// The version's time is over since then.
    Over(Duration),
}

/// When the parts of an exchange came, since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// When the request's headers came.
    pub started: Duration,
    /// When the last part of the request came before the answer began.
    asked: Duration,
    request_is_whole: bool,
    answer: Answer,
    /// Whether the clock was set while it went on, so that no difference of times is one.
    clock_was_set: bool,
}

impl Timing {
    /// A request whose headers have come.
    #[must_use]
    pub fn new(started: Duration, request_is_whole: bool) -> Self {
        Self {
            started,
            asked: started,
            request_is_whole,
            answer: Answer::Awaited,
            clock_was_set: false,
        }
    }

    /// The clock was set, or the proxy stood still: how long this takes is not known any more.
    pub(super) fn forget(&mut self) {
        self.clock_was_set = true;
    }

    /// A part of the request's body has come.
    pub(super) fn asked(&mut self, now: impl FnOnce() -> Duration, is_end: bool) {
        if self.answer == Answer::Awaited {
            self.asked = now();
        }
        self.request_is_whole |= is_end;
    }

    /// The answer's headers have come.
    pub(super) fn answered(&mut self, kind: Kind, is_whole: bool, now: impl FnOnce() -> Duration) {
        self.answer = if is_whole || kind == Kind::Stream {
            Answer::Over(now())
        } else {
            let at = (kind != Kind::Sized).then(now);
            Answer::Begun { kind, at }
        };
    }

    /// A part of the answer's body has come, `bytes` of it in all so far.
    pub(super) fn passed(&mut self, bytes: u64, is_whole: bool, now: impl FnOnce() -> Duration) {
        if let Answer::Begun { kind, .. } = self.answer {
            let is_enough = bytes >= ENOUGH_BYTES || (kind == Kind::Messages && bytes > 0);
            if is_whole || is_enough {
                self.answer = Answer::Over(now());
            }
        }
    }

    /// Whether the exchange waits for the version: the request is complete, and the version owes its
    /// answer or the rest of one whose length it has announced.
    pub(super) fn awaits_version(&self) -> bool {
        self.request_is_whole
            && !self.clock_was_set
            && match self.answer {
                Answer::Awaited => true,
                Answer::Begun { kind, .. } => kind == Kind::Sized,
                Answer::Over(_) => false,
            }
    }

    /// Whether the version's part is over, so that what follows is the client's or the proxy's doing.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.answer, Answer::Over(_))
    }

    /// The version's time so far, for an exchange that waits for it.
    pub(super) fn waited(&self, now: Duration) -> Duration {
        now.saturating_sub(self.asked)
    }

    /// The version's time of an exchange that is over at `end`. `None` when the request never was
    /// complete and got no answer, or the clock was set meanwhile.
    pub(super) fn of_version(&self, end: Duration) -> Option<Duration> {
        if self.clock_was_set {
            return None;
        }
        let until = |time: Duration| time.saturating_sub(self.asked);
        match self.answer {
            Answer::Awaited => self.request_is_whole.then(|| until(end)),
            Answer::Begun { at: Some(at), .. } if until(end) > LONGEST => Some(until(at)),
            Answer::Begun { .. } => Some(until(end)),
            Answer::Over(at) => Some(until(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn asked() -> Timing {
        Timing::new(at(100), true)
    }

    #[test]
    fn the_client_that_reads_slowly_is_not_a_slow_version() {
        let mut small = asked();
        small.answered(Kind::Sized, false, || at(101));
        assert!(small.awaits_version());
        small.passed(900, false, || at(102));
        small.passed(900, true, || at(102));
        assert!(!small.awaits_version());
        assert_eq!(small.of_version(at(400)), Some(at(2)));
        let mut large = asked();
        large.answered(Kind::Sized, false, || at(101));
        large.passed(ENOUGH_BYTES - 1, false, || at(101));
        assert!(large.awaits_version());
        large.passed(ENOUGH_BYTES, false, || at(102));
        large.passed(10 * ENOUGH_BYTES, true, || at(300));
        assert!(large.is_over());
        assert_eq!(large.of_version(at(400)), Some(at(2)));
    }

    #[test]
    fn the_client_that_sends_slowly_is_not_a_slow_version() {
        let mut upload = Timing::new(at(100), false);
        assert!(!upload.awaits_version());
        assert_eq!(upload.of_version(at(160)), None);
        upload.asked(|| at(150), true);
        assert!(upload.awaits_version());
        assert_eq!(upload.waited(at(153)), at(3));
        upload.answered(Kind::Unsized, true, || at(155));
        assert_eq!(upload.of_version(at(155)), Some(at(5)));
    }

    #[test]
    fn of_what_goes_on_while_the_clock_is_set_no_time_is_known() {
        let mut exchange = asked();
        exchange.forget();
        assert!(!exchange.awaits_version());
        assert_eq!(exchange.of_version(at(3_700)), None);
        exchange.answered(Kind::Sized, true, || at(3_700));
        assert_eq!(exchange.of_version(at(3_700)), None);
    }

    #[test]
    fn a_version_that_answers_before_the_request_is_complete_has_its_time_from_what_came() {
        let mut both_ways = Timing::new(at(100), false);
        both_ways.asked(|| at(130), false);
        both_ways.answered(Kind::Messages, false, || at(131));
        both_ways.asked(|| at(190), true);
        both_ways.passed(12, false, || at(133));
        assert_eq!(both_ways.of_version(at(900)), Some(at(3)));
    }

    #[test]
    fn a_stream_ends_with_its_beginning() {
        let mut events = asked();
        events.answered(Kind::Stream, false, || at(101));
        assert!(!events.awaits_version());
        assert_eq!(events.of_version(at(340)), Some(at(1)));
        let mut messages = asked();
        messages.answered(Kind::Messages, false, || at(101));
        assert!(!messages.awaits_version());
        messages.passed(0, false, || at(102));
        messages.passed(7, false, || at(103));
        assert_eq!(messages.of_version(at(340)), Some(at(3)));
        // Of unknown length: a stream if it takes long.
        let mut logs = asked();
        logs.answered(Kind::Unsized, false, || at(101));
        assert_eq!(logs.of_version(at(110)), Some(at(10)));
        assert_eq!(logs.of_version(at(340)), Some(at(1)));
    }

    #[test]
    fn a_version_that_hangs_is_waited_for() {
        let hanging = asked();
        assert!(hanging.awaits_version());
        assert_eq!(hanging.waited(at(130)), at(30));
        assert_eq!(hanging.of_version(at(130)), Some(at(30)));
        // It announced more than it sends.
        let mut stuck = asked();
        stuck.answered(Kind::Sized, false, || at(101));
        stuck.passed(100, false, || at(101));
        assert!(stuck.awaits_version());
        assert_eq!(stuck.of_version(at(400)), Some(at(300)));
    }

    #[test]
    fn the_headers_tell_the_kind() {
        let kind = |content_type, length| Kind::of(Some(200), content_type, length);
        assert_eq!(kind("text/event-stream; charset=utf-8", None), Kind::Stream);
        assert_eq!(kind("Text/Event-Stream", Some(3)), Kind::Stream);
        assert_eq!(kind("application/grpc+proto", None), Kind::Messages);
        assert_eq!(kind("application/grpc-web", None), Kind::Messages);
        assert_eq!(kind("application/json", Some(3)), Kind::Sized);
        assert_eq!(kind("application/json", None), Kind::Unsized);
        assert_eq!(kind("", None), Kind::Unsized);
        assert_eq!(Kind::of(Some(101), "", None), Kind::Stream);
    }
}
