//! What is said of a regression: a sentence for each category, and that its numbers are true.

use fastrand::Rng;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::Judge;
use scorer_sdk::shape::Shape;
use scorer_sdk::signal::{fan_out, next_call};
use scorer_sdk::{Decision, Ending, Exchange, Plan, Reason, Sampling, Verdict};
use std::sync::Arc;
use std::time::Duration;

const CONFIG: &str = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s", "body": {},
    "session": {"from": "cookie", "name": "sid"}, "signals": {"fan_out": true}}"#;

/// One request with its answer.
#[derive(Clone)]
struct Answer {
    method: &'static str,
    path: &'static str,
    status: Option<u16>,
    ending: Ending,
    duration_us: u64,
    bytes: u64,
    content_type: &'static str,
    headers: Vec<&'static str>,
    calls: Vec<(&'static str, u64)>,
    body: String,
    session: Option<u64>,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            method: "GET",
            path: "/items",
            status: Some(200),
            ending: Ending::Complete,
            duration_us: 10_000,
            bytes: 1_000,
            content_type: "application/json",
            headers: vec!["content-type", "etag"],
            calls: vec![("auth GET /check", 1), ("stock GET /items", 1)],
            body: r#"{"id":1,"price":1.5}"#.to_owned(),
            session: None,
        }
    }
}

struct World<F> {
    plan: Arc<Plan>,
    tally: Tally,
    judge: Judge,
    random: Rng,
    now: Duration,
    share: f64,
    answer: F,
    sampling: Sampling,
}

impl<F: FnMut(&mut Rng, bool) -> Answer> World<F> {
    fn new(config: &str, answer: F) -> Self {
        let plan = Arc::new(Plan::from_json(config).unwrap());
        Self {
            tally: Tally::new(Arc::clone(&plan), 1),
            judge: Judge::new(Arc::clone(&plan)),
            plan,
            random: Rng::with_seed(1),
            now: Duration::from_secs(1_700_000_000),
            share: 0.0,
            answer,
            sampling: Sampling::ALL,
        }
    }

    /// Runs that many ticks of 100 requests.
    fn run(&mut self, ticks: usize) -> Decision {
        for _ in 0..ticks {
            for _ in 0..100 {
                self.observe();
            }
            self.now += Duration::from_secs(1);
            self.judge.tick(&[self.tally.take()], self.now);
        }
        self.judge.decisions().remove(0)
    }

    fn observe(&mut self) {
        let candidate = self.random.f64() < self.share;
        let answer = (self.answer)(&mut self.random, candidate);
        let one_in = |number: u16, random: &mut Rng| random.u16(..number) == 0;
        let is_looked_at = one_in(self.sampling.looks_one_in, &mut self.random);
        let has_failed =
            answer.ending == Ending::Reset || answer.status.is_none_or(|status| status >= 400);
        if !is_looked_at && !has_failed {
            self.tally.record_unlooked();
            return;
        }
        let mut calls: Vec<(String, u64)> = answer
            .calls
            .iter()
            .map(|(call, count)| ((*call).to_owned(), *count))
            .collect();
        let calls = fan_out::describe(&mut calls);
        let facts = self.plan.body.as_ref().map(|body| {
            let mut shape = Shape::new(Arc::clone(&body.limits));
            shape.feed(answer.body.as_bytes());
            shape.finish()
        });
        self.tally.record(&Exchange {
            destination: "shop",
            method: answer.method,
            path: answer.path,
            version: if candidate { "v2" } else { "v1" },
            status: answer.status,
            ending: answer.ending,
            duration_us: Some(answer.duration_us),
            response_bytes: Some(answer.bytes),
            content_type: answer.content_type,
            header_names: Some(&answer.headers),
            fan_out: Some(&calls),
            body: facts.as_ref(),
            session: answer.session,
            sampling: self.sampling,
            is_case: !is_looked_at,
            ..Exchange::default()
        });
    }

    fn rollout(&mut self) -> Decision {
        self.run(40);
        self.share = 0.3;
        self.run(40)
    }

    /// Per category, what was counted of the candidate.
    fn counted(&mut self, category: &str) -> u64 {
        let mut sum = 0;
        self.judge.drain_counts(&mut |_, name, version, count| {
            sum += if name == category && version == "v2" {
                count
            } else {
                0
            };
        });
        sum
    }
}

/// The decision on a candidate of which every second answer is changed.
fn found(change: impl Fn(&mut Answer)) -> Decision {
    World::new(CONFIG, |random: &mut Rng, candidate| {
        let mut answer = Answer::default();
        if candidate && random.bool() {
            change(&mut answer);
        }
        answer
    })
    .rollout()
}

fn reason<'a>(decision: &'a Decision, category: &str) -> &'a Reason {
    let mut reasons = decision.reasons.iter();
    let reason = reasons.find(|reason| reason.category == category && !reason.is_pooled());
    reason.unwrap_or_else(|| panic!("{category} is not named: {}", said(decision)))
}

/// All reasons, one a line.
fn said(decision: &Decision) -> String {
    let mut text = String::new();
    for reason in &decision.reasons {
        text.push_str(&format!(
            "{}: {}\n",
            reason.category,
            reason.sentence("v2", "v1")
        ));
    }
    text
}

fn categories(decision: &Decision) -> Vec<&'static str> {
    let of_routes = decision.reasons.iter().filter(|reason| !reason.is_pooled());
    of_routes.map(|reason| reason.category).collect()
}

/// What a candidate does worse.
type Change = fn(&mut Answer);

const REGRESSIONS: [(&str, Change); 20] = [
    ("error", |answer| answer.status = Some(503)),
    ("error", |answer| answer.status = None),
    ("error", |answer| {
        (answer.status, answer.ending) = (None, Ending::Reset);
    }),
    ("error", |answer| answer.ending = Ending::Reset),
    ("refused", |answer| answer.status = Some(403)),
    ("unusual_status", |answer| answer.status = Some(302)),
    ("unusual_status", |answer| {
        (answer.status, answer.ending) = (None, Ending::ClientGone);
    }),
    ("slow_p50", |answer| answer.duration_us *= 3),
    ("size", |answer| answer.bytes /= 10),
    ("size", |answer| answer.bytes *= 10),
    ("unusual_content_type", |answer| {
        answer.content_type = "text/html; charset=utf-8"
    }),
    ("unusual_content_type", |answer| answer.content_type = ""),
    ("lost_header", |answer| {
        answer.headers = vec!["content-type"]
    }),
    ("lost_header", |answer| answer.headers = vec![]),
    ("lost_call", |answer| {
        answer.calls = vec![("auth GET /check", 1), ("stock GET /items", 20)]
    }),
    ("lost_call", |answer| {
        answer.calls = vec![("stock GET /items", 1)]
    }),
    ("unusual_fan_out", |answer| {
        answer.calls.push(("mail POST /send", 3))
    }),
    ("lost_path", |answer| answer.body = r#"{"id":1}"#.to_owned()),
    ("changed_type", |answer| {
        answer.body = r#"{"id":1,"price":"1.5"}"#.to_owned()
    }),
    ("null_path", |answer| {
        answer.body = r#"{"id":1,"price":null}"#.to_owned()
    }),
];

/// What a session asks for next is charged to what served its last call: here to v2, whose clients go
/// to the login instead of the cart.
fn strayed() -> Decision {
    let mut number = 0_u64;
    let mut after: Option<bool> = None;
    World::new(CONFIG, move |_: &mut Rng, candidate| {
        // A session is two calls in a row; the second is what follows the first.
        let session = Some(number / 2);
        number += 1;
        match after.take() {
            None => {
                after = Some(candidate);
                Answer {
                    session,
                    ..Answer::default()
                }
            }
            Some(of_candidate) => Answer {
                path: if of_candidate { "/login" } else { "/cart" },
                session,
                ..Answer::default()
            },
        }
    })
    .rollout()
}

#[test]
fn every_reason_is_a_sentence_that_a_person_would_say() {
    let mut text = String::new();
    let mut say = |decision: &Decision, category| {
        let sentence = reason(decision, category).sentence("v2", "v1");
        text.push_str(&format!("{category}: {sentence}\n"));
    };
    for (category, change) in REGRESSIONS {
        say(&found(change), category);
    }
    let strayed = strayed();
    say(&strayed, "strayed");
    say(&strayed, "unusual_next_call");
    let expected = include_str!("reasons.txt");
    for (said, expected) in text.lines().zip(expected.lines()) {
        assert_eq!(said, expected, "all of it:\n{text}");
    }
    assert_eq!(text, expected, "all of it:\n{text}");
    let plan = Plan::from_json(CONFIG).unwrap();
    for (_, question) in &plan.questions {
        let is_said = text.contains(&format!("{}: ", question.name));
        // The quantiles of one distribution are one reason.
        assert!(
            is_said || question.name.starts_with("slow_"),
            "{}",
            question.name
        );
    }
}

#[test]
fn all_lost_headers_are_counted_and_the_always_sent_come_first() {
    const ALWAYS: [&str; 7] = ["a", "b", "c", "d", "e", "link", "x-total-count"];
    let decision = World::new(CONFIG, |random: &mut Rng, candidate| Answer {
        headers: ALWAYS
            .into_iter()
            // Of those in front in the alphabet the candidate loses a few, of the others all.
            .filter(|name| !candidate || name.len() == 1 && random.f64() > 0.2)
            .collect(),
        ..Answer::default()
    })
    .rollout();
    let phrase = &reason(&decision, "lost_header").phrase;
    assert!(
        phrase.starts_with("lack headers: link, x-total-count, ")
            && phrase.ends_with(" and 3 more"),
        "{phrase}"
    );
}

#[test]
fn paths_that_are_lost_together_are_one_reason_and_one_exchange() {
    let fields: String = (0..17).map(|number| format!(r#","f{number}":1"#)).collect();
    let mut world = World::new(CONFIG, |_: &mut Rng, candidate| Answer {
        body: format!(r#"{{"id":1{}}}"#, if candidate { "" } else { &fields }),
        ..Answer::default()
    });
    world.run(40);
    world.share = 0.3;
    let decision = world.run(40);
    let lost = reason(&decision, "lost_path");
    assert!(
        lost.likewise.ends_with(" and 12 more"),
        "{}",
        said(&decision)
    );
    assert_eq!(categories(&decision), ["lost_path"], "{}", said(&decision));
    let counted = world.counted("lost_path");
    assert!(
        (1..=decision.candidate_exchanges).contains(&counted),
        "{counted} of {} exchanges",
        decision.candidate_exchanges
    );
}

#[test]
fn one_cause_is_one_reason() {
    for (change, category) in [
        ((|answer| answer.status = Some(503)) as Change, "error"),
        (|answer| answer.status = Some(403), "refused"),
        (
            |answer| {
                // A redirect has no type, another size and other headers.
                *answer = Answer {
                    status: Some(302),
                    bytes: 0,
                    content_type: "",
                    headers: vec!["location"],
                    ..Answer::default()
                };
            },
            "unusual_status",
        ),
        (|answer| answer.duration_us *= 4, "slow_p50"),
    ] {
        let found = categories(&found(change));
        assert_eq!(found.first(), Some(&category), "{found:?}");
        let of_signal = |name: &&&str| name.starts_with("slow_") || **name == "unusual_status";
        assert!(found.iter().filter(of_signal).count() <= 1, "{found:?}");
    }
}

#[test]
fn answers_without_content_are_not_asked_about_it() {
    for (status, method) in [(304, "GET"), (204, "GET"), (200, "HEAD")] {
        let rollout = |is_asked: bool| {
            World::new(CONFIG, move |random: &mut Rng, candidate| {
                // Both versions do so, the candidate ten times as often.
                let rate = if candidate { 0.04 } else { 0.004 };
                let is_empty = random.f64() < rate;
                let mut answer = Answer {
                    method,
                    ..Answer::default()
                };
                if is_empty {
                    answer.status = Some(if is_asked { 200 } else { status });
                    answer.content_type = "";
                    answer.bytes = 0;
                    answer.body.clear();
                }
                if is_asked {
                    answer.method = "GET";
                }
                answer
            })
            .run_long()
        };
        let decision = rollout(false);
        let of_content = ["size", "unusual_content_type", "lost_path"];
        let asked = categories(&decision);
        assert!(
            !asked.iter().any(|name| of_content.contains(name)),
            "{asked:?}"
        );
        assert_eq!(
            rollout(true).verdict,
            Verdict::Anomalous,
            "this tests nothing"
        );
    }
}

impl<F: FnMut(&mut Rng, bool) -> Answer> World<F> {
    fn run_long(&mut self) -> Decision {
        self.run(60);
        self.share = 0.3;
        self.run(90)
    }
}

/// A candidate that is slow, or loses a header, until long after its verdict everything is different.
fn before_and_after(is_slow: bool) -> [Decision; 2] {
    let mut number = 0;
    let mut world = World::new(CONFIG, move |_: &mut Rng, candidate| {
        number += 1;
        let (is_late, every_third) = (number > 10_000, number % 3 == 0);
        let factor = if candidate && is_slow { 3 } else { 1 };
        Answer {
            duration_us: factor * if is_late { 100_000 } else { 10_000 },
            headers: match candidate && !is_slow {
                true if is_late => vec![],
                true if every_third => vec!["content-type"],
                _ => vec!["content-type", "etag"],
            },
            ..Answer::default()
        }
    });
    let at_verdict = world.rollout();
    [at_verdict, world.run(300)]
}

#[test]
fn counts_names_and_cuts_of_a_reason_stay_those_of_the_verdict() {
    for (is_slow, words) in [
        (true, "are slower than 15.4 ms"),
        (false, "lack the header etag,"),
    ] {
        let [at_verdict, later] = before_and_after(is_slow).map(|decision| {
            assert_eq!(decision.verdict, Verdict::Anomalous);
            said(&decision)
        });
        assert!(at_verdict.contains(words), "{at_verdict}");
        assert_eq!(later, at_verdict);
    }
}

#[test]
fn an_exchange_that_is_followed_by_a_call_is_one_judged_exchange() {
    let decision = strayed();
    assert!(decision.judged_exchanges > 500, "{decision:?}");
    assert!(
        decision.judged_exchanges <= decision.candidate_exchanges,
        "{} judged of {}",
        decision.judged_exchanges,
        decision.candidate_exchanges
    );
    assert!(
        strayed()
            .reasons
            .iter()
            .all(|reason| !reason.phrase.contains(next_call::NO_CALL)),
        "{}",
        said(&decision)
    );
}

#[test]
fn a_share_under_a_budget_is_that_of_all_exchanges_or_is_not_told() {
    let mut world = World::new(CONFIG, |random: &mut Rng, candidate| Answer {
        status: Some(if random.f64() < if candidate { 0.3 } else { 0.01 } {
            503
        } else {
            200
        }),
        ..Answer::default()
    });
    world.sampling = Sampling {
        looks_one_in: 24,
        cases_one_in: 1,
    };
    world.run(60);
    world.share = 0.05;
    let mut told = 0;
    for _ in 0..400 {
        let decision = world.run(1);
        for reason in &decision.reasons {
            let sentence = reason.sentence("v2", "v1");
            assert!(!sentence.contains(" of 1"), "{sentence}");
            match reason.candidate.share() {
                Some(share) => assert!((0.15..0.5).contains(&share), "{sentence}"),
                None => assert!(sentence.contains(" of v2's requests fail"), "{sentence}"),
            }
            told += 1;
        }
    }
    assert!(told > 10, "{told}: this tests nothing");
}
