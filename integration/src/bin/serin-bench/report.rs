//! What came out: `bench.json` and the table.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use serin_integration::envoy::binary;

use crate::cpu::Cores;
use crate::statistics::Spread;
use crate::variants::{Variant, modules};

/// Version of the form of `bench.json`.
const FORMAT: u32 = 1;

/// Share of foreign work on the measured core above which the numbers are not to be trusted.
const BUSY: f64 = 0.05;
/// Largest difference between the two no-op filters that still lets small differences be seen.
const APART: f64 = 0.02;

/// What one variant cost.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The variant's name.
    pub(crate) name: String,
    /// What it is.
    pub(crate) about: String,
    /// Microseconds of processor time per request, one reading for each round.
    pub(crate) us_per_request: Vec<f64>,
    /// In each round, the time for which the proxy was ready to run and something else had its core,
    /// over the time for which it ran.
    pub(crate) waited_per_ran: Vec<f64>,
    /// Microseconds of processor time per second without any request.
    pub(crate) idle_us_per_second: f64,
}

impl Outcome {
    /// Of a variant that was not measured yet.
    pub(crate) fn new(variant: &Variant) -> Self {
        Self {
            name: variant.name.clone(),
            about: variant.about.clone(),
            us_per_request: Vec::new(),
            waited_per_ran: Vec::new(),
            idle_us_per_second: 0.0,
        }
    }

    /// This variant's readings over the other's, round by round.
    fn ratio_to(&self, other: &Self) -> Spread {
        self.over(other, |mine, theirs| mine / theirs)
    }

    /// This variant's readings compared with the other's, round by round.
    pub(crate) fn over(&self, other: &Self, compare: impl Fn(f64, f64) -> f64) -> Spread {
        let pairs = self.us_per_request.iter().zip(&other.us_per_request);
        let compared: Vec<f64> = pairs
            .map(|(mine, theirs)| compare(*mine, *theirs))
            .collect();
        Spread::of(&compared)
    }
}

/// A whole run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Connections to each proxy.
    pub(crate) connections: usize,
    /// Rounds.
    pub(crate) rounds: usize,
    /// Requests per variant and round.
    pub(crate) requests: usize,
    /// Where everything ran; `None` when it was not bound to cores.
    pub(crate) cores: Option<Cores>,
    /// The machine's load average before and after.
    pub(crate) load_average: (f64, f64),
    /// Duration of the measurement.
    pub(crate) seconds: f64,
    /// What the engine's benchmark left.
    pub(crate) engine: Option<Value>,
    /// The variants.
    pub(crate) outcomes: Vec<Outcome>,
}

/// The content of `bench.json`.
pub(crate) fn json(run: &Run) -> Value {
    let named = |name: &str| run.outcomes.iter().find(|outcome| outcome.name == name);
    let variants: Vec<Value> = run
        .outcomes
        .iter()
        .map(|outcome| {
            let ratio = |name| named(name).map(|other| outcome.ratio_to(other).json());
            json!({
                "name": outcome.name,
                "about": outcome.about,
                "us_per_request": Spread::of(&outcome.us_per_request).json(),
                "ratio_to_noop": ratio("noop"),
                "ratio_to_none": ratio("none"),
                "ratio_to_lua_five": ratio("lua-five"),
                "idle_us_per_second": outcome.idle_us_per_second.round(),
                "us_per_request_by_round": outcome.us_per_request,
                "waited_per_ran_by_round": outcome.waited_per_ran
            })
        })
        .collect();
    let wasm: Vec<Value> = modules()
        .iter()
        .map(|(name, path)| {
            let plain = fs::metadata(path).ok().map(|file| file.len());
            let gzip = Command::new("gzip")
                .args(["-9", "-c"])
                .arg(path)
                .output()
                .ok();
            json!({
                "name": name,
                "bytes": plain,
                "gzip_bytes": gzip.map(|output| output.stdout.len())
            })
        })
        .collect();
    json!({
        "format": FORMAT,
        "rounds": run.rounds,
        "requests_per_round": run.requests,
        "connections": run.connections,
        "seconds": run.seconds.round(),
        "machine": machine(run),
        "variants": variants,
        "engine_ns_per_exchange": run.engine.as_ref().and_then(|engine| engine.get("record_ns")),
        "engine": run.engine,
        "wasm": wasm
    })
}

fn machine(run: &Run) -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let envoy = binary()
        .ok()
        .and_then(|path| Command::new(path).arg("--version").output().ok())
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .and_then(|text| Some(text.split_once("version: ")?.1.trim().to_owned()));
    json!({
        "cpu": model,
        "cores": cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        "kernel": kernel.trim(),
        "envoy": envoy,
        "measured_core": run.cores.map(|cores| cores.measured),
        "load_average_before_and_after": [run.load_average.0, run.load_average.1]
    })
}

/// Says so when the numbers are not to be trusted. Processor time does not contain the wait for a
/// core, but the caches come back cold; and two processes with the same filter that differ show what
/// other guests of the machine do, which no counter of ours sees.
pub(crate) fn warning(run: &Run) -> Option<String> {
    let waited: Vec<f64> = run
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.waited_per_ran.iter().copied())
        .collect();
    let waited = Spread::of(&waited).median;
    let named = |name: &str| run.outcomes.iter().find(|outcome| outcome.name == name);
    let apart = named("noop-again")
        .zip(named("noop"))
        .map_or(0.0, |(again, noop)| {
            (again.ratio_to(noop).median - 1.0).abs()
        });
    (waited > BUSY || apart > APART).then(|| {
        format!(
            "do not trust these numbers, repeat them on a quiet machine: something else had the \
             measured core for {waited:.2} times as long as the proxies, and the same no-op \
             filter in two processes came out {apart:.3} apart"
        )
    })
}

/// The machine's load average over the last minute; 0 when the kernel does not tell.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0.0)
}

/// The table for people, Markdown, from the content of `bench.json`.
pub(crate) fn table(json: &Value) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_table(&mut text, json);
    text
}

fn write_table(text: &mut String, json: &Value) -> std::fmt::Result {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64).unwrap_or(f64::NAN);
    let list = |key: &str| {
        json.get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    writeln!(
        text,
        "| variant | CPU per request, us | quartiles | to no filter | to no-op | quartiles | idle, us/s |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for variant in list("variants") {
        let of = |key: &str| number(variant.get(key).and_then(|spread| spread.get("median")));
        let quartile =
            |key: &str, index: usize| number(variant.pointer(&format!("/{key}/quartiles/{index}")));
        writeln!(
            text,
            "| {} | {:.2} | {:.2} to {:.2} | {:.3} | {:.3} | {:.3} to {:.3} | {:.0} |",
            variant
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            of("us_per_request"),
            quartile("us_per_request", 0),
            quartile("us_per_request", 1),
            of("ratio_to_none"),
            of("ratio_to_noop"),
            quartile("ratio_to_noop", 0),
            quartile("ratio_to_noop", 1),
            number(variant.get("idle_us_per_second")),
        )?;
    }
    writeln!(text)?;
    for module in list("wasm") {
        writeln!(
            text,
            "{}.wasm: {} bytes, {} gzipped",
            module
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            number(module.get("bytes")),
            number(module.get("gzip_bytes")),
        )?;
    }
    if let Some(engine) = json.get("engine").and_then(Value::as_object) {
        for (name, spread) in engine {
            writeln!(
                text,
                "engine, native: {name} {:.0} (quartiles {:.0} to {:.0})",
                number(spread.get("median")),
                number(spread.pointer("/quartiles/0")),
                number(spread.pointer("/quartiles/1")),
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_compare_within_the_round() {
        let outcome = |name: &str, readings: &[f64]| Outcome {
            name: name.to_owned(),
            about: String::new(),
            us_per_request: readings.to_vec(),
            waited_per_ran: Vec::new(),
            idle_us_per_second: 0.0,
        };
        // The machine was twice as slow in the second round, for both.
        let run = Run {
            connections: 16,
            rounds: 2,
            requests: 1,
            cores: None,
            load_average: (0.0, 0.0),
            seconds: 1.0,
            engine: None,
            outcomes: vec![
                outcome("noop", &[10.0, 20.0]),
                outcome("serin", &[11.0, 22.0]),
            ],
        };
        let json = json(&run);
        assert_eq!(json["variants"][1]["ratio_to_noop"]["median"], 1.1);
        assert_eq!(json["variants"][1]["ratio_to_noop"]["quartiles"][1], 1.1);
        assert!(json["variants"][1]["ratio_to_none"].is_null());
        assert!(table(&json).contains("| serin | 16.50 | 13.75 to 19.25 |"));
    }
}
