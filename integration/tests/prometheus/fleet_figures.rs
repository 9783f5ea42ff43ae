//! How long three gateways take as a fleet and alone, and what it costs users: the table of
//! `docs/fleet.md`. It takes minutes for each round, so `make fleet-figures` runs it, and not `make test`.

use super::gateways::{ServeVerdict, all_exceed, gateway, value};
use super::manifests::rule_groups;
use super::server::{self, Prometheus, Settings};
use crate::live::common::ANOMALOUS;
use anyhow::{Result, ensure};
use hyper::StatusCode;
use scorer_sdk::telemetry::{
    FLEET_ANSWER_TIME, FLEET_UNANSWERED, JUDGED_EXCHANGES, STEERED, VERDICT,
};
use serin_integration::envoy::free_port;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::{Fault, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Requests a second to each gateway, half of them to the candidate.
const RATE: f64 = 40.0;
/// Share of the candidate's requests that fail from a moment on.
const FAILING: f64 = 0.02;
/// Exchanges of a healthy candidate that each gateway has judged by then.
const HEALTHY: f64 = 600.0;
const GATEWAYS: usize = 3;
/// Between two looks at all gateways.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest wait for a verdict.
const LONGEST: Duration = Duration::from_secs(900);

/// How three gateways are set up, and what happens to them.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    what: &'static str,
    /// Seconds between two scrapes; none where each judges alone.
    scrape: Option<u64>,
    /// serve-verdict is gone when the fault begins, until each gateway has missed it three times.
    killed: bool,
    /// Neither Prometheus nor serve-verdict reaches the last gateway.
    cut_off: bool,
}

const CASES: [Case; 5] = [
    Case {
        name: "alone",
        what: "each alone",
        scrape: None,
        killed: false,
        cut_off: false,
    },
    Case {
        name: "s5",
        what: "as a fleet, scraped every 5 s",
        scrape: Some(5),
        killed: false,
        cut_off: false,
    },
    Case {
        name: "s15",
        what: "as a fleet, scraped every 15 s",
        scrape: Some(15),
        killed: false,
        cut_off: false,
    },
    Case {
        name: "killed",
        what: "as a fleet, 5 s; serve-verdict is gone at the fault, and comes back",
        scrape: Some(5),
        killed: true,
        cut_off: false,
    },
    Case {
        name: "cut",
        what: "as a fleet, 5 s; the third gateway is cut off",
        scrape: Some(5),
        killed: false,
        cut_off: true,
    },
];

/// One case, running.
struct Scene {
    case: Case,
    gateways: Vec<Topology>,
    loads: Vec<Load>,
    served: Option<ServeVerdict>,
    _prometheus: Option<Prometheus>,
    /// Seconds from the fault until each gateway's verdict.
    seconds: [Option<f64>; GATEWAYS],
    lost_before: u64,
    /// Requests that users lost from the fault until all gateways steered.
    lost: Option<u64>,
}

impl Scene {
    async fn start(binary: &Path, shops: &Shops, case: Case, seed: u64) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let mut gateways = Vec::new();
        for number in 0..GATEWAYS {
            let is_cut_off = case.cut_off && number + 1 == GATEWAYS;
            let asked = case.scrape.map(|_| match is_cut_off {
                true => (nobody, "5s"),
                false => (address, "5s"),
            });
            let name = format!("figures-{}-{number}", case.name);
            gateways.push(gateway(&name, shops, asked).await?);
        }
        let mut loads = Vec::new();
        for (seed, gateway) in (seed..).zip(&gateways) {
            let options = LoadOptions::new(gateway.address(), RATE).seed(seed);
            loads.push(Load::start(options)?);
        }
        let mut scene = Self {
            case,
            gateways,
            loads,
            served: None,
            _prometheus: None,
            seconds: [None; GATEWAYS],
            lost_before: 0,
            lost: None,
        };
        if let Some(step) = case.scrape {
            scene.watch(binary, address, step).await?;
        }
        Ok(scene)
    }

    /// Starts Prometheus and serve-verdict.
    async fn watch(&mut self, binary: &Path, address: SocketAddr, step: u64) -> Result<()> {
        let scraped = match self.case.cut_off {
            true => &self.gateways[..GATEWAYS - 1],
            false => &self.gateways[..],
        };
        let targets: Vec<_> = scraped
            .iter()
            .map(|gateway| (gateway.front.name(), gateway.front.admin_address()))
            .collect();
        let folder = format!("prometheus-figures-{}", self.case.name);
        let settings = Settings {
            folder: &folder,
            step,
            alertmanager: None,
            cluster: None,
            sidecars: None,
        };
        let prometheus =
            Prometheus::start_with(binary, &targets, &rule_groups()?, &settings).await?;
        let folder = self.gateways[0].front.dir();
        let served = ServeVerdict::begin(prometheus.address(), address, folder).await?;
        self.served = Some(served);
        self._prometheus = Some(prometheus);
        Ok(())
    }

    /// Those that can be answered.
    fn reached(&self) -> &[Topology] {
        match (self.case.scrape, self.case.cut_off) {
            (None, _) => &[],
            (Some(_), true) => &self.gateways[..GATEWAYS - 1],
            (Some(_), false) => &self.gateways,
        }
    }

    /// Waits until the healthy candidate is known.
    async fn settle(&self) -> Result<()> {
        all_exceed(&self.gateways, &JUDGED_EXCHANGES, &[HEALTHY; GATEWAYS]).await?;
        all_exceed(self.reached(), &FLEET_ANSWER_TIME, &[0.0; GATEWAYS]).await?;
        for gateway in &self.gateways {
            let verdict = value(gateway, &VERDICT).await?;
            ensure!(verdict < ANOMALOUS, "a healthy candidate is condemned");
        }
        Ok(())
    }

    fn lost_so_far(&self) -> u64 {
        self.loads.iter().map(|load| load.snapshot().lost()).sum()
    }

    /// The candidate is about to fail.
    async fn begin(&mut self) {
        self.lost_before = self.lost_so_far();
        if self.case.killed
            && let Some(served) = &mut self.served
        {
            served.stop().await;
        }
    }

    /// Looks at what has come of it since `begun`; whether all gateways steer.
    async fn look(&mut self, begun: Instant) -> Result<bool> {
        if self.lost.is_some() {
            return Ok(true);
        }
        if let Some(served) = &mut self.served
            && served.task.is_none()
        {
            // Each has missed it three times: it comes back.
            let mut missed = true;
            for gateway in &self.gateways {
                missed &= value(gateway, &FLEET_UNANSWERED).await? > 2.5;
            }
            if missed {
                served.start().await?;
            }
        }
        let mut steering = 0;
        for (gateway, seconds) in self.gateways.iter().zip(&mut self.seconds) {
            if seconds.is_none() && value(gateway, &VERDICT).await? > ANOMALOUS - 0.5 {
                *seconds = Some(begun.elapsed().as_secs_f64());
            }
            if seconds.is_some() && value(gateway, &STEERED).await? > 0.0 {
                steering += 1;
            }
        }
        if steering == GATEWAYS {
            self.lost = Some(self.lost_so_far() - self.lost_before);
        }
        Ok(self.lost.is_some())
    }
}

#[ignore = "takes a quarter of an hour: make fleet-figures"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_three_gateways_as_a_fleet_and_alone() -> Result<()> {
    let Some(binary) = server::prometheus_binary() else {
        return Ok(());
    };
    let _turn = turn::alone().await;
    println!(
        "| three gateways | seconds until the first, second and third verdict | lost requests |"
    );
    println!("| --- | --- | --- |");
    for round in 0..3 {
        let shops = Shops::start(900 + round).await?;
        let mut scenes = Vec::new();
        for (number, case) in (0..).zip(CASES) {
            let seed = 1_000 * (round + 1) + 10 * number;
            scenes.push(Scene::start(&binary, &shops, case, seed).await?);
        }
        for scene in &scenes {
            scene.settle().await?;
        }
        for scene in &mut scenes {
            scene.begin().await;
        }
        let fault = Fault::all(StatusCode::SERVICE_UNAVAILABLE).share(FAILING);
        shops.v2.set_fault(Some(fault));
        let begun = Instant::now();
        let mut ended = false;
        while !ended {
            ensure!(begun.elapsed() < LONGEST, "no verdict within {LONGEST:?}");
            ended = true;
            for scene in &mut scenes {
                ended &= scene.look(begun).await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
        for scene in &scenes {
            let mut seconds: Vec<f64> = scene.seconds.into_iter().flatten().collect();
            seconds.sort_by(f64::total_cmp);
            let seconds: Vec<String> = seconds.iter().map(|each| format!("{each:.0}")).collect();
            println!(
                "| {} | {} | {} |",
                scene.case.what,
                seconds.join(", "),
                scene.lost.unwrap_or_default()
            );
        }
    }
    Ok(())
}
