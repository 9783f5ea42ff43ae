//! What was seen of a live proxy, as sections: one a destination.

use super::clock::{Clock, date};
use super::page::Section;
use super::scrape::Seen;
use super::{plot, rollout};
use crate::document::{Marker, Plot, Series};
use crate::found::When;
use crate::metrics_text::Sample;
use crate::number::{of_enough, one_in, percent, seconds};
use crate::output::grouped;
use crate::samples::{NOTES, candidates, value, verdict_on};
use maud::{Markup, html};
use scorer_sdk::Verdict;
use scorer_sdk::telemetry::{self, Metric, label};

/// Destinations that get a section.
const MAX_SECTIONS: usize = 20;
/// Seconds over which a rate is taken: the filter counts at its ticks, which are a second apart.
const SMOOTHED: f64 = 3.5;

/// The sections of a page.
#[must_use]
pub fn sections(seen: &Seen, url: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = candidates(&seen.last)
        .into_iter()
        .take(MAX_SECTIONS)
        .enumerate()
        .map(|(index, (destination, candidate))| {
            let id = format!("rollout-{}", index + 1);
            let thought = verdict_on(&seen.last, destination, candidate);
            Section {
                name: format!("{destination}: {}", thought.name()),
                body: section(seen, destination, candidate, &id),
                id,
            }
        })
        .collect();
    sections.push(Section {
        id: "input".to_owned(),
        name: "What Serin looked at".to_owned(),
        body: looks(seen, url, sections.is_empty()),
    });
    sections
}

fn section(seen: &Seen, destination: &str, candidate: &str, id: &str) -> Markup {
    let gauge = |metric: &Metric| value(&seen.last, metric, destination, candidate);
    let thought = verdict_on(&seen.last, destination, candidate);
    let clock = Clock::new(seen.span.0);
    let when = When::of_samples(&seen.last, destination, candidate);
    // A verdict that fell long before the first look is no place on its axis.
    let shown = when.as_ref().filter(|when| when.onset >= seen.span.0);
    let markers = rollout::markers(shown, candidate, &clock);
    let versions = versions(seen, destination, candidate);
    let facts = [
        (
            "evidence".to_owned(),
            of_enough(
                gauge(&telemetry::ROLLOUT_EVIDENCE) / 1e3,
                gauge(&telemetry::ROLLOUT_THRESHOLD) / 1e3,
            ),
        ),
        (
            format!("judged requests of {candidate}"),
            grouped(gauge(&telemetry::JUDGED_EXCHANGES) as u64),
        ),
    ];
    html! {
        section id=(id) {
            h2 { (destination) ": " (candidate) }
            p { (rollout::verdict(thought)) }
            @if let Some(when) = &when { (rollout::headline(when, candidate, when.rates(candidate).as_deref())) }
            dl.facts {
                @for (name, value) in &facts { div { dt { (name) } dd { (value) } } }
            }
            @for (metric, sentence) in &NOTES {
                @if gauge(metric) > 0.0 { p.warning { (sentence) } }
            }
            div.plots {
                @if let Some(track) = seen.timeline.track(destination) {
                    @for shown in rollout::evidence_plots(track, &clock, &markers) { (plot::figure(&shown)) }
                }
                (plot::figure(&rates(seen, destination, &versions, (&clock, &markers))))
            }
            (categories(seen, destination, &versions))
            (findings(&seen.last, destination, thought))
        }
    }
}

/// The versions of a destination, the candidate last.
fn versions<'a>(seen: &'a Seen, destination: &str, candidate: &'a str) -> Vec<&'a str> {
    let mut versions: Vec<&str> = seen
        .counters
        .keys()
        .filter(|(known, version, category)| {
            known == destination && category.is_empty() && version != candidate
        })
        .map(|(_, version, _)| version.as_str())
        .collect();
    versions.push(candidate);
    versions
}

fn points<'a>(seen: &'a Seen, destination: &str, version: &str, category: &str) -> &'a [[f64; 2]] {
    let key = (
        destination.to_owned(),
        version.to_owned(),
        category.to_owned(),
    );
    seen.counters.get(&key).map_or(&[], Vec::as_slice)
}

/// What a counter grew by while it was looked at, over restarts of the proxy.
fn growth(points: &[[f64; 2]]) -> f64 {
    steps(points).map(|(_, grown)| grown).sum()
}

/// Pairs of the step's two times, and what the counter grew by; one that fell began anew.
fn steps(points: &[[f64; 2]]) -> impl Iterator<Item = ((f64, f64), f64)> + '_ {
    points
        .iter()
        .zip(points.iter().skip(1))
        .map(|(before, after)| {
            let grown = if after[1] >= before[1] {
                after[1] - before[1]
            } else {
                after[1]
            };
            ((before[0], after[0]), grown)
        })
}

fn rates(
    seen: &Seen,
    destination: &str,
    versions: &[&str],
    (clock, markers): (&Clock, &[Marker]),
) -> Plot {
    let line = |version: &&str| {
        let mut points_of_line = Vec::new();
        let (mut begin, mut sum) = (None, 0.0);
        for ((from, to), grown) in steps(points(seen, destination, version, "")) {
            let start = *begin.get_or_insert(from);
            sum += grown;
            if to - start >= SMOOTHED {
                points_of_line.push([clock.position((start + to) / 2.0), sum / (to - start)]);
                (begin, sum) = (None, 0.0);
            }
        }
        Series {
            name: (*version).to_owned(),
            points: points_of_line,
        }
    };
    Plot {
        title: "Requests".to_owned(),
        x_label: clock.label.clone(),
        y_label: "requests a second".to_owned(),
        time_zero: Some(clock.zero()),
        markers: markers.to_vec(),
        series: versions.iter().map(line).collect(),
        ..Plot::default()
    }
}

fn categories(seen: &Seen, destination: &str, versions: &[&str]) -> Markup {
    let mut names: Vec<&str> = seen
        .counters
        .keys()
        .filter(|(known, _, category)| known == destination && !category.is_empty())
        .map(|(_, _, category)| category.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let count =
        |version: &str, category: &str| growth(points(seen, destination, version, category));
    let share = |version: &str, category: &str| {
        let all = count(version, "");
        (all > 0.0).then(|| count(version, category) / all)
    };
    // The candidate is the last version.
    let of_candidate = |name: &str| versions.last().and_then(|version| share(version, name));
    names.sort_by(|one, other| {
        let [one, other] = [*one, *other].map(|name| of_candidate(name).unwrap_or_default());
        other.total_cmp(&one)
    });
    let cell = |version: &str, category: &str| {
        html! {
            td.number data-name=(version) {
                @if let Some(share) = share(version, category) { (percent(share)) br; }
                small { (grouped(count(version, category) as u64)) }
            }
        }
    };
    let all = |version: &str| html! { td.number data-name=(version) { (grouped(count(version, "") as u64)) } };
    html! {
        h3 { "Categories" }
        @if names.is_empty() {
            p { "No request met any category." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Categories" {
                table.cards {
                    thead { tr {
                        th scope="col" { "category" }
                        @for version in versions { th scope="col" class="number" { (version) } }
                    } }
                    tbody {
                        tr {
                            th scope="row" { "all requests" }
                            @for version in versions { (all(version)) }
                        }
                        @for name in names {
                            tr {
                                th scope="row" { (name) }
                                @for version in versions { (cell(version, name)) }
                            }
                        }
                    }
                }
            }
            p.note { "Since the first look, of the requests that Serin looked at. This continues while a verdict stands; evidence does not." }
        }
    }
}

/// What limits the comparison.
fn findings(samples: &[Sample], destination: &str, thought: Verdict) -> Markup {
    let of = |metric: &'static Metric| {
        samples.iter().filter(move |sample| {
            sample.metric == metric.name
                && sample.label(label::DESTINATION) == destination
                && sample.value > 0.0
        })
    };
    let limits: Vec<(String, f64)> = of(&telemetry::PLACEBO)
        .map(|sample| {
            (
                format!("placebo, {}", sample.label(label::CATEGORY)),
                sample.value,
            )
        })
        .chain(of(&telemetry::BALANCE).map(|sample| {
            (
                format!("balance, {}", sample.label(label::SIGNAL)),
                sample.value,
            )
        }))
        .collect();
    // Nothing more is needed to condemn what is condemned.
    let wanted = |_: &&Sample| thought < Verdict::Anomalous;
    let mut needed: Vec<&Sample> = of(&telemetry::REQUESTS_NEEDED).filter(wanted).collect();
    let size = |sample: &Sample| sample.label(label::ODDS_RATIO).parse().unwrap_or(f64::MAX);
    needed.sort_by(|one, other| size(one).total_cmp(&size(other)));
    html! {
        @if !limits.is_empty() {
            h3 { "Is the comparison fair?" }
            ul {
                @for (name, evidence) in &limits {
                    li { (name) ": by chance at most " (one_in(evidence / 1e3)) }
                }
            }
        }
        @if !needed.is_empty() {
            h3 { "How much more is needed" }
            ul {
                @for sample in &needed {
                    li {
                        (grouped(sample.value as u64)) " requests of " (sample.label(label::VERSION))
                        " for an odds ratio of " (sample.label(label::ODDS_RATIO))
                    }
                }
            }
        }
    }
}

fn looks(seen: &Seen, url: &str, empty: bool) -> Markup {
    html! {
        section id="input" {
            h2 { "What Serin looked at" }
            p {
                (grouped(seen.looks)) " looks at " code { (url) } " in "
                (seconds(seen.span.1 - seen.span.0)) ", from " (date(seen.span.0)) " on."
            }
            @if seen.failures > 0 {
                p.warning { (grouped(seen.failures)) " more looks failed. The last one: " (seen.failure) }
            }
            @if empty { p { "There is no candidate in this proxy yet." } }
        }
    }
}
