//! Verdicts and what carries them.
//!
//! All of it serialises, for programs: enumerations as their names, routes as their label
//! ([`RouteKey::label`](crate::route::RouteKey::label)), evidence in nats. What is unknown is `null`, never absent.

mod decision;
mod difference;
mod findings;
mod fleet_word;
mod found;
mod label;
mod left_out;
mod needed;
mod rate;
mod reason;
mod shift;
mod silence;

pub use crate::count::examples::Example;
pub use decision::Decision;
pub use difference::{Difference, ShareChange};
pub use findings::{PastFinding, PlaceboFinding};
pub use fleet_word::FleetWord;
pub use found::{Found, Now};
pub use left_out::LeftOut;
pub use needed::Needed;
pub use rate::Rate;
pub use reason::Reason;
pub use shift::Shift;
pub use silence::{Silence, Silent};

use core::fmt;
use serde::Serialize;

/// The verdict on a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Serin has judged too little, or something speaks against the candidate but is not enough for a
    /// verdict: [`Decision::leaning`].
    #[default]
    Learning,
    /// Serin has judged enough, and nothing speaks against the candidate.
    Healthy,
    /// There is half of the evidence that a verdict needs, in logs. Or the candidate is worse than the
    /// baseline's past ([`Decision::against_past`]), or answers nothing ([`Decision::silent`]).
    Suspect,
    /// The candidate is worse than tolerated. For a healthy candidate, the chance of this is at most
    /// `false_alarm`.
    Anomalous,
}

impl Verdict {
    /// All verdicts, the worst last.
    pub const ALL: [Self; 4] = [
        Self::Learning,
        Self::Healthy,
        Self::Suspect,
        Self::Anomalous,
    ];

    /// The name in metrics, headers and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Anomalous => "anomalous",
        }
    }

    /// The number in metrics and bytes: 0 learning to 3 anomalous.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The verdict with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::Cause;
    use crate::evidence::Interval;
    use crate::route::RouteKey;
    use serde_json::{json, to_value};

    #[test]
    fn names_are_the_same_in_json_and_in_metrics() {
        for verdict in Verdict::ALL {
            assert_eq!(to_value(verdict).unwrap(), verdict.name());
        }
        for cause in Cause::ALL {
            assert_eq!(to_value(cause).unwrap(), cause.name());
        }
    }

    #[test]
    fn a_reason_serialises_flat_and_says_what_is_unknown() {
        let reason = Reason {
            tolerance: 1.5,
            route: RouteKey::all("shop"),
            category: "error",
            meaning: "fail",
            phrase: "fail (503)".to_owned(),
            detail: String::new(),
            likewise: String::new(),
            evidence: 4.5,
            candidate: Rate::new(1, 2),
            baseline: Rate::default(),
            odds_ratio: None,
            interval: Interval {
                lower: Some(1.5),
                upper: None,
            },
            shift: None,
            now: None,
            examples: Vec::new(),
        };
        let expected = json!({
            "route": "all routes",
            "category": "error",
            "meaning": "fail",
            "phrase": "fail (503)",
            "detail": "",
            "likewise": "",
            "evidence": 4.5,
            "candidate": {"inside": 1, "total": 2, "estimated_from": null},
            "baseline": {"inside": 0, "total": 0, "estimated_from": null},
            "tolerance": 1.5,
            "odds_ratio": null,
            "odds_ratio_lower": 1.5,
            "odds_ratio_upper": null,
            "shift": null,
            "now": null,
            "examples": [],
        });
        assert_eq!(to_value(&reason).unwrap(), expected);
    }

    #[test]
    fn a_verdict_has_its_times_and_its_evidence_where_versions_were_compared() {
        let mut decision = Decision {
            verdict_ms: 1_700_000_027_400,
            ..Decision::default()
        };
        assert_eq!(decision.timing(), None);
        let rate = Rate::new(1, 2);
        let found = Found {
            onset_ms: 1_700_000_000_400,
            evidence: 5.5,
            route: RouteKey::all("shop"),
            category: "error",
            meaning: "fail",
            candidate: rate,
            baseline: rate,
            against_past: false,
        };
        decision.found = Some(found.clone());
        let timing = decision.timing().unwrap();
        assert_eq!((timing.seconds(), timing.evidence), (27.0, Some(5.5)));
        decision.found = Some(Found {
            against_past: true,
            ..found
        });
        assert_eq!(decision.timing().unwrap().evidence, None);
    }

    #[test]
    fn a_guards_decision_names_the_routes_that_may_be_refused() {
        let decision = Decision {
            condemned: vec![(RouteKey::other("shop"), "error")],
            ..Decision::default()
        };
        let value = to_value(&decision).unwrap();
        assert_eq!(value["condemned"], json!([["* {other}", "error"]]));
        assert_eq!(value["verdict"], "learning");
        assert_eq!(value["shared_change"]["cause"], "nothing");
    }
}
