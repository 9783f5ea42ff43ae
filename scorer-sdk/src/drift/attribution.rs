//! The parts of a drift: other requests, or other answers to the same requests.
//!
//! With `P` now and `Q` the past, over routes `r` and their tokens `k`, the chain rule of relative
//! entropy gives `D(P‖Q) = Σ_r π_r ln(π_r/ρ_r) + Σ_r π_r·Σ_k p_{k|r} ln(p_{k|r}/q_{k|r})`: the
//! first sum is usage, the second behaviour. A term is written `p ln(p/q) − p + q`, which changes
//! no sum and is never below 0, so that a token that has vanished counts like one that is new.
//!
//! The plug-in estimate of few counts is too large: where nothing has changed it is above 0 by
//! about `(cells − 1)/2N` (Miller, "Note on the bias of information estimates", 1955). So each
//! term is reduced by its mean under no change. For a Poisson count of mean `λ` that is
//! `E[X ln(X/λ)]/N`, summed exactly for small `λ` and 1/2 for large, where `λ` comes from both
//! times together. The past gets half a count on each token, which makes the mean of its logarithm
//! right to the second order.

/// Terms that are named.
const TERMS: usize = 5;
/// Mean from which `E[X ln(X/λ)]` is taken as 1/2; the error is 0.4 %.
const LARGE_MEAN: f64 = 50.0;
/// Standard deviations under no change beyond which a part is clear.
const CLEAR: f64 = 4.0;

/// How often one token came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenCounts<'a> {
    /// The token, such as `503` or `slower than p95`.
    pub token: &'a str,
    /// Exchanges now.
    pub now: f64,
    /// Exchanges in the past, decayed or not.
    pub past: f64,
}

/// The tokens of one signal on one route; every exchange of the route has exactly one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RouteTokens<'a> {
    /// The route.
    pub route: &'a str,
    /// Its tokens.
    pub tokens: &'a [TokenCounts<'a>],
}

/// One part of the difference between now and the past.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Part {
    /// Relative entropy per exchange, in nats, less its mean under no change; at least 0.
    pub nats: f64,
    /// Its standard deviation where nothing has changed, for independent exchanges.
    pub noise: f64,
}

impl Part {
    /// Whether it is more than chance: beyond four standard deviations.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.nats > CLEAR * self.noise && self.nats > 0.0
    }
}

/// One route's share of the mix, or one token of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The route.
    pub route: String,
    /// The token; none for the route's own share of all exchanges.
    pub token: Option<String>,
    /// What it adds, in nats.
    pub nats: f64,
    /// Its share now: of all exchanges, or of the route's.
    pub now: f64,
    /// Its share in the past.
    pub past: f64,
}

/// A difference between now and the past, in its parts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attribution {
    /// Which routes are asked for.
    pub usage: Part,
    /// What is answered on each route.
    pub behaviour: Part,
    /// The strongest terms of both, at most five, the strongest first.
    pub terms: Vec<Term>,
}

impl Attribution {
    /// The part that explains the difference, `usage` or `behaviour`; none where neither is clear.
    #[must_use]
    pub fn mostly(&self) -> Option<&'static str> {
        match (self.usage.is_clear(), self.behaviour.is_clear()) {
            (false, false) => None,
            (true, false) => Some("usage"),
            (false, true) => Some("behaviour"),
            (true, true) if self.usage.nats > self.behaviour.nats => Some("usage"),
            (true, true) => Some("behaviour"),
        }
    }
}

/// Splits the difference between now and the past. Counts that are not finite numbers from 0 up
/// count as none; where now or the past is empty there is no difference.
#[must_use]
pub fn attribute(routes: &[RouteTokens<'_>]) -> Attribution {
    let totals: Vec<(f64, f64)> = routes
        .iter()
        .map(|route| sum(route.tokens.iter().map(|token| (token.now, token.past))))
        .collect();
    let all = sum(totals.iter().copied());
    let mut terms = Vec::new();
    let mut usage = Sum::default();
    let mut behaviour = Sum::default();
    if all.0 > 0.0 && all.1 > 0.0 {
        usage.begin(all);
        for (route, counts) in routes.iter().zip(&totals) {
            let cell = usage.add(*counts, all, 1.0);
            terms.push(cell.term(route.route, None));
        }
        for (route, counts) in routes.iter().zip(&totals) {
            // A route that is new or gone is usage; it has no behaviour to compare.
            if counts.0 > 0.0 && counts.1 > 0.0 {
                behaviour.begin(all);
                for token in route.tokens {
                    let cell = behaviour.add(
                        (usable(token.now), usable(token.past)),
                        *counts,
                        counts.0 / all.0,
                    );
                    terms.push(cell.term(route.route, Some(token.token)));
                }
            }
        }
    }
    terms.retain(|term| term.nats > 0.0);
    crate::order::sort_by(&mut terms, |a, b| b.nats.total_cmp(&a.nats));
    terms.truncate(TERMS);
    Attribution {
        usage: usage.part(),
        behaviour: behaviour.part(),
        terms,
    }
}

/// A sum of terms, each less its mean under no change.
#[derive(Default)]
struct Sum {
    nats: f64,
    variance: f64,
}

struct Cell {
    nats: f64,
    now: f64,
    past: f64,
}

impl Sum {
    /// One distribution more: its shares sum to 1, which takes one degree of freedom.
    fn begin(&mut self, all: (f64, f64)) {
        self.nats += 0.5 / all.0;
        self.variance -= 0.5 * (1.0 / all.0 + 1.0 / all.1).powi(2);
    }

    /// One cell of a distribution of `totals`, which weighs `weight`.
    fn add(&mut self, counts: (f64, f64), totals: (f64, f64), weight: f64) -> Cell {
        let now = counts.0 / totals.0;
        let past = (counts.1 + 0.5) / totals.1;
        let plain = if now > 0.0 {
            now * (now / past).ln() - now + past
        } else {
            past
        };
        let mean = (counts.0 + counts.1) / (totals.0 + totals.1) * totals.0;
        let excess = mean_under_no_change(mean);
        // The half counts that were added to the past are not a difference.
        let given = 0.5 / totals.1;
        let nats = weight * (plain - given - excess / totals.0);
        self.nats += nats;
        // Twice the deviance of a cell is near a chi-squared value, whose variance is twice its
        // mean; the past also scatters.
        self.variance += (weight / totals.0 * (1.0 + totals.0 / totals.1)).powi(2) * excess;
        Cell {
            nats,
            now,
            past: counts.1 / totals.1,
        }
    }

    fn part(&self) -> Part {
        Part {
            nats: self.nats.max(0.0),
            noise: self.variance.max(0.0).sqrt(),
        }
    }
}

impl Cell {
    fn term(&self, route: &str, token: Option<&str>) -> Term {
        Term {
            route: route.to_owned(),
            token: token.map(str::to_owned),
            nats: self.nats,
            now: self.now,
            past: self.past,
        }
    }
}

/// `E[X ln(X/λ)]` for a Poisson count `X` of mean `λ`.
fn mean_under_no_change(mean: f64) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    if mean > LARGE_MEAN {
        return 0.5;
    }
    let mut probability = (-mean).exp();
    let mut total = 0.0;
    let mut count = 0.0;
    while count < 4.0 * LARGE_MEAN {
        count += 1.0;
        probability *= mean / count;
        total += probability * count * (count / mean).ln();
    }
    total
}

fn sum(counts: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    counts.fold((0.0, 0.0), |all, (now, past)| {
        (all.0 + usable(now), all.1 + usable(past))
    })
}

/// A count; 0 where it is not a finite number from 0 up.
fn usable(count: f64) -> f64 {
    if count.is_finite() {
        count.max(0.0)
    } else {
        0.0
    }
}
