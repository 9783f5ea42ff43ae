//! The same code in both versions: the rollouts in which nobody is to blame.

use super::{Geometry, Row, SHORT, USUAL, plain, pods};
use crate::simulation::{
    Cache, Clients, ColdStart, Failures, HeavyRoute, Lasting, LateProxy, LoneClient, Outage,
    Pauses, PodLife, Reaches, Retries, Route, Scaling, Scenario, Service, Share, SharedChange,
    Swing, Users, When,
};

/// Seconds of four minutes.
const STREAM: f64 = 240.0;
/// Standard deviation of the natural log of durations that are close to each other.
const NARROW: f64 = 0.3;

/// All kinds of healthy rollouts, those of the usual geometry first.
#[must_use]
pub fn healthy() -> Vec<Row> {
    let mut rows = shared_by_all(USUAL);
    rows.extend(users(USUAL));
    rows.extend(unlike_pods(USUAL));
    rows.extend(young_pods(USUAL));
    rows.extend(changing_pods(USUAL));
    rows.extend(long_answers(USUAL));
    rows.extend(lone_clients(USUAL));
    rows.extend(proxies(USUAL));
    rows.extend(short());
    rows
}

/// Those of them in which something other than the time of an answer ties requests to each other, for
/// traffic of which a worker looks at a part.
#[must_use]
pub fn healthy_under_load(geometry: Geometry) -> Vec<Row> {
    let mut rows = shared_by_all(geometry);
    rows.extend(users(geometry));
    rows.extend(unlike_pods(geometry));
    rows.extend(young_pods(geometry));
    rows.extend(changing_pods(geometry));
    rows.extend(lone_clients(geometry));
    rows.extend(proxies(geometry));
    rows.extend(refused(geometry));
    rows
}

/// Services that refuse many requests, each user some of his own.
fn refused(geometry: Geometry) -> Vec<Row> {
    let refusing = |rate| {
        let users = Users {
            count: 300,
            ..Users::default()
        };
        with_routes(with_users(geometry, users), |route| {
            route.refused_rate = rate;
        })
    };
    vec![
        row(
            geometry,
            "a tenth of all is 404, 300 sticky users",
            refusing(0.1),
        ),
        row(
            geometry,
            "half of all is 404, 300 sticky users",
            refusing(0.5),
        ),
    ]
}

fn row(geometry: Geometry, name: &str, scenario: Scenario) -> Row {
    Row {
        name: name.to_owned(),
        scenario,
        ticks: geometry.seconds,
    }
}

/// Both versions' pods go through the same.
fn with_life(mut scenario: Scenario, life: PodLife) -> Scenario {
    scenario.baseline.life = life.clone();
    scenario.candidate.life = life;
    scenario
}

fn with_routes(mut scenario: Scenario, change: impl Fn(&mut Route)) -> Scenario {
    scenario.service.routes.iter_mut().for_each(change);
    scenario
}

/// What does not tie requests to each other, or hits both versions alike.
fn shared_by_all(geometry: Geometry) -> Vec<Row> {
    let base = || plain(geometry);
    let changed = |shared_change| Scenario {
        shared_change,
        ..base()
    };
    let outage = |from| Outage {
        ticks: from..from + 40,
        error_odds: 30.0,
        slower: 3.0,
    };
    let swing = |factor, period| Some(Swing { factor, period });
    let mut swinging = changed(SharedChange {
        errors: swing(3.0, 200.0),
        latency: swing(1.6, 330.0),
        ..SharedChange::default()
    });
    swinging.load.swing = swing(2.0, 600.0);
    let steps = [(0, 0.01), (300, 0.05), (600, 0.25), (900, 0.5)];
    let mut many = base();
    many.service = Service::with_routes(200);
    for (index, route) in (0_i32..).zip(&mut many.service.routes) {
        route.traffic = 1.0 / f64::from(1 + index);
    }
    vec![
        row(geometry, "independent requests", base()),
        row(
            geometry,
            "heavy tails",
            with_routes(base(), |route| {
                route.latency.sigma = 1.5;
                route.lasting = Some(Lasting {
                    share: 0.01,
                    seconds: 4.0,
                    sigma: 1.0,
                    is_stream: false,
                });
            }),
        ),
        row(
            geometry,
            "cache hits and misses",
            with_routes(base(), |route| {
                route.cache = Some(Cache {
                    misses: 0.3,
                    slower: 10.0,
                });
            }),
        ),
        row(
            geometry,
            "pauses of 0.2 to 0.6 s, each pod every 30 s",
            with_life(
                base(),
                PodLife {
                    pauses: Some(Pauses {
                        every: 30.0,
                        shortest: 0.2,
                        longest: 0.6,
                    }),
                    ..PodLife::default()
                },
            ),
        ),
        row(
            geometry,
            "shared outages",
            changed(SharedChange {
                outages: vec![outage(200), outage(700)],
                ..SharedChange::default()
            }),
        ),
        row(
            geometry,
            "share goes 1%, 5%, 25%, 50%",
            Scenario {
                share: Share::ByTime(steps.into()),
                ..base()
            },
        ),
        row(geometry, "load, errors and latency swing", swinging),
        row(geometry, "200 routes", many),
    ]
}

fn with_users(geometry: Geometry, users: Users) -> Scenario {
    Scenario {
        clients: Clients::Users(users),
        ..plain(geometry)
    }
}

/// Requests that share a user.
fn users(geometry: Geometry) -> Vec<Row> {
    let sticky = |count| {
        let users = Users {
            count,
            ..Users::default()
        };
        with_users(geometry, users)
    };
    let mut heavy = with_users(
        geometry,
        Users {
            heavy_route: Some(HeavyRoute {
                route: 6,
                users: 12,
                chance: 0.3,
            }),
            ..Users::default()
        },
    );
    let mut export = Route {
        path: "/api/export".to_owned(),
        traffic: 0.0,
        error_rate: 0.03,
        ..Route::default()
    };
    export.latency.median_us *= 15.0;
    heavy.service.routes.push(export);
    vec![
        row(
            geometry,
            "5,000 users with sizes of their own",
            with_users(
                geometry,
                Users {
                    count: 5_000,
                    error_spread: 0.0,
                    latency_spread: 0.0,
                    size_spread: 1.0,
                    ..Users::default()
                },
            ),
        ),
        row(geometry, "2,000 sticky users", sticky(2_000)),
        row(geometry, "300 sticky users", sticky(300)),
        row(geometry, "40 sticky users", sticky(40)),
        row(geometry, "one route that only heavy users ask for", heavy),
        row(
            geometry,
            "HTTP/2 connections that stay on a pod",
            with_users(
                geometry,
                Users {
                    count: 100,
                    sticky: false,
                    connection: Some(300.0),
                    ..Users::default()
                },
            ),
        ),
        row(
            geometry,
            "two retries on the same pod",
            Scenario {
                retries: Retries {
                    most: 2,
                    same_cause: 0.8,
                    same_pod: true,
                },
                ..plain(geometry)
            },
        ),
    ]
}

fn speeds(speed_spread: f64) -> PodLife {
    PodLife {
        speed_spread,
        ..PodLife::default()
    }
}

/// Pods that differ all the time. Durations on one pod are close to each other, so that those of
/// another stand out.
fn unlike_pods(geometry: Geometry) -> Vec<Row> {
    let mut rows = Vec::new();
    for spread in [0.15, 0.3] {
        for (stable, canary) in [(10, 1), (10, 3), (3, 1)] {
            let scenario = with_routes(pods(plain(geometry), stable, canary), |route| {
                route.latency.sigma = NARROW;
            });
            rows.push(row(
                geometry,
                &format!("pods differ by {spread}, {stable} and {canary}"),
                with_life(scenario, speeds(spread)),
            ));
        }
    }
    let mut node = pods(plain(geometry), 10, 2);
    node = with_life(node, speeds(0.05));
    node.candidate.life.node = Some((1.1, 1.15));
    rows.push(row(geometry, "a canary on nodes 10 to 15% slower", node));
    rows
}

fn cold(time_constant: f64) -> PodLife {
    PodLife {
        cold_start: Some(ColdStart {
            slower: 3.0,
            time_constant,
        }),
        ..PodLife::default()
    }
}

fn filling_cache(geometry: Geometry) -> Scenario {
    let scenario = with_routes(plain(geometry), |route| {
        route.cache = Some(Cache {
            misses: 0.1,
            slower: 10.0,
        });
    });
    with_life(
        scenario,
        PodLife {
            cache_fills: 60.0,
            ..PodLife::default()
        },
    )
}

/// Pods that are slow while they are young.
fn young_pods(geometry: Geometry) -> Vec<Row> {
    let mut rows: Vec<Row> = [60.0, 100.0, 300.0]
        .map(|seconds| {
            row(
                geometry,
                &format!("fresh pods 3 times as slow, {seconds} s"),
                with_life(plain(geometry), cold(seconds)),
            )
        })
        .into();
    rows.push(row(
        geometry,
        "a cache that fills in 60 s",
        filling_cache(geometry),
    ));
    rows
}

fn failing(geometry: Geometry) -> Scenario {
    with_life(
        plain(geometry),
        PodLife {
            failures: Some(Failures {
                every: 900.0,
                lasts: 5.0,
            }),
            ..PodLife::default()
        },
    )
}

/// Pods that fail for a while, and pods that come and go.
fn changing_pods(geometry: Geometry) -> Vec<Row> {
    let fresh = PodLife {
        speed_spread: 0.1,
        ..cold(60.0)
    };
    let mut scaled = with_life(pods(plain(geometry), 8, 2), fresh.clone());
    scaled.load.swing = Some(Swing {
        factor: 1.5,
        period: 900.0,
    });
    let scaling = |least, most, every| Some(Scaling { least, most, every });
    scaled.baseline.life.scaling = scaling(4, 12, 60.0);
    scaled.candidate.life.scaling = scaling(1, 3, 180.0);
    let mut deployed = with_life(plain(geometry), fresh);
    deployed.baseline.life.replaced = Some(400..700);
    vec![
        row(
            geometry,
            "any pod fails for 5 s once in 15 minutes",
            failing(geometry),
        ),
        row(geometry, "autoscaling, fresh pods cold", scaled),
        row(geometry, "a deploy of stable in mid-rollout", deployed),
    ]
}

/// Answers that last longer than the share stays as it is.
fn long_answers(geometry: Geometry) -> Vec<Row> {
    let lasting = |share, sigma, is_stream| Lasting {
        share,
        seconds: STREAM,
        sigma,
        is_stream,
    };
    let rising_and_falling = |route: Route| {
        let mut scenario = plain(geometry);
        scenario.service.routes.push(route);
        let third = geometry.seconds / 3;
        scenario.share = Share::ByTime(vec![(0, 0.1), (third, 0.5), (2 * third, 0.1)]);
        scenario
    };
    let streams = Route {
        path: "/api/events".to_owned(),
        content_type: "text/event-stream".to_owned(),
        other_content_type: None,
        traffic: 2.0,
        lasting: Some(lasting(1.0, 0.2, true)),
        ..Route::default()
    };
    let downloads = Route {
        path: "/api/download".to_owned(),
        traffic: 2.0,
        lasting: Some(lasting(0.5, 0.4, false)),
        ..Route::default()
    };
    vec![
        row(
            geometry,
            "streams of four minutes, share 10, 50, 10%",
            rising_and_falling(streams),
        ),
        row(
            geometry,
            "downloads of four minutes, share 10, 50, 10%",
            rising_and_falling(downloads),
        ),
    ]
}

fn with_lone(geometry: Geometry, client: LoneClient) -> Scenario {
    Scenario {
        lone_clients: vec![client],
        ..plain(geometry)
    }
}

/// Now and then a client asks for what is not there, each time over another connection.
fn burst_of_404s(geometry: Geometry) -> Scenario {
    let client = LoneClient {
        per_second: 20.0,
        when: When::Bursts {
            every: 40.0,
            lasts: 10.0,
        },
        one_pod: true,
        status: Some(404),
        route: 1,
        ..LoneClient::default()
    };
    with_lone(geometry, client)
}

/// A client with 30% of the traffic that is unlike the others and stays with the candidate.
fn large_client(geometry: Geometry) -> Scenario {
    let client = LoneClient {
        per_second: 0.43 * geometry.load,
        reaches: Reaches::Candidate,
        error_odds: 2.0,
        slower: 1.5,
        size: 2.5,
        ..LoneClient::default()
    };
    with_lone(geometry, client)
}

/// One client that is unlike all others.
fn lone_clients(geometry: Geometry) -> Vec<Row> {
    let looping = |per_second, seconds: u64| {
        let client = LoneClient {
            per_second,
            when: When::Ticks(500..500 + seconds),
            reaches: Reaches::Candidate,
            status: Some(401),
            route: 3,
            ..LoneClient::default()
        };
        with_lone(geometry, client)
    };
    vec![
        row(
            geometry,
            "bursts of 404s, each on one connection",
            burst_of_404s(geometry),
        ),
        row(
            geometry,
            "one client loops on 401, 90/s for 5 s",
            looping(90.0, 5),
        ),
        row(
            geometry,
            "one client loops on 401, 20/s for 30 s",
            looping(20.0, 30),
        ),
        row(
            geometry,
            "one sticky client with 30% of the traffic",
            large_client(geometry),
        ),
    ]
}

/// Two proxies whose counts reach the judge at different times, under shares and shared changes
/// that move.
fn proxies(geometry: Geometry) -> Vec<Row> {
    let mut skewed = plain(geometry);
    skewed.load.late_proxy = Some(LateProxy {
        share: 0.5,
        ticks: 3,
    });
    skewed.share = Share::ByTime(vec![(0, 0.05), (300, 0.2), (600, 0.5), (900, 0.1)]);
    // Short ones, so that much of them falls between the proxies; some while the share steps.
    skewed.shared_change.outages = [100, 298, 450, 599, 750, 901, 1_050]
        .map(|from| Outage {
            ticks: from..from + 4,
            error_odds: 30.0,
            slower: 3.0,
        })
        .into();
    vec![row(geometry, "two proxies, one of them 3 s late", skewed)]
}

/// The second geometry, for what hurt most there.
fn short() -> Vec<Row> {
    let users = |sticky| {
        with_users(
            SHORT,
            Users {
                count: 100,
                sticky,
                ..Users::default()
            },
        )
    };
    let retried = Scenario {
        retries: Retries {
            most: 2,
            same_cause: 0.8,
            same_pod: true,
        },
        ..plain(SHORT)
    };
    let one_pod = with_life(pods(plain(SHORT), 10, 1), speeds(0.15));
    [
        ("independent requests", plain(SHORT)),
        (
            "fresh pods 3 times as slow, 100 s",
            with_life(plain(SHORT), cold(100.0)),
        ),
        ("a cache that fills in 60 s", filling_cache(SHORT)),
        ("100 sticky users", users(true)),
        ("the same users at random", users(false)),
        (
            "one sticky client with 30% of the traffic",
            large_client(SHORT),
        ),
        ("pods differ by 0.15, 10 and 1", one_pod),
        ("any pod fails for 5 s once in 15 minutes", failing(SHORT)),
        (
            "bursts of 404s, each on one connection",
            burst_of_404s(SHORT),
        ),
        ("two retries on the same pod", retried),
    ]
    .into_iter()
    .map(|(name, scenario)| row(SHORT, &format!("14 minutes: {name}"), scenario))
    .collect()
}
