//! The clients: independent requests, long sessions that differ, or a fixed set of unequal users.

/// The clients of a service.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Clients {
    /// Each request comes from another client.
    #[default]
    Independent,
    /// Sessions of many requests.
    Sessions(Sessions),
    /// The same users all the time.
    Users(Users),
}

/// Sessions of heavy-tailed length, each with its own odds of failure and its own slowness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sessions {
    /// How many are active at a time; each request is of one of them, chosen evenly.
    pub active: usize,
    /// Least number of requests in a session.
    pub shortest: f64,
    /// Tail index of the number of requests (Pareto): the mean is `shortest·tail/(tail − 1)`, and
    /// at 2 or less the variance is infinite.
    pub tail: f64,
    /// Standard deviation of the natural log of a session's odds of failure.
    pub error_spread: f64,
    /// Standard deviation of the natural log of a session's durations.
    pub latency_spread: f64,
    /// Chance that a session's next request is for the route of its last.
    pub repeats: f64,
    /// Whether a session stays with the version that it met first.
    pub sticky: bool,
}

impl Default for Sessions {
    /// 200 at a time, 20 requests or more and 60 on average, some of them hundreds; one in six has
    /// 2.7 times the odds of failure.
    fn default() -> Self {
        Self {
            active: 200,
            shortest: 20.0,
            tail: 1.5,
            error_spread: 1.0,
            latency_spread: 0.2,
            repeats: 0.5,
            sticky: true,
        }
    }
}

/// Users that stay all the time and are as unequal as real ones: a few send most of the requests,
/// and each has odds of failure, a speed and sizes of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Users {
    /// Number of users.
    pub count: usize,
    /// Tail index of a user's activity (Pareto): at 1.5 the busiest of 40 sends some 15% of the
    /// requests.
    pub tail: f64,
    /// Standard deviation of the natural log of a user's odds of failure.
    pub error_spread: f64,
    /// Standard deviation of the natural log of a user's durations.
    pub latency_spread: f64,
    /// Standard deviation of the natural log of a user's lengths of requests and answers.
    pub size_spread: f64,
    /// Whether a user stays with one version. When the share rises some users move to the
    /// candidate, and the others stay where they are.
    pub sticky: bool,
    /// Mean number of seconds for which a user keeps a connection, whose requests all go to one
    /// pod; the connection is the session then. `None` where each request may go to another pod.
    pub connection: Option<f64>,
    /// A route that the busiest users alone ask for.
    pub heavy_route: Option<HeavyRoute>,
}

impl Default for Users {
    /// 2,000 sticky users without connections.
    fn default() -> Self {
        Self {
            count: 2_000,
            tail: 1.5,
            error_spread: 1.0,
            latency_spread: 0.3,
            size_spread: 0.5,
            sticky: true,
            connection: None,
            heavy_route: None,
        }
    }
}

/// A route that the busiest users alone ask for. The others' requests follow the routes' traffic,
/// in which it should have none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeavyRoute {
    /// Index of the route in the service.
    pub route: usize,
    /// How many of the users ask for it.
    pub users: usize,
    /// Share of their requests that are for it, from 0 to 1.
    pub chance: f64,
}

/// What clients or proxies do when a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Retries {
    /// Most further attempts, at once, each to any version unless the session is sticky.
    pub most: u32,
    /// Chance that a further attempt fails for the same cause, whoever serves it; else it has the
    /// usual chance.
    pub same_cause: f64,
    /// Whether all attempts go to the same pod.
    pub same_pod: bool,
}
