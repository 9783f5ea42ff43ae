//! What tells the halves of a baseline apart, for the placebo: the upstream host and the session.
//!
//! Both cost a property of the proxy, so they are read only where the halves, or a signal that
//! follows sessions, need them.

use crate::host::{Header, Host};
use scorer_sdk::config::{Plan, SessionSource};
use scorer_sdk::split::identity;
use scorer_sdk::tally::{Needs, Tally};

/// Where halves are sessions, one exchange in so many is asked for its host: often enough to see
/// that a second host has come.
const HOST_IS_ASKED_EACH: u32 = 16;

/// Where an exchange was answered, and for whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Address of the upstream host as the proxy writes it; empty when it was not asked for.
    pub host: String,
    /// Stands for the session.
    pub session: Option<u64>,
}

/// Reads origins.
#[derive(Debug, Default)]
pub struct Origins {
    /// Whether a signal follows sessions, so that every exchange's is wanted.
    followed: bool,
    by_session: u32,
}

impl Origins {
    /// A reader under a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            followed: plan.signal("next_call").is_some(),
            by_session: 0,
        }
    }

    /// The origin of the current stream's exchange with this version. `session` is what the
    /// request's headers said, by [`session`].
    pub fn current(
        &mut self,
        host: &impl Host,
        plan: &Plan,
        tally: &Tally,
        (destination, version): (&str, &str),
        session: Option<u64>,
    ) -> Origin {
        let needs = tally.needs(destination, version);
        let session = match plan.session {
            SessionSource::Connection if self.followed || needs == Needs::HostAndSession => {
                host.number(&["connection", "id"])
            }
            _ => session,
        };
        let asked = match needs {
            Needs::Nothing => false,
            Needs::Host => true,
            Needs::HostAndSession => {
                self.by_session = self.by_session.wrapping_add(1);
                self.by_session.is_multiple_of(HOST_IS_ASKED_EACH)
            }
        };
        let address = if asked {
            host.property(&["upstream", "address"]).unwrap_or_default()
        } else {
            Vec::new()
        };
        Origin {
            host: String::from_utf8(address).unwrap_or_default(),
            session,
        }
    }
}

/// The session that a request header tells of, if it is the one that the plan asks for.
#[must_use]
pub fn session(plan: &Plan, (name, value): &Header) -> Option<u64> {
    match &plan.session {
        SessionSource::Connection => None,
        SessionSource::Header(header) => (header == name).then(|| identity(value)),
        SessionSource::Cookie(cookie) if name == "cookie" => value
            .split(|byte| *byte == b';')
            .find_map(|pair| {
                let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
                (name.trim_ascii() == cookie.as_bytes()).then_some(value)
            })
            .map(identity),
        SessionSource::Cookie(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(config: &str, name: &str, value: &str) -> Option<u64> {
        let plan = Plan::from_json(config).unwrap();
        session(&plan, &(name.to_owned(), value.as_bytes().to_vec()))
    }

    #[test]
    fn a_session_is_a_connection_a_cookies_value_or_a_headers() {
        let cookie = r#"{"session": {"from": "cookie", "name": "sid"}}"#;
        let one = told(cookie, "cookie", "theme=dark; sid=abc; x=y");
        assert!(one.is_some());
        assert_eq!(one, told(cookie, "cookie", "sid=abc"));
        assert_ne!(one, told(cookie, "cookie", "sid=abd"));
        assert_eq!(told(cookie, "cookie", "asid=abc; sid"), None);
        let header = r#"{"session": {"from": "header", "name": "X-User"}}"#;
        assert!(told(header, "x-user", "7").is_some());
        assert_ne!(told(header, "x-user", "7"), told(header, "x-user", "8"));
        assert_eq!(told(header, "cookie", "sid=abc"), None);
        assert_eq!(told("{}", "cookie", "sid=abc"), None);
    }
}
