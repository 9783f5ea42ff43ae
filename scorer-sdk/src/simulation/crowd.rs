//! The clients while a simulation runs: who sends the next request, and for what.

use super::clients::{Clients, Sessions, Users};
use super::pods::Pods;
use super::random::{exponential, normals, pareto};
use fastrand::Rng;

/// What a request has before a version serves it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// When it is sent, in seconds of the rollout.
    pub(super) begin: f64,
    pub(super) route: usize,
    pub(super) session: u64,
    pub(super) error_odds: f64,
    pub(super) slower: f64,
    pub(super) size: f64,
    /// The version that the session is bound to.
    pub(super) bound: Option<bool>,
    /// The pod of that version that its connection leads to.
    pub(super) pod: Option<usize>,
    /// The status of the answer, whoever serves it.
    pub(super) status: Option<u16>,
}

impl Request {
    /// A request of a client like any other.
    pub(super) fn new(begin: f64, route: usize, session: u64) -> Self {
        Self {
            begin,
            route,
            session,
            error_odds: 1.0,
            slower: 1.0,
            size: 1.0,
            bound: None,
            pod: None,
            status: None,
        }
    }
}

/// What a choice of version and pod depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routing<'a> {
    /// The candidate's share of the requests.
    pub(super) share: f64,
    /// Baseline and candidate.
    pub(super) pods: &'a [Pods; 2],
}

impl Routing<'_> {
    fn pods(&self, candidate: bool) -> &Pods {
        let [baseline, other] = self.pods;
        if candidate { other } else { baseline }
    }

    /// A pod of that version that runs, at random.
    pub(super) fn choose(&self, candidate: bool, random: &mut Rng) -> usize {
        self.pods(candidate).choose(random)
    }

    fn is_live(&self, candidate: bool, pod: usize) -> bool {
        self.pods(candidate).is_live(pod)
    }
}

/// A session that is on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    id: u64,
    left: u64,
    error_odds: f64,
    slower: f64,
    candidate: bool,
    route: Option<usize>,
}

impl Session {
    fn draw(sessions: &Sessions, share: f64, random: &mut Rng) -> Self {
        let (error, latency) = normals(random);
        // A session ends after a million requests at the latest.
        let length = sessions.shortest * pareto(random, sessions.tail);
        Self {
            id: random.u64(..),
            left: length.clamp(1.0, 1e6) as u64,
            error_odds: (sessions.error_spread * error).exp(),
            slower: (sessions.latency_spread * latency).exp(),
            candidate: random.f64() < share,
            route: None,
        }
    }
}

/// A connection that leads to one pod.
#[derive(Debug, Clone, Copy)]
struct Connection {
    id: u64,
    candidate: bool,
    pod: usize,
    /// In seconds of the rollout.
    until: f64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    id: u64,
    error_odds: f64,
    slower: f64,
    size: f64,
    /// It belongs to the candidate where this is below the share.
    rank: f64,
    /// Whether it is among the busiest, who ask for the route of their own.
    heavy: bool,
    connection: Option<Connection>,
}

/// The clients, as they are now.
#[derive(Debug, Clone)]
pub(super) enum Crowd {
    Independent,
    Sessions(Sessions, Vec<Session>),
    /// The users, and the sum of the activity up to each, from 0 to 1.
    Users(Users, Vec<User>, Vec<f64>),
}

impl Crowd {
    pub(super) fn new(clients: &Clients, random: &mut Rng) -> Self {
        match clients {
            Clients::Independent => Self::Independent,
            Clients::Sessions(sessions) => {
                let draw = |_| Session::draw(sessions, 0.0, random);
                Self::Sessions(*sessions, (0..sessions.active.max(1)).map(draw).collect())
            }
            Clients::Users(users) => users_of(users, random),
        }
    }

    /// The next request. `any_route` is a route drawn by the routes' traffic.
    pub(super) fn request(
        &mut self,
        begin: f64,
        any_route: usize,
        routing: Routing<'_>,
        random: &mut Rng,
    ) -> Request {
        match self {
            Self::Independent => Request::new(begin, any_route, random.u64(..)),
            Self::Sessions(sessions, active) => {
                let index = random.usize(..active.len());
                let repeats = random.f64() < sessions.repeats;
                let fresh = Session::draw(sessions, routing.share, random);
                let session = match active.get_mut(index) {
                    Some(session) => {
                        if session.left == 0 {
                            *session = fresh;
                        }
                        session.left -= 1;
                        let route = session.route.filter(|_| repeats).unwrap_or(any_route);
                        session.route = Some(route);
                        *session
                    }
                    None => fresh,
                };
                Request {
                    error_odds: session.error_odds,
                    slower: session.slower,
                    bound: sessions.sticky.then_some(session.candidate),
                    ..Request::new(begin, session.route.unwrap_or(any_route), session.id)
                }
            }
            Self::Users(users, all, activity) => {
                let drawn = random.f64();
                let index = activity.partition_point(|end| *end < drawn);
                let index = index.min(all.len() - 1);
                match all.get_mut(index) {
                    Some(user) => user.request(users, begin, any_route, routing, random),
                    None => Request::new(begin, any_route, random.u64(..)),
                }
            }
        }
    }
}

fn users_of(users: &Users, random: &mut Rng) -> Crowd {
    let count = users.count.max(1);
    let mut activity: Vec<f64> = (0..count).map(|_| pareto(random, users.tail)).collect();
    // The busiest first, so that the heavy ones have the first numbers.
    activity.sort_by(|one, other| other.total_cmp(one));
    let sum: f64 = activity.iter().sum();
    let mut end = 0.0;
    for part in &mut activity {
        end += *part / sum;
        *part = end;
    }
    let heavy = users.heavy_route.map_or(0, |heavy| heavy.users);
    let all = (0..count)
        .map(|number| {
            let (error, latency) = normals(random);
            let (size, _) = normals(random);
            User {
                id: random.u64(..),
                error_odds: (users.error_spread * error).exp(),
                slower: (users.latency_spread * latency).exp(),
                size: (users.size_spread * size).exp(),
                rank: random.f64(),
                heavy: number < heavy,
                connection: None,
            }
        })
        .collect();
    Crowd::Users(*users, all, activity)
}

impl User {
    fn request(
        &mut self,
        users: &Users,
        begin: f64,
        any_route: usize,
        routing: Routing<'_>,
        random: &mut Rng,
    ) -> Request {
        let own = users.heavy_route.filter(|_| self.heavy);
        let route = own
            .filter(|own| random.f64() < own.chance)
            .map_or(any_route, |own| own.route);
        let mut request = Request {
            error_odds: self.error_odds,
            slower: self.slower,
            size: self.size,
            bound: users.sticky.then_some(self.rank < routing.share),
            ..Request::new(begin, route, self.id)
        };
        if let Some(lasts) = users.connection {
            let connection = self.connect(request.bound, lasts, begin, routing, random);
            request.session = connection.id;
            request.bound = Some(connection.candidate);
            request.pod = Some(connection.pod);
        }
        request
    }

    /// The connection that it has, or a new one where that is over, its pod has gone or the user
    /// belongs to another version now.
    fn connect(
        &mut self,
        bound: Option<bool>,
        lasts: f64,
        now: f64,
        routing: Routing<'_>,
        random: &mut Rng,
    ) -> Connection {
        let kept = self.connection.filter(|connection| {
            now < connection.until
                && bound.is_none_or(|bound| bound == connection.candidate)
                && routing.is_live(connection.candidate, connection.pod)
        });
        let connection = kept.unwrap_or_else(|| {
            let candidate = bound.unwrap_or_else(|| random.f64() < routing.share);
            Connection {
                id: random.u64(..),
                candidate,
                pod: routing.choose(candidate, random),
                until: now + exponential(random, lasts),
            }
        });
        self.connection = Some(connection);
        connection
    }
}
