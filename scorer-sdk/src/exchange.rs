//! Exchanges: one request and its response as borrowed facts, without a host type, a clock or an allocation.

use crate::shape::{LeftOut, ShapeFacts};

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ending {
    /// The response was delivered.
    #[default]
    Complete,
    /// The upstream closed, reset or could not be reached before the response was complete.
    Reset,
    /// The client went away first: says nothing about the server by itself.
    ClientGone,
    /// Still in flight: only the time that it has taken so far is known.
    InFlight,
}

/// How exchanges are sampled where a worker does not look at all of them in full.
///
/// Chance decides at the request, independently of everything else, whether an exchange is *looked
/// at* or only *glanced at*. A glanced exchange that ends well is counted and forgotten
/// ([`Tally::record_unlooked`](crate::count::tally::Tally::record_unlooked)). One that fails is a
/// *case* ([`Exchange::is_case`]), unless chance leaves it out as well. Case-control sampling: both
/// chances must be the same for all versions, so that odds ratios stay what they are.
/// ```
/// use scorer_sdk::Sampling;
///
/// // One in 7 is looked at, and of the others every second one that fails: 1/7 + 6/7 · 1/2 is four
/// // times 1/7.
/// let sampling = Sampling { looks_one_in: 7, cases_one_in: 2 };
/// assert_eq!(sampling.odds(), 4 * 16);
/// assert_eq!(Sampling::ALL.odds(), 16);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// One exchange in this many is looked at in full; 0 stands for 1.
    pub looks_one_in: u16,
    /// Of those that are only glanced at and fail, one in this many is a case; 0 stands for 1.
    pub cases_one_in: u16,
}

impl Sampling {
    /// Every exchange is looked at.
    pub const ALL: Self = Self {
        looks_one_in: 1,
        cases_one_in: 1,
    };

    /// How a worker should sample the coming tick, after one in which `came` exchanges came and
    /// `failed` of those that it only glanced at failed: so that about `budget` of each are looked at,
    /// and no fewer than half of it. A `budget` of 0 is none, and everything is looked at.
    ///
    /// The parts are 1 in 1, 2, 3, 4, 6, 8, 12 and so on: exchanges that were sampled alike are judged
    /// together, and so workers with about the same load sample alike.
    #[must_use]
    pub fn for_load(came: u64, failed: u64, budget: u64) -> Self {
        if budget == 0 {
            return Self::ALL;
        }
        Self {
            looks_one_in: one_in(came.div_ceil(budget)),
            cases_one_in: one_in(failed.div_ceil(budget)),
        }
    }

    /// How many times as likely a failed exchange is to be judged as one that ended well:
    /// `1 + (k − 1) / k_c`, in sixteenths, at most 4,095 times.
    #[must_use]
    pub fn odds(self) -> u16 {
        let looks = u32::from(self.looks_one_in.max(1));
        let cases = u32::from(self.cases_one_in.max(1));
        let odds = u32::from(NO_ODDS) + u32::from(NO_ODDS) * (looks - 1) / cases;
        u16::try_from(odds).unwrap_or(u16::MAX)
    }
}

/// The least of 1, 2, 3, 4, 6, 8, 12, … that is not below `least`; [`MOST_ONE_IN`] at most.
fn one_in(least: u64) -> u16 {
    let mut part = 1;
    loop {
        let half_as_much_again = part + part / 2;
        for part in [part, half_as_much_again] {
            if u64::from(part) >= least || part >= MOST_ONE_IN {
                return part;
            }
        }
        part *= 2;
    }
}

/// The smallest part that is looked at: what [`Sampling::odds`] can tell.
const MOST_ONE_IN: u16 = 3_072;

impl Default for Sampling {
    fn default() -> Self {
        Self::ALL
    }
}

/// [`Sampling::odds`] where all exchanges are equally likely to be judged: once, in sixteenths.
pub(crate) const NO_ODDS: u16 = 16;

/// Names of a message's headers, whatever holds them.
pub trait HeaderNames {
    /// Calls `visitor` with each name, in lower case, once per header line.
    fn visit(&self, visitor: &mut dyn FnMut(&str));

    /// Stands for the names, where whoever holds them has given them a number: equal numbers stand
    /// for equal names, so that nothing is read from them twice.
    fn number(&self) -> Option<u64> {
        None
    }
}

impl<Text: AsRef<str>> HeaderNames for [Text] {
    fn visit(&self, visitor: &mut dyn FnMut(&str)) {
        for name in self {
            visitor(name.as_ref());
        }
    }
}

impl<Text: AsRef<str>> HeaderNames for Vec<Text> {
    fn visit(&self, visitor: &mut dyn FnMut(&str)) {
        self.as_slice().visit(visitor);
    }
}

/// One request and its response. What is not known is left at its default.
#[derive(Clone, Copy, Default)]
pub struct Exchange<'a> {
    /// The service that was called, one name for all its versions.
    pub destination: &'a str,
    /// Name of the proxy's route; empty where there is none.
    pub route_name: &'a str,
    /// Request method.
    pub method: &'a str,
    /// Request path as it was sent, with its query.
    pub path: &'a str,
    /// The version that answered.
    pub version: &'a str,
    /// When the request came, in milliseconds since the Unix epoch; 0 where it is not known, and the
    /// exchange is then no example.
    pub started_ms: u64,
    /// Under which its log line or trace is found: its `x-request-id`, else the id of its trace; empty
    /// where neither is known.
    pub id: &'a str,
    /// Response status; `None` when no response came.
    pub status: Option<u16>,
    /// gRPC status, only where the content type is gRPC.
    pub grpc_status: Option<u16>,
    /// How it ended.
    pub ending: Ending,
    /// The version's time in microseconds: from the first byte of the request to the upstream's last
    /// byte, or to its first one where the response is a stream. Time in which a client reads slowly
    /// is not in it. `None` when the time was counted before, while the exchange was in flight.
    pub duration_us: Option<u64>,
    /// Time from the first byte of the request until the exchange ended, whatever it was spent on,
    /// in microseconds: it says when the exchange began. `None` stands for `duration_us`.
    pub lasted_us: Option<u64>,
    /// Length of the response body in bytes, where known.
    pub response_bytes: Option<u64>,
    /// The response's `content-type` as it was sent; empty where it was missing.
    pub content_type: &'a str,
    /// Names of the response headers, where known.
    pub header_names: Option<&'a dyn HeaderNames>,
    /// Address of the host that answered, as the proxy writes it; empty where it is not known.
    pub upstream_host: &'a str,
    /// Stands for the client's session, as a connection or a cookie's value does; only whether two
    /// are equal matters.
    pub session: Option<u64>,
    /// Stands for the request that several attempts have in common, where the proxy says so: attempts
    /// of one request at one host count once.
    pub request: Option<u64>,
    /// Whether the exchange is counted and not judged, because the worker sees more of them than it
    /// asks the origin of. Whether that is so must not depend on the version or the outcome.
    pub is_surplus: bool,
    /// Whether this is a case: it was only glanced at and failed, so that it was looked at when it
    /// was over. A case adds no counts. It is judged for the questions to which failures answer yes,
    /// and by nothing but its outcome. [`Exchange::request`] is wanted of cases too.
    pub is_case: bool,
    /// How this exchange was sampled when its request came.
    pub sampling: Sampling,
    /// Length of the request body in bytes, where known.
    pub request_bytes: Option<u64>,
    /// Names of the request headers, where known.
    pub request_header_names: Option<&'a dyn HeaderNames>,
    /// The calls that the application made while it served this, as
    /// [`crate::signal::fan_out::describe`] writes them; `None` where nobody reported them.
    pub fan_out: Option<&'a str>,
    /// The shape of the response body, where it was looked at.
    pub body: Option<&'a ShapeFacts>,
    /// Why the response body was not looked at although it was to be.
    pub body_left_out: Option<LeftOut>,
    /// The route that the same session asked for next; only on its own, after everything else was
    /// counted.
    pub next_call: Option<&'a str>,
}

impl Exchange<'_> {
    /// Whether there was no whole answer, or one that says that the request failed: that one has
    /// headers and a body of its own, which must not count a second time.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.ending == Ending::InFlight
            || self.status.is_none_or(|status| status >= 400)
            || self.grpc_status.is_some_and(|status| status != 0)
    }

    /// Whether its response can have content: an answer to HEAD, 204, 205 and 304 have none, whatever the
    /// version would send otherwise. To miss its type or its size would be to count one cause twice.
    #[must_use]
    pub fn may_have_content(&self) -> bool {
        self.method != "HEAD" && !matches!(self.status, Some(100..=199 | 204 | 205 | 304))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_looks_at_its_budget_and_no_less_than_half_of_it() {
        assert_eq!(Sampling::for_load(0, 0, 1_000), Sampling::ALL);
        assert_eq!(Sampling::for_load(u64::MAX, u64::MAX, 0), Sampling::ALL);
        for came in [1_000, 1_001, 2_500, 7_000, 50_000, 1_000_000] {
            let sampling = Sampling::for_load(came, came / 2, 1_000);
            for (all, part) in [
                (came, sampling.looks_one_in),
                (came / 2, sampling.cases_one_in),
            ] {
                let taken = all / u64::from(part);
                assert!((500..=1_000).contains(&taken), "{came}: {part}");
            }
        }
        let seven = Sampling::for_load(7_000, 10, 1_000);
        assert_eq!((seven.looks_one_in, seven.cases_one_in), (8, 1));
        assert_eq!(Sampling::for_load(u64::MAX, 0, 1).looks_one_in, MOST_ONE_IN);
    }
}
