//! How much worse: rates, odds ratio and interval of each route and category, as dots and whiskers
//! on one logarithmic axis.

use super::clock::date;
use crate::number::{one_in, percent, short};
use crate::output::grouped;
use maud::{Markup, html};
use scorer_sdk::judge::inspect::InspectedPair;
use scorer_sdk::judge::verdict::Rate;

/// Ends of the axis: about the estimate's own grid.
const AXIS: (f64, f64) = (0.03, 300.0);
/// Labels of the axis.
const TICKS: [f64; 4] = [0.1, 1.0, 10.0, 100.0];

/// A pair with the label of its route.
pub struct Row<'a> {
    /// The route's label.
    pub route: String,
    /// What is known.
    pub pair: &'a InspectedPair,
}

/// The table. `baseline` and `candidate` are the names of the versions; `verdict` is when the verdict
/// fell that stands, in seconds since the Unix epoch.
#[must_use]
pub fn table(rows: &[Row<'_>], baseline: &str, candidate: &str, verdict: Option<f64>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Odds ratios" {
            table.cards.odds {
                thead { tr {
                    th scope="col" { "route and category" }
                    th scope="col" { (candidate) }
                    th scope="col" { (baseline) }
                    th scope="col" { "odds ratio" (ticks("whisker ticks")) }
                    th scope="col" class="number" { "evidence" }
                } }
                tbody {
                    @for row in rows { (line(row, baseline, candidate, verdict.is_some())) }
                }
            }
        }
        p.note {
            "Odds ratio 1 means no difference. The thick tick is the tolerance, the line the confidence interval, \
             the dot the most likely value. Rates cover the time since the difference began. Evidence 1 in \
             100: by itself, this row is a false alarm in at most one of 100 rollouts."
            @if let Some(at) = verdict {
                " All values are those at the verdict, " (date(at)) ". Only “now” continues: it covers \
                 about the last half minute."
            }
        }
    }
}

fn line(row: &Row<'_>, baseline: &str, candidate: &str, stands: bool) -> Markup {
    let pair = row.pair;
    let now = pair.now.filter(|_| stands);
    html! {
        tr {
            th scope="row" {
                (row.route) " "
                span.category title=(format!("requests that {}", pair.meaning)) { (pair.category) }
                @if !pair.detail.is_empty() { " " span.detail { (pair.detail) } }
            }
            td data-name=(candidate) { (rate(pair.candidate)) (share_now(now.map(|now| now.candidate))) }
            td data-name=(baseline) { (rate(pair.baseline)) (share_now(now.map(|now| now.baseline))) }
            td data-name="odds ratio" { (words(pair)) (whisker(pair)) (ticks("whisker ticks of-row")) }
            td.number data-name="evidence" { (one_in(pair.evidence)) }
        }
    }
}

/// The share of a version's requests, and how many they are where all were looked at.
pub(super) fn rate(rate: Rate) -> Markup {
    if rate.total == 0 {
        return html! { "–" };
    }
    html! {
        @match (rate.share(), rate.estimated_from) {
            (Some(share), None) => {
                (percent(share))
                br;
                small { (grouped(rate.inside)) " of " (grouped(rate.total)) }
            }
            // What was looked at is a part of all requests and each failure.
            (Some(share), Some(_)) => { "about " (percent(share)) }
            (None, _) => (grouped(rate.inside)),
        }
    }
}

fn share_now(share: Option<f64>) -> Markup {
    html! {
        @if let Some(share) = share { br; small { "now " (percent(share)) } }
    }
}

/// Odds ratio and interval as text.
fn words(pair: &InspectedPair) -> String {
    let ends = (pair.interval.lower, pair.interval.upper);
    let estimate = pair.odds_ratio.map(short);
    match (estimate, ends) {
        (Some(estimate), (Some(lower), Some(upper))) => {
            format!("{estimate} ({} to {})", short(lower), short(upper))
        }
        (_, (Some(lower), None)) => format!("above {}", short(lower)),
        (Some(estimate), (None, Some(upper))) => format!("{estimate} (below {})", short(upper)),
        (None, (None, Some(upper))) => format!("below {}", short(upper)),
        _ => "not known yet".to_owned(),
    }
}

/// Position on the axis, in per cent from the left.
fn position(odds_ratio: f64) -> f64 {
    let part = (odds_ratio / AXIS.0).ln() / (AXIS.1 / AXIS.0).ln();
    (100.0 * part).clamp(0.0, 100.0)
}

fn left(odds_ratio: f64) -> String {
    format!("left:{:.1}%", position(odds_ratio))
}

fn whisker(pair: &InspectedPair) -> Markup {
    let (from, to) = (
        position(pair.interval.lower.unwrap_or(AXIS.0)),
        position(pair.interval.upper.unwrap_or(AXIS.1)),
    );
    let known = pair.interval.lower.is_some() || pair.interval.upper.is_some();
    html! {
        div.whisker aria-hidden="true" {
            span.unity style=(left(1.0)) {}
            span.tolerance style=(left(pair.tolerance)) {}
            @if known {
                span.interval style=(format!("left:{from:.1}%;width:{:.1}%", (to - from).max(0.0))) {}
                @if let Some(estimate) = pair.odds_ratio { span.dot style=(left(estimate)) {} }
            }
        }
    }
}

fn ticks(class: &str) -> Markup {
    html! {
        div class=(class) aria-hidden="true" {
            @for tick in TICKS { span style=(left(tick)) { (short(tick)) } }
        }
    }
}
