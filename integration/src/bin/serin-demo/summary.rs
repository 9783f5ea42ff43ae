//! The end of the story: what was found, for people and as one line of JSON.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use console::Style;
use scorer_sdk::judge::verdict::Verdict;
use serde_json::{Value, json};

use crate::args::{Args, Mode, Story};
use crate::filter::Opinion;
use crate::screen::Screen;
use crate::style::verdict_style;
use crate::window::Losses;

/// A canary that still gets requests this long after the verdict is not steered away from: each
/// worker hears of the verdict at its next tick, one second at most.
const LONGEST_STEERING_DELAY: Duration = Duration::from_secs(3);

/// How the story ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What the filter thought at the end.
    pub(crate) opinion: Opinion,
    /// Why.
    pub(crate) explanation: String,
    /// When the shop was changed.
    pub(crate) onset: Option<SystemTime>,
    /// The way to the verdict, if it was `anomalous` and came after the regression.
    pub(crate) found: Option<Found>,
    /// Whether a healthy canary was called anomalous.
    pub(crate) false_alarm: bool,
    /// What followed from the verdict.
    pub(crate) aftermath: Option<Aftermath>,
    /// What the filter says of a change of both versions against their past.
    pub(crate) drift: Option<String>,
    /// What users lost since the change.
    pub(crate) losses: Losses,
    /// Envoy's log.
    pub(crate) log: PathBuf,
}

/// From the change to the verdict.
#[derive(Debug)]
pub(crate) struct Found {
    /// Requests that the canary received.
    pub(crate) candidate_requests: u64,
    /// Time.
    pub(crate) seconds: f64,
}

/// From the verdict to the end.
#[derive(Debug)]
pub(crate) struct Aftermath {
    /// Requests that the canary received.
    pub(crate) canary_requests: u64,
    /// From the verdict to the last of them.
    pub(crate) lasted: Duration,
}

impl Outcome {
    /// What is wrong with this ending; `None` if the story ended as it should.
    fn complaint(&self, args: &Args) -> Option<String> {
        let verdict = self.opinion.verdict;
        let log = format!("see {}", self.log.display());
        if self.false_alarm {
            return Some(format!("a healthy canary was called anomalous; {log}"));
        }
        if !args.story.is_of_canary() {
            if verdict != Verdict::Healthy {
                let text = format!("v2 was no worse than v1, and the verdict is {verdict}; {log}");
                return Some(text);
            }
            let missed = args.story == Story::SharedChange
                && self.opinion.cause.as_deref() != Some("shared");
            return missed
                .then(|| format!("the filter did not say that the slowness is shared; {log}"));
        }
        if verdict != Verdict::Anomalous {
            return Some(format!(
                "no verdict within {} s: try a higher --rate, --share or --seconds; {log}",
                args.limit().as_secs()
            ));
        }
        let lasted = self.aftermath.as_ref().map(|aftermath| aftermath.lasted);
        (args.mode == Mode::Steer && lasted.is_some_and(|lasted| lasted > LONGEST_STEERING_DELAY))
            .then(|| format!("the canary still got requests after the verdict; {log}"))
    }

    /// Whether the story ended as it should.
    pub(crate) fn is_right(&self, args: &Args) -> bool {
        self.complaint(args).is_none()
    }

    /// Shows the ending; the last line is JSON.
    pub(crate) fn show(&self, args: &Args, screen: &mut Screen) {
        let plain = Style::new();
        let Losses {
            since_change,
            after_verdict,
            unanswered,
        } = self.losses;
        screen.raw("");
        let verdict = self.opinion.verdict;
        screen.summary("verdict on v2", verdict.name(), &verdict_style(verdict));
        screen.summary("why", &self.explanation, &plain);
        if let Some(drift) = &self.drift {
            let cause = self.opinion.cause.as_deref().unwrap_or("unknown");
            screen.summary("drift", &format!("{cause}: {drift}"), &plain);
        }
        if let Some(found) = &self.found {
            let text = format!(
                "{:.1} s and {} requests to v2 after the regression began",
                found.seconds, found.candidate_requests
            );
            screen.summary("found after", &text, &plain);
        }
        let lost = if since_change == 0 {
            "none".to_owned()
        } else {
            format!(
                "{since_change}: {} failed by v2, {unanswered} without an answer; \
                 {after_verdict} of them sent after the verdict (a healthy version also fails 0.3%)",
                since_change.saturating_sub(unanswered)
            )
        };
        screen.summary("lost requests", &lost, &plain);
        if let Some(aftermath) = &self.aftermath {
            let text = format!(
                "{} requests, the last of them {:.1} s after the verdict",
                aftermath.canary_requests,
                aftermath.lasted.as_secs_f64()
            );
            screen.summary("v2 then still got", &text, &plain);
            let text = format!("{} requests sent to v1 by the filter", self.opinion.steered);
            screen.summary("steered", &text, &plain);
        }
        if let Some(complaint) = self.complaint(args) {
            let style = Style::new().red().bold();
            screen.summary("wrong", &complaint, &style);
        }
        screen.raw("");
        screen.raw(&self.json(args).to_string());
    }

    /// Whose doing it is: what drift says, else what the verdict does; `None` where nothing changed.
    fn cause(&self) -> Option<&str> {
        let of_version = self.opinion.verdict == Verdict::Anomalous;
        let drift = self.opinion.cause.as_deref();
        drift.or(of_version.then_some("version"))
    }

    fn json(&self, args: &Args) -> Value {
        json!({
            "ok": self.is_right(args),
            "verdict": self.opinion.verdict.name(),
            "regression": args.story.name(),
            "cause": self.cause(),
            "onset": self.onset.map(clock),
            "detected_after_s": self.found.as_ref().map(|found| (found.seconds * 10.0).round() / 10.0),
            "candidate_requests": self.found.as_ref().map(|found| found.candidate_requests),
            "lost_requests": self.losses.since_change,
            "lost_after_verdict": self.losses.after_verdict,
            "steered": self.opinion.steered,
            "judged": self.opinion.judged,
            "explanation": self.explanation,
            "mode": args.mode.name(),
            "rate": args.rate(),
            "share": args.share,
            "seed": args.seed,
        })
    }
}

/// The time as programs read it, in UTC.
fn clock(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
