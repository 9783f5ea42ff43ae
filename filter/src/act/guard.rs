//! The guard: refuses on the candidate's own listener what the evidence condemns.

use scorer_sdk::Exchange;
use scorer_sdk::config::{Plan, RejectPhase};
use scorer_sdk::route::RouteKey;
use scorer_sdk::signal::{Asked, NameHasher, Quantity, Token};
use scorer_sdk::sketch::NameTable;
use scorer_sdk::wire::reference::Reference;

/// Credit that may be saved up: how many refusals may come in a row when there were none before.
const MOST_CREDIT: f64 = 10.0;

/// What a refusal for surprise is called in place of a category.
const STRANGE: &str = "surprise";

/// What of a request decides whether it may be refused.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Which attempt this is, from the caller's proxy; `None` when it does not say.
    pub number: Option<u64>,
}

impl Attempt<'_> {
    /// Whether the method is safe (RFC 9110, 9.2.1): asking again does no harm.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }
}

/// A route and category that may be refused.
#[derive(Debug)]
struct Condemned {
    method: String,
    path: String,
    category: String,
    /// The question with the reference's cut, for the response phase; `None` where it cannot be
    /// answered from response headers.
    question: Option<(usize, Asked, NameTable)>,
}

/// What one worker of a guard knows.
#[derive(Debug, Default)]
pub struct Guard {
    condemned: Vec<Condemned>,
    credit: f64,
}

impl Guard {
    /// Takes over what the leader condemns.
    pub fn update(&mut self, plan: &Plan, condemned: &[(RouteKey, String)]) {
        self.condemned = condemned
            .iter()
            .map(|(route, category)| Condemned {
                method: route.method.clone(),
                path: route.path.clone(),
                category: category.clone(),
                question: plan
                    .reject
                    .reference
                    .as_ref()
                    .and_then(|reference| question(plan, reference, route, category)),
            })
            .collect();
    }

    /// Whether anything may be refused at all.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        !self.condemned.is_empty()
    }

    /// A request has come: the share that may be refused grows.
    pub fn note_request(&mut self, plan: &Plan) {
        self.credit = (self.credit + plan.reject.share).min(MOST_CREDIT);
    }

    /// Whether the caller's proxy will ask again when this attempt is refused. Without its word
    /// the request passes.
    fn may_refuse(&self, plan: &Plan, attempt: &Attempt<'_>) -> bool {
        let retried = attempt
            .number
            .is_some_and(|number| number <= plan.reject.attempts);
        retried && self.credit >= 1.0
    }

    /// Why this request is refused, if it is, before the application sees it.
    pub fn refuse_request(
        &mut self,
        plan: &Plan,
        attempt: &Attempt<'_>,
        route: &RouteKey,
    ) -> Option<String> {
        if plan.reject.phase != RejectPhase::Request || !self.may_refuse(plan, attempt) {
            return None;
        }
        let found = self.on_route(route).next()?;
        let reason = reason(route, &found.category);
        self.credit -= 1.0;
        Some(reason)
    }

    /// Why this response is refused, if it is: it is itself in a condemned category.
    pub fn refuse_response(
        &mut self,
        plan: &Plan,
        attempt: &Attempt<'_>,
        route: &RouteKey,
        exchange: &Exchange<'_>,
        hasher: &NameHasher,
    ) -> Option<String> {
        let in_time = plan.reject.phase == RejectPhase::Response && attempt.is_safe();
        if !in_time || !self.may_refuse(plan, attempt) {
            return None;
        }
        let found = self.on_route(route).find(|condemned| {
            condemned
                .question
                .as_ref()
                .is_some_and(|(index, asked, names)| {
                    is_bad(plan, *index, asked, names, exchange, hasher)
                })
        })?;
        let reason = reason(route, &found.category);
        self.credit -= 1.0;
        Some(reason)
    }

    /// Why this response is refused that is too strange: under the same limits as every other.
    pub fn refuse_strange(
        &mut self,
        plan: &Plan,
        attempt: &Attempt<'_>,
        route: &RouteKey,
    ) -> Option<String> {
        if !attempt.is_safe() || !self.may_refuse(plan, attempt) {
            return None;
        }
        self.credit -= 1.0;
        Some(reason(route, STRANGE))
    }

    fn on_route<'a>(&'a self, route: &'a RouteKey) -> impl Iterator<Item = &'a Condemned> {
        self.condemned
            .iter()
            .filter(|condemned| condemned.method == route.method && condemned.path == route.path)
    }
}

/// The value of `x-serin-reject`: `<route>;<category>`, in characters that a header may hold.
fn reason(route: &RouteKey, category: &str) -> String {
    let mut text: String = route
        .label()
        .chars()
        .map(|character| {
            if character.is_ascii_graphic() || character == ' ' {
                character
            } else {
                '_'
            }
        })
        .map(|character| if character == ';' { ',' } else { character })
        .collect();
    text.push(';');
    text.push_str(category);
    text
}

fn question(
    plan: &Plan,
    reference: &Reference,
    route: &RouteKey,
    category: &str,
) -> Option<(usize, Asked, NameTable)> {
    let (index, question) = plan
        .questions
        .iter()
        .find(|(_, question)| question.name == category)?;
    let signal = plan.signals.get(*index)?;
    // How long it took is not known at the headers, and asking again would make it longer.
    if signal.quantity() == Some(Quantity::Duration) {
        return None;
    }
    let found = reference.route(&route.method, &route.path)?;
    let mut names = NameTable::default();
    let past = found.past(signal.as_ref(), &mut names);
    let asked = Asked::freeze(question, signal.as_ref(), &past, &names)?;
    Some((*index, asked, names))
}

fn is_bad(
    plan: &Plan,
    index: usize,
    asked: &Asked,
    names: &NameTable,
    exchange: &Exchange<'_>,
    hasher: &NameHasher,
) -> bool {
    let Some(signal) = plan.signals.get(index) else {
        return false;
    };
    match signal.read(exchange, hasher) {
        None => false,
        Some(Token::Number(code)) => asked.is_bad(code),
        Some(Token::Name(_)) => {
            let mut text = String::new();
            signal.describe(exchange, &mut text);
            asked.is_bad_name(&text, names)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer_sdk::Ending;

    const CONFIG: &str = r#"{"mode": "reject", "reject": {"share": 0.5, "phase": "PHASE",
        "reference": {"serin_snapshot": 1, "destination": "shop", "version": "v1",
        "exchanges": 1000, "routes": [{"method": "GET", "path": "/a", "exchanges": 1000,
        "signals": {"outcome": [[200, 1000]], "content_type": [["application/json", 1000]],
        "header_names": [["etag,vary", 1000]]}}]}}}"#;

    fn plan(phase: &str) -> Plan {
        Plan::from_json(&CONFIG.replace("PHASE", phase)).unwrap()
    }

    fn route() -> RouteKey {
        RouteKey {
            destination: "shop".into(),
            route_name: String::new(),
            method: "GET".into(),
            path: "/a".into(),
        }
    }

    fn request(method: &str, number: Option<u64>) -> Attempt<'_> {
        Attempt { method, number }
    }

    fn armed(plan: &Plan, category: &str) -> Guard {
        let mut guard = Guard::default();
        guard.update(plan, &[(route(), category.to_owned())]);
        guard
    }

    #[test]
    fn never_more_than_the_configured_share_is_refused() {
        let plan = plan("request");
        let mut guard = armed(&plan, "error");
        let refused = (0..1_000)
            .filter(|_| {
                guard.note_request(&plan);
                guard
                    .refuse_request(&plan, &request("POST", Some(1)), &route())
                    .is_some()
            })
            .count();
        assert!((450..=500).contains(&refused), "{refused}");
    }

    #[test]
    fn only_an_attempt_that_will_be_made_again_is_refused() {
        let plan = plan("request");
        for (attempt, refused) in [(Some(1), true), (Some(2), false), (None, false)] {
            let mut guard = armed(&plan, "error");
            (0..4).for_each(|_| guard.note_request(&plan));
            let reason = guard.refuse_request(&plan, &request("GET", attempt), &route());
            assert_eq!(reason.is_some(), refused, "{attempt:?}");
        }
    }

    #[test]
    fn what_is_strange_is_refused_under_the_limits_of_every_refusal() {
        let plan = plan("request");
        let refused = |method: &str, attempt, requests| {
            let mut guard = Guard::default();
            (0..requests).for_each(|_| guard.note_request(&plan));
            guard.refuse_strange(&plan, &request(method, attempt), &route())
        };
        assert_eq!(refused("GET", Some(1), 2).unwrap(), "GET /a;surprise");
        assert!(refused("HEAD", Some(1), 2).is_some());
        assert_eq!(refused("POST", Some(1), 2), None);
        assert_eq!(refused("GET", Some(2), 2), None);
        assert_eq!(refused("GET", None, 2), None);
        assert_eq!(refused("GET", Some(1), 1), None, "half a credit");
    }

    #[test]
    fn in_the_response_phase_only_bad_answers_to_safe_methods_are_refused() {
        let plan = plan("response");
        let hasher = NameHasher::new(1);
        let headers = vec!["vary"];
        let exchange = Exchange {
            destination: "shop",
            route_name: "",
            method: "GET",
            path: "/a",
            version: "v2",
            status: Some(200),
            grpc_status: None,
            ending: Ending::Complete,
            duration_us: None,
            response_bytes: None,
            content_type: "application/json",
            header_names: Some(&headers),
            ..Exchange::default()
        };
        let refuse = |category: &str, method: &str, exchange: &Exchange<'_>| {
            let mut guard = armed(&plan, category);
            (0..4).for_each(|_| guard.note_request(&plan));
            guard.refuse_response(
                &plan,
                &request(method, Some(1)),
                &route(),
                exchange,
                &hasher,
            )
        };
        assert_eq!(
            refuse("lost_header", "GET", &exchange).unwrap(),
            "GET /a;lost_header"
        );
        assert_eq!(refuse("lost_header", "POST", &exchange), None);
        assert_eq!(refuse("error", "GET", &exchange), None);
        assert!(
            refuse(
                "error",
                "GET",
                &Exchange {
                    status: Some(500),
                    ..exchange
                }
            )
            .is_some()
        );
        assert!(
            refuse(
                "unusual_content_type",
                "GET",
                &Exchange {
                    content_type: "text/html",
                    ..exchange
                }
            )
            .is_some()
        );
    }
}
