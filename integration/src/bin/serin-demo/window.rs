//! What users got: over the last moments, and since the canary changed.

use std::collections::VecDeque;
use std::time::Duration;

use serin_integration::load::Finished;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How far the table looks back.
pub(crate) const WINDOW: Duration = Duration::from_secs(2);

/// One version over the last [`WINDOW`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Part of all answers, 0 to 1.
    pub(crate) share: f64,
    /// Part of the version's answers that are 5xx, 0 to 1; `None` without answers.
    pub(crate) failed: Option<f64>,
    /// Median and 95th percentile of the time to the end of the answer; `None` without answers.
    pub(crate) latency: Option<(Duration, Duration)>,
}

/// Requests that were lost at the canary or had no answer at all, since the change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// All of them.
    pub(crate) since_change: u64,
    /// Those that were sent after the verdict.
    pub(crate) after_verdict: u64,
    /// Those of `since_change` that had no answer, or one of the proxy itself.
    pub(crate) unanswered: u64,
}

/// Hears of each request that is over.
#[derive(Debug)]
pub(crate) struct Window {
    told: mpsc::Receiver<Finished>,
    recent: VecDeque<Finished>,
    losses: Losses,
    changed: Option<Instant>,
    verdict: Option<Instant>,
}

impl Window {
    /// A window over what comes through `told`.
    pub(crate) fn new(told: mpsc::Receiver<Finished>) -> Self {
        Self {
            told,
            recent: VecDeque::new(),
            losses: Losses::default(),
            changed: None,
            verdict: None,
        }
    }

    /// From now on losses count.
    pub(crate) fn canary_changed(&mut self, now: Instant) {
        self.changed = Some(now);
    }

    /// From now on losses count as after the verdict.
    pub(crate) fn verdict_fell(&mut self, now: Instant) {
        self.verdict = Some(now);
    }

    /// Takes in what has ended since the last call.
    pub(crate) fn update(&mut self, now: Instant) {
        while let Ok(finished) = self.told.try_recv() {
            self.count(&finished);
            self.recent.push_back(finished);
        }
        self.recent
            .retain(|finished| now.duration_since(finished.started + finished.elapsed) <= WINDOW);
    }

    fn count(&mut self, finished: &Finished) {
        let after = |moment: Option<Instant>| moment.is_some_and(|then| finished.started >= then);
        // What the stable version fails by itself would be lost without any canary.
        if !finished.is_lost() || finished.version() == Some("v1") || !after(self.changed) {
            return;
        }
        self.losses.since_change += 1;
        self.losses.after_verdict += u64::from(after(self.verdict));
        self.losses.unanswered += u64::from(finished.version().is_none());
    }

    /// The losses so far.
    pub(crate) fn losses(&self) -> Losses {
        self.losses
    }

    /// One version over the window.
    pub(crate) fn row(&self, version: &str) -> Row {
        let of_version = |finished: &&Finished| finished.version() == Some(version);
        let answers: Vec<&Finished> = self.recent.iter().filter(of_version).collect();
        let all = self
            .recent
            .iter()
            .filter(|finished| finished.version().is_some())
            .count();
        let failed = answers.iter().filter(|finished| finished.is_lost()).count();
        let count = answers.len() as f64;
        let mut times: Vec<Duration> = answers.iter().map(|finished| finished.elapsed).collect();
        times.sort_unstable();
        let quantile = |part: f64| {
            let index = (part * times.len() as f64) as usize;
            times.get(index.min(times.len().saturating_sub(1))).copied()
        };
        Row {
            rate: count / WINDOW.as_secs_f64(),
            share: count / (all.max(1) as f64),
            failed: (!answers.is_empty()).then(|| failed as f64 / count),
            latency: quantile(0.5).zip(quantile(0.95)),
        }
    }

    /// Requests per second that no version answered.
    pub(crate) fn unanswered(&self) -> f64 {
        let none = |finished: &&Finished| finished.version().is_none();
        self.recent.iter().filter(none).count() as f64 / WINDOW.as_secs_f64()
    }
}

/// Which part of the requests the filter steers, over the window.
#[derive(Debug, Default)]
pub(crate) struct Steering {
    /// Requests received and, of those, steered so far, by the time of the look.
    looks: VecDeque<(Instant, u64, u64)>,
}

impl Steering {
    /// Takes in the counts so far.
    pub(crate) fn update(&mut self, now: Instant, received: u64, steered: u64) {
        self.looks.push_back((now, received, steered));
        self.looks
            .retain(|(then, _, _)| now.duration_since(*then) <= WINDOW);
    }

    /// The part, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        let (Some(first), Some(last)) = (self.looks.front(), self.looks.back()) else {
            return 0.0;
        };
        let received = last.1.saturating_sub(first.1);
        // The two may be counted at different moments.
        (last.2.saturating_sub(first.2) as f64 / received.max(1) as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use serin_integration::shop::Route;

    use super::*;

    fn finished(version: &str, status: u16, started: Instant) -> Finished {
        Finished {
            route: Route::Cart,
            started,
            elapsed: Duration::from_millis(10),
            answer: Some((StatusCode::from_u16(status).unwrap(), version.to_owned())),
        }
    }

    #[test]
    fn only_what_the_canary_or_nobody_answered_counts_as_lost_to_the_change() {
        let (tell, told) = mpsc::channel(16);
        let mut window = Window::new(told);
        let change = Instant::now();
        let later = change + Duration::from_secs(1);
        let verdict = change + Duration::from_secs(2);
        window.canary_changed(change);
        window.verdict_fell(verdict);
        let before = finished("v2", 500, change - Duration::from_millis(1));
        let hung = Finished {
            answer: None,
            ..finished("", 200, later)
        };
        let counted = [
            finished("v2", 503, later),
            hung,
            finished("v2", 500, verdict),
        ];
        let ignored = [
            before,
            finished("v1", 500, later),
            finished("v2", 404, verdict),
        ];
        for request in counted.into_iter().chain(ignored) {
            tell.try_send(request).unwrap();
        }
        window.update(verdict);
        let losses = Losses {
            since_change: 3,
            after_verdict: 1,
            unanswered: 1,
        };
        assert_eq!(window.losses(), losses);
    }

    #[test]
    fn a_row_forgets_what_is_older_than_the_window() {
        let (tell, told) = mpsc::channel(16);
        let mut window = Window::new(told);
        let now = Instant::now();
        for status in [200, 200, 200, 500] {
            tell.try_send(finished("v2", status, now)).unwrap();
        }
        window.update(now);
        let row = window.row("v2");
        assert_eq!((row.rate, row.share, row.failed), (2.0, 1.0, Some(0.25)));
        assert_eq!(window.row("v1"), Row::default());

        window.update(now + WINDOW + Duration::from_secs(1));
        assert_eq!(window.row("v2"), Row::default());
    }
}
