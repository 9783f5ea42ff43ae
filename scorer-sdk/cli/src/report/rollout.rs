//! A destination's rollout as a section: the verdict, the evidence, what differs, how both went.

use super::arms::Arms;
use super::clock::{Clock, date};
use super::odds::{self, Row};
use super::timeline::Track;
use super::{plot, tokens};
use crate::document::{Level, Marker, Plot, Series};
use crate::found::When;
use crate::number::{of_enough, one_in, percent, seconds, short};
use crate::output::grouped;
use crate::replay::seconds_until_verdict;
use maud::{Markup, html};
use scorer_sdk::judge::inspect::{Inspected, InspectedRoute, InspectedSignal};
use scorer_sdk::judge::verdict::{PlaceboFinding, Reason};
use scorer_sdk::{Decision, Verdict};

/// Rows of the table of odds ratios.
const MAX_ROWS: usize = 12;
/// Rows that are shown even if nothing speaks against the candidate.
const FEW_ROWS: usize = 4;
/// Evidence in nats from which on a row is shown.
const WORTH_A_ROW: f64 = 0.1;
/// Routes that are shown in detail.
const MAX_ROUTES: usize = 3;
/// Lines in the plot of the strongest pairs.
const MAX_LINES: usize = 6;
/// Signals that are shown even where the versions are alike.
const ALWAYS_SHOWN: [&str; 2] = ["outcome", "latency"];
/// Seconds before the candidate that are shown at least.
const BEFORE: f64 = 60.0;

/// All that is known of a destination.
pub struct Rollout<'a> {
    /// What is decided.
    pub decision: &'a Decision,
    /// What the judge knows.
    pub inspected: Option<&'a Inspected>,
    /// The evidence over time.
    pub track: Option<&'a Track>,
    /// What each version did over time.
    pub arms: &'a Arms,
    /// The last exchange's end, in seconds since the Unix epoch.
    pub end: f64,
    /// Which signals were not judged, in a sentence without its full stop.
    pub not_judged: Option<&'a str>,
}

/// The section. `id` is where links point to.
#[must_use]
pub fn section(rollout: &Rollout<'_>, id: &str) -> Markup {
    let decision = rollout.decision;
    let versions = !decision.candidate.is_empty();
    html! {
        section id=(id) {
            h2 {
                (decision.destination)
                @if versions { ": " (decision.baseline) " → " (decision.candidate) }
            }
            p { (verdict(decision.verdict)) }
            @if let Some(when) = When::of_decision(decision) {
                (headline(&when, &decision.candidate, None))
            }
            p.sentence { (decision.explanation()) }
            @if let Some(limit) = rollout.not_judged { p.warning { (limit) "." } }
            @if versions {
                (touched(decision))
                (facts(decision))
                (warnings(decision))
                div.plots { @for shown in evidence(rollout) { (plot::figure(&shown)) } }
                (reasons(decision))
                @if let Some(inspected) = rollout.inspected { (differences(rollout, inspected)) }
                (placebo_and_balance(decision))
                (shared_change(decision))
                h3 { "Both versions over time" }
                p.note { "All routes together. If both lines move, usage or something that both versions share has changed; if one moves, its version has." }
                div.plots { @for shown in drift(rollout) { (plot::figure(&shown)) } }
            }
        }
    }
}

/// What the owner has to know first: what to do, since when, and how certain it is; then `more`.
#[must_use]
pub fn headline(when: &When, candidate: &str, more: Option<&str>) -> Markup {
    html! {
        p.headline {
            strong { "Roll back " (candidate) "." } " " (when.sentence(candidate))
            @if let Some(more) = more { " " (more) }
        }
    }
}

/// The times to mark in plots over time.
#[must_use]
pub fn markers(when: Option<&When>, candidate: &str, clock: &Clock) -> Vec<Marker> {
    let Some(when) = when else {
        return Vec::new();
    };
    let marker = |name: String, at: f64| Marker {
        name,
        x: clock.position(at),
    };
    vec![
        marker(format!("{candidate} is worse"), when.onset),
        marker("verdict".to_owned(), when.verdict),
    ]
}

/// The routes and categories in which the candidate is worse, those first that touch most requests.
fn touched(decision: &Decision) -> Markup {
    let mut reasons: Vec<&Reason> = decision
        .reasons
        .iter()
        .filter(|reason| !reason.is_pooled())
        .collect();
    let more = |reason: &Reason| {
        let expected = reason.baseline.percent() / 1e2 * reason.candidate.total as f64;
        reason.candidate.inside as f64 - expected
    };
    reasons.sort_by(|one, other| more(other).total_cmp(&more(one)));
    let share = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percent);
    let requests = format!("requests of {}", decision.candidate);
    let more_than = format!("more than of {}", decision.baseline);
    let until = match decision.verdict {
        Verdict::Anomalous => ", up to the verdict",
        _ => "",
    };
    html! {
        @if !reasons.is_empty() && decision.verdict >= Verdict::Suspect {
            h3 { "Who is affected" }
            div.scroll tabindex="0" role="region" aria-label="Who is affected" {
                table.cards.touched {
                    thead { tr {
                        th scope="col" { "route and category" }
                        th scope="col" class="number" { (requests) }
                        th scope="col" class="number" { (more_than) }
                        th scope="col" class="number" { "now" }
                    } }
                    tbody {
                        @for reason in reasons {
                            tr {
                                th scope="row" { (reason.route.label()) " " span.category { (reason.category) } }
                                td.number data-name=(requests) { (odds::rate(reason.candidate)) }
                                td.number data-name=(more_than) { (grouped(more(reason).max(0.0).round() as u64)) }
                                td.number data-name="now" {
                                    (share(reason.now.map(|now| now.candidate))) " against "
                                    (share(reason.now.map(|now| now.baseline)))
                                }
                            }
                        }
                    }
                }
            }
            p.note { "Requests since the difference began" (until) ", of those that Serin looked at. “Now” covers about the last half minute." }
        }
    }
}

/// A verdict's name in its colour.
#[must_use]
pub fn verdict(verdict: Verdict) -> Markup {
    html! { span class=(format!("verdict {}", verdict.name())) { (verdict.name()) } }
}

fn facts(decision: &Decision) -> Markup {
    let mut facts = vec![
        (
            "evidence".to_owned(),
            of_enough(decision.evidence, decision.threshold),
        ),
        (
            format!("requests of {}", decision.candidate),
            format!(
                "{} ({} judged)",
                grouped(decision.candidate_exchanges),
                grouped(decision.judged_exchanges)
            ),
        ),
        (
            format!("requests of {}", decision.baseline),
            grouped(decision.baseline_exchanges),
        ),
        (
            format!("first request of {}", decision.candidate),
            date(decision.started_ms as f64 / 1e3),
        ),
    ];
    if let Some(taken) = decision.timing().map(|timing| timing.seconds()) {
        facts.push(("from the onset to the verdict".to_owned(), seconds(taken)));
    }
    if let Some(taken) = seconds_until_verdict(decision) {
        facts.push((
            format!(
                "from the first request of {} to the verdict",
                decision.candidate
            ),
            format!(
                "{} requests, {}",
                grouped(decision.exchanges_at_verdict),
                seconds(taken)
            ),
        ));
    }
    html! {
        dl.facts {
            @for (name, value) in &facts { div { dt { (name) } dd { (value) } } }
        }
    }
}

fn warnings(decision: &Decision) -> Markup {
    let baseline = &decision.baseline;
    html! {
        @if decision.held_by_placebo {
            p.warning { "The verdict is held back: " (baseline) "'s own hosts or sessions differ as much." }
        }
        @if !decision.balance.is_empty() {
            p.warning { "The versions get different requests: requests are not assigned at random." }
        }
        @if decision.baseline_failing {
            p.warning { "Most of the recent requests to " (baseline) " failed, so Serin steers nothing to it." }
        }
        @if decision.warming_up {
            p.warning { (decision.candidate) " is warming up: its latency is not judged yet." }
        }
    }
}

/// The evidence over time: of the verdict, and of the strongest pairs.
fn evidence(rollout: &Rollout<'_>) -> Vec<Plot> {
    let Some(track) = rollout.track.filter(|track| !track.looks.is_empty()) else {
        return Vec::new();
    };
    let clock = clock(rollout);
    let when = When::of_decision(rollout.decision);
    let markers = markers(when.as_ref(), &track.candidate, &clock);
    evidence_plots(track, &clock, &markers)
}

/// Plots of a candidate's evidence over time.
#[must_use]
pub fn evidence_plots(track: &Track, clock: &Clock, markers: &[Marker]) -> Vec<Plot> {
    let threshold = track.looks.last().map_or(0.0, |look| look.threshold);
    let line = |name: String, points: &mut dyn Iterator<Item = [f64; 2]>| Series {
        name,
        points: points
            .map(|[at, evidence]| [clock.position(at), evidence.max(0.0)])
            .collect(),
    };
    let all = Plot {
        title: format!("Evidence against {}", track.candidate),
        x_label: clock.label.clone(),
        y_label: "logarithm of the number of rollouts with one false alarm; 0: no evidence"
            .to_owned(),
        time_zero: Some(clock.zero()),
        from_zero: true,
        markers: markers.to_vec(),
        series: vec![line(
            "all routes and categories".to_owned(),
            &mut track.looks.iter().map(|look| [look.at, look.evidence]),
        )],
        levels: vec![Level {
            name: "enough".to_owned(),
            y: threshold,
        }],
        ..Plot::default()
    };
    let strongest = track.strongest();
    let pairs = Plot {
        title: "Where it comes from".to_owned(),
        x_label: clock.label.clone(),
        y_label: "the same logarithm, of one route and category by itself".to_owned(),
        time_zero: Some(clock.zero()),
        from_zero: true,
        markers: markers.to_vec(),
        series: strongest
            .iter()
            .take(MAX_LINES)
            .map(|pair| {
                let name = format!("{}: {}", pair.route, pair.category);
                line(name, &mut pair.points.iter().copied())
            })
            .collect(),
        ..Plot::default()
    };
    let mut plots = vec![all];
    if !pairs.series.is_empty() {
        plots.push(pairs);
    }
    plots
}

fn clock(rollout: &Rollout<'_>) -> Clock {
    Clock::new(span(rollout).0)
}

/// The time that is shown: the rollout, and as much before it.
fn span(rollout: &Rollout<'_>) -> (f64, f64) {
    let started = rollout.decision.started_ms as f64 / 1e3;
    let taken = (rollout.end - started).max(0.0);
    (started - taken.max(BEFORE), rollout.end)
}

fn drift(rollout: &Rollout<'_>) -> Vec<Plot> {
    let decision = rollout.decision;
    let (baseline, candidate) = (baseline_name(decision), candidate_name(decision));
    let versions = [
        (decision.baseline.as_str(), baseline.as_str()),
        (decision.candidate.as_str(), candidate.as_str()),
    ];
    let clock = clock(rollout);
    let when = When::of_decision(decision);
    let markers = markers(when.as_ref(), &decision.candidate, &clock);
    let span = span(rollout);
    rollout
        .arms
        .plots(&decision.destination, &versions, span, &clock, &markers)
}

fn baseline_name(decision: &Decision) -> String {
    format!("{} (baseline)", decision.baseline)
}

fn candidate_name(decision: &Decision) -> String {
    format!("{} (candidate)", decision.candidate)
}

fn reasons(decision: &Decision) -> Markup {
    html! {
        // A single one is the page's first sentence already, but for its examples.
        @if decision.reasons.len() > 1 || decision.reasons.iter().any(|it| !it.examples.is_empty()) {
            h3 { "Why" }
            ul {
                @for reason in &decision.reasons {
                    li {
                        span.category { (reason.category) } " "
                        (reason.sentence(&decision.candidate, &decision.baseline))
                        @if !reason.examples.is_empty() { "; " span.detail { (reason.for_example()) } }
                    }
                }
            }
        }
        @if !decision.differences.is_empty() {
            h3 { "Differences, for better or worse" }
            ul {
                @for difference in &decision.differences {
                    li {
                        (difference.route.label()) ": " (difference.signal.replace('_', " "))
                        ", " (difference.size()) "; by itself " (one_in(difference.evidence))
                        @if !difference.detail.is_empty() { " " span.detail { (difference.detail) } }
                    }
                }
            }
        }
        @if !decision.needed.is_empty() && decision.verdict < Verdict::Anomalous {
            h3 { "How much more is needed" }
            p { "Requests to " (decision.candidate) " that Serin still needs to find a regression, at the current share and rates:" }
            div.scroll tabindex="0" role="region" aria-label="Requests still needed" {
                table {
                    thead { tr {
                        th scope="col" { "category" }
                        th scope="col" class="number" { "odds ratio" }
                        th scope="col" class="number" { "requests" }
                    } }
                    tbody {
                        @for needed in &decision.needed {
                            tr {
                                td { (needed.category) }
                                td.number { (short(needed.odds_ratio)) }
                                td.number { (grouped(needed.requests)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The largest evidence of a route, over its categories.
fn strength(route: &InspectedRoute) -> f64 {
    route
        .pairs
        .iter()
        .map(|pair| pair.evidence)
        .fold(f64::NEG_INFINITY, f64::max)
}

fn differences(rollout: &Rollout<'_>, inspected: &Inspected) -> Markup {
    let decision = rollout.decision;
    let (baseline, candidate) = (baseline_name(decision), candidate_name(decision));
    let pooled = inspected.pooled.iter().map(|pair| Row {
        route: "all routes".to_owned(),
        pair,
    });
    let single = inspected.routes.iter().flat_map(|route| {
        route.pairs.iter().map(|pair| Row {
            route: route.key.label(),
            pair,
        })
    });
    let mut rows: Vec<Row<'_>> = pooled
        .chain(single)
        .filter(|row| row.pair.interval.lower.is_some() || row.pair.interval.upper.is_some())
        .collect();
    rows.sort_by(|one, other| other.pair.evidence.total_cmp(&one.pair.evidence));
    let verdict_at = When::of_decision(decision).map(|when| when.verdict);
    let all = rows.len();
    let telling = rows
        .iter()
        .take_while(|row| row.pair.evidence >= WORTH_A_ROW)
        .count();
    rows.truncate(telling.clamp(FEW_ROWS, MAX_ROWS));
    let mut routes: Vec<&InspectedRoute> = inspected.routes.iter().collect();
    routes.sort_by(|one, other| strength(other).total_cmp(&strength(one)));
    html! {
        h3 { "How much worse" }
        @if rows.is_empty() {
            p { "Every odds ratio is still possible: no difference has begun on any route, or Serin has judged nothing yet." }
        } @else {
            (odds::table(&rows, &baseline, &candidate, verdict_at))
            @if all > rows.len() {
                p.note { "The strongest " (rows.len()) " of " (all) " routes and categories with data." }
            }
        }
        @if !routes.is_empty() {
            h3 { "What each version answers" }
            p.note {
                "Recently, on the "
                @if routes.len() > MAX_ROUTES { (MAX_ROUTES) " strongest of " (routes.len()) " routes." }
                @else { "routes, the strongest first." }
                " Signals on which the versions are alike are left out."
            }
            @for route in routes.iter().take(MAX_ROUTES) {
                h4 { (route.key.label()) }
                (tokens::signals(&worth_showing(route), &decision.baseline, &decision.candidate))
            }
        }
    }
}

fn worth_showing(route: &InspectedRoute) -> Vec<&InspectedSignal> {
    let shown = |signal: &&InspectedSignal| {
        ALWAYS_SHOWN.contains(&signal.signal) || tokens::differs(signal)
    };
    route.signals.iter().filter(shown).collect()
}

fn placebo_and_balance(decision: &Decision) -> Markup {
    let baseline = &decision.baseline;
    html! {
        h3 { "Is the comparison fair?" }
        @if decision.placebo.is_empty() {
            p { "Placebo: the two halves of " (baseline) "'s hosts or sessions do not differ." }
        } @else {
            p { "Placebo: the two halves of " (baseline) "'s hosts or sessions differ. The candidate has to differ by more." }
            ul { @for finding in &decision.placebo { (placebo(finding, baseline)) } }
        }
        @if decision.balance.is_empty() {
            p { "Balance: the versions get the same kinds of requests." }
        } @else {
            p { "Balance: the versions get different requests, so chance alone does not assign them." }
            ul {
                @for unlike in &decision.balance {
                    li {
                        (unlike.route.label()) ": " (unlike.signal.replace('_', " ")) " differs in "
                        (percent(unlike.distance)) " of the requests; by chance at most " (one_in(unlike.evidence))
                    }
                }
            }
        }
    }
}

fn shared_change(decision: &Decision) -> Markup {
    let shared_change = &decision.shared_change;
    html! {
        @if !shared_change.series.is_empty() {
            h3 { "Each version against its own past" }
            p {
                @if shared_change.sentence.is_empty() {
                    "No drift: both versions behave as in their past."
                } @else {
                    "At the end: " (shared_change.sentence) "."
                }
            }
        }
    }
}

fn placebo(finding: &PlaceboFinding, baseline: &str) -> Markup {
    html! {
        li {
            span.category { (finding.category) } " " (finding.sentence(baseline))
            @if let Some(odds_ratio) = finding.odds_ratio { "; odds ratio " (short(odds_ratio)) }
            "; by chance at most " (one_in(finding.evidence))
        }
    }
}
