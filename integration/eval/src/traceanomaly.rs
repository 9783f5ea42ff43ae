//! TraceAnomaly: traces of the Train Ticket application as vectors of latencies, one element for each
//! call path.
//!
//! A trace is one exchange: its first call path is the route, the latency of that call the time of the
//! exchange, and the set of its call paths the fan-out; both are read by the filter's own signals. The
//! latencies of the other calls are one more group of values, in the buckets of the latency signal.
//! The training file is missing upstream, so that half of the normal file teaches.
//!
//! The time of the exchange must not be one of that group. A trace has up to 293 calls, and a normal
//! one often has a call that took long by chance; so a group of them expects a rare value, and what is
//! rare in the whole drowns in it. The whole also varies least: a third more than usual is a lot there
//! and nothing in a single call.

use super::bounded::read_bounded;
pub use super::strange::Options;
use super::strange::{Sample, Split, mean_and_range, split};
use anyhow::{Context, Result, bail};
use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive};
use scorer_sdk::signal::fan_out::FanOut;
use scorer_sdk::signal::latency::Latency;
use scorer_sdk::signal::{NameHasher, Signal};
use scorer_sdk::surprise::features::{Features, feature};
use scorer_sdk::surprise::{Limits, Settings, Value};
use scorer_sdk::{Exchange, buckets};
use serde_json::json;
use serin_cli::document::{Document, Table};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// Most bytes of one file, packed or unpacked; the largest known has 56 MB.
const MAX_BYTES: u64 = 512 << 20;
/// Most elements of a vector; the known ones have 890.
const MAX_ELEMENTS: usize = 4096;
/// The group of the calls' latencies.
const LATENCIES: u16 = 1;
/// About how many wide buckets of latencies there are.
const BUCKETS: u32 = 64;

/// Calls of one trace: index in the vector and latency in milliseconds.
type Trace = Vec<(u16, f32)>;

/// Runs the evaluation on the data set in `folder`; for programs and for people.
///
/// # Errors
/// When there is no data set in the folder, or it cannot be read.
pub fn run(folder: &Path, options: &Options) -> Result<(serde_json::Value, Document)> {
    let normal = read(folder, "test_normal")?;
    let abnormal = read(folder, "test_abnormal")?;
    if normal.len() < 1000 || abnormal.is_empty() {
        bail!(
            "{} normal and {} abnormal traces are too few: at least 1,000 and 1",
            normal.len(),
            abnormal.len()
        );
    }
    let (mut found, mut as_many, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..options.splits {
        let seed = options.seed.wrapping_add(number);
        let (split, taught) = one_split(&normal, &abnormal, seed, options.false_positives);
        found.push(Rates::of(&split, abnormal.len()));
        let peer = largest_latency(&normal, &abnormal, &taught);
        peers.push(peer);
        let (split, _) = one_split(&normal, &abnormal, seed, peer.false_positives);
        as_many.push(Rates::of(&split, abnormal.len()));
    }
    let value = json!({
        "normal": normal.len(),
        "abnormal": abnormal.len(),
        "serin": Rates::json(&found),
        "serin_at_the_peers_false_positives": Rates::json(&as_many),
        "structure_or_largest_latency": Rates::json(&peers),
    });
    let rows = [
        ("Serin's surprise", found.as_slice()),
        (
            "Serin's surprise, with the false positives of the next",
            &as_many,
        ),
        ("new structure, or latency above the largest", &peers),
    ];
    let document = for_people(options, normal.len(), abnormal.len(), &rows);
    Ok((value, document))
}

/// How right a judge was in one split.
#[derive(Debug, Clone, Copy)]
struct Rates {
    false_positives: f64,
    recall: f64,
    /// As if all traces that taught nothing had been judged, which is what published figures count.
    precision: f64,
    f1: f64,
}

impl Rates {
    fn new(false_positives: f64, normal: usize, recall: f64, abnormal: usize) -> Self {
        let caught = recall * abnormal as f64;
        let wrong = false_positives * normal as f64;
        let precision = caught / (caught + wrong).max(1.0);
        Self {
            false_positives,
            recall,
            precision,
            f1: 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE),
        }
    }

    fn of(split: &Split, abnormal: usize) -> Self {
        // Half of those that taught nothing set the threshold.
        let normal = 2 * split.normal;
        Self::new(
            split.false_positive_rate(),
            normal,
            split.recall(None),
            abnormal,
        )
    }

    fn columns(all: &[Self]) -> [Vec<f64>; 4] {
        [
            |rates: &Self| rates.precision,
            |rates: &Self| rates.recall,
            |rates: &Self| rates.f1,
            |rates: &Self| rates.false_positives,
        ]
        .map(|column| all.iter().map(column).collect())
    }

    fn json(all: &[Self]) -> serde_json::Value {
        let [precision, recall, f1, false_positives] = Self::columns(all).map(|values| {
            let (mean, least, most) = mean_and_range(&values);
            json!({"mean": mean, "least": least, "most": most})
        });
        json!({
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "false_positive_rate": false_positives,
        })
    }
}

/// Judges one split; also says which traces taught.
fn one_split(
    normal: &[Trace],
    abnormal: &[Trace],
    seed: u64,
    false_positives: f64,
) -> (Split, HashSet<usize>) {
    let strange: Vec<(usize, &str)> = (0..abnormal.len())
        .map(|index| (index, "abnormal"))
        .collect();
    let settings = Settings {
        limits: Limits {
            routes: 256,
            features: 1024,
            tokens: 64,
            all_tokens: 1 << 20,
        },
        // There is no time in the data, so that nothing gets old.
        keep: 1.0,
    };
    let reader = Reader::new();
    let mut taught = HashSet::new();
    let split = split(
        normal.len(),
        &strange,
        seed,
        false_positives,
        settings,
        |index, strange| {
            let traces = if strange { abnormal } else { normal };
            if !strange && taught.len() < normal.len() / 2 {
                taught.insert(index);
            }
            traces
                .get(index)
                .map_or_else(Sample::default, |trace| reader.sample(trace))
        },
    );
    (split, taught)
}

fn structure(trace: &Trace) -> String {
    let indices: Vec<String> = trace.iter().map(|call| call.0.to_string()).collect();
    indices.join(" ")
}

/// Turns traces into values.
struct Reader {
    signals: [Box<dyn Signal>; 2],
    features: Features,
    hasher: NameHasher,
    /// The features of the calls' latencies, by index in the vector.
    latencies: Vec<u64>,
}

impl Reader {
    fn new() -> Self {
        let signals: [Box<dyn Signal>; 2] = [Box::new(Latency::default()), Box::new(FanOut)];
        Self {
            features: Features::new(&signals),
            signals,
            hasher: NameHasher::new(1),
            latencies: (0..MAX_ELEMENTS)
                .map(|index| feature(&format!("call {index}")))
                .collect(),
        }
    }

    fn sample(&self, trace: &Trace) -> Sample {
        let [latency, _] = &self.signals;
        let fan_out = structure(trace);
        let microseconds = |latency_ms: f32| (f64::from(latency_ms) * 1e3) as u64;
        let exchange = Exchange {
            status: Some(200),
            duration_us: trace.first().map(|call| microseconds(call.1)),
            fan_out: Some(&fan_out),
            ..Exchange::default()
        };
        let mut values = Vec::new();
        self.features
            .read(&self.signals, &exchange, &self.hasher, &mut values);
        for (index, latency_ms) in trace.iter().skip(1) {
            let bucket = latency.group(buckets::code(microseconds(*latency_ms)));
            values.extend(
                self.latencies
                    .get(usize::from(*index))
                    .map(|feature| Value {
                        feature: *feature,
                        token: u64::from(bucket),
                        alphabet: BUCKETS,
                        group: LATENCIES,
                    }),
            );
        }
        Sample {
            route: trace.first().map_or(0, |call| u64::from(call.0)),
            values,
        }
    }
}

/// The peer: strange is a set of calls that did not occur in the learning half, or a latency above
/// the largest one of that call there.
fn largest_latency(normal: &[Trace], abnormal: &[Trace], taught: &HashSet<usize>) -> Rates {
    let mut structures = HashSet::new();
    let mut largest: HashMap<u16, f32> = HashMap::new();
    for trace in taught.iter().filter_map(|index| normal.get(*index)) {
        structures.insert(structure(trace));
        for (index, latency) in trace {
            let most = largest.entry(*index).or_default();
            *most = most.max(*latency);
        }
    }
    let strange = |trace: &Trace| {
        !structures.contains(&structure(trace))
            || trace
                .iter()
                .any(|(index, latency)| largest.get(index).is_none_or(|most| latency > most))
    };
    let others: Vec<&Trace> = (0..)
        .zip(normal)
        .filter(|(index, _)| !taught.contains(index))
        .map(|item| item.1)
        .collect();
    let wrong = others.iter().filter(|trace| strange(trace)).count();
    let caught = abnormal.iter().filter(|trace| strange(trace)).count();
    Rates::new(
        wrong as f64 / others.len().max(1) as f64,
        others.len(),
        caught as f64 / abnormal.len().max(1) as f64,
        abnormal.len(),
    )
}

/// Reads `name` or `name.zip`.
fn read(folder: &Path, name: &str) -> Result<Vec<Trace>> {
    let plain = folder.join(name);
    let packed = folder.join(format!("{name}.zip"));
    let (file, bytes) = if plain.is_file() {
        let bytes = read_file(&plain);
        (plain, bytes)
    } else if packed.is_file() {
        let bytes = read_file(&packed).and_then(|bytes| unpack(&bytes));
        (packed, bytes)
    } else {
        bail!(
            "{}: neither {name}.zip nor {name} is there",
            folder.display()
        );
    };
    let bytes = bytes.with_context(|| format!("cannot read {}", file.display()))?;
    let text = core::str::from_utf8(&bytes)
        .with_context(|| format!("{} is no text in UTF-8", file.display()))?;
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            parse(line).with_context(|| format!("{}, line {number}", file.display()))
        })
        .collect()
}

fn read_file(file: &Path) -> Result<Vec<u8>> {
    read_bounded(fs::File::open(file)?, MAX_BYTES)
}

/// The only file in a zip archive.
fn unpack(bytes: &[u8]) -> Result<Vec<u8>> {
    let archive = ZipArchive::from_slice(bytes)?;
    let mut entries = archive.entries();
    let entry = entries.next_entry()?.context("the archive is empty")?;
    let method = entry.compression_method();
    let local = archive.get_entry(entry.wayfinder())?;
    if method == CompressionMethod::DEFLATE {
        let unpacked = DeflateDecoder::new(local.data());
        return read_bounded(local.verifying_reader(unpacked), MAX_BYTES);
    }
    if method == CompressionMethod::STORE {
        return read_bounded(local.verifying_reader(local.data()), MAX_BYTES);
    }
    bail!("the archive is neither stored nor deflated; unpack it by hand")
}

/// Reads `id:latency,latency,…`; an element without a call is 0.
fn parse(line: &str) -> Result<Trace> {
    let (_, vector) = line.split_once(':').context("there is no colon")?;
    let mut trace = Trace::new();
    for (index, text) in vector.split(',').enumerate() {
        if index >= MAX_ELEMENTS {
            bail!("the vector has more than {MAX_ELEMENTS} elements");
        }
        if text == "0" {
            continue;
        }
        let latency: f32 = text
            .trim()
            .parse()
            .with_context(|| format!("{text:?} is no latency"))?;
        if !latency.is_finite() || latency < 0.0 {
            bail!("{text:?} is no latency");
        }
        if latency > 0.0 {
            trace.push((index as u16, latency));
        }
    }
    Ok(trace)
}

fn for_people(
    options: &Options,
    normal: usize,
    abnormal: usize,
    judges: &[(&str, &[Rates])],
) -> Document {
    let row = |name: &str, rates: &[Rates]| {
        let mut row = vec![name.to_owned()];
        let [precision, recall, f1, false_positives] = Rates::columns(rates).map(|values| {
            let (mean, least, most) = mean_and_range(&values);
            (mean, least, most)
        });
        for (mean, least, most) in [precision, recall, f1] {
            row.push(format!("{mean:.3} ({least:.3}–{most:.3})"));
        }
        let (mean, least, most) = false_positives;
        row.push(format!(
            "{:.2}% ({:.2}–{:.2})",
            100.0 * mean,
            100.0 * least,
            100.0 * most
        ));
        row
    };
    Document {
        title: "TraceAnomaly: abnormal traces of Train Ticket".to_owned(),
        command: format!(
            "serin-eval traceanomaly DIR --seed {} --splits {} --false-positives {}",
            options.seed, options.splits, options.false_positives
        ),
        paragraphs: vec![format!(
            "{normal} normal and {abnormal} abnormal traces. A random half of the normal ones is \
             learned, a quarter sets the threshold for {:.1}% false positives, the last quarter \
             counts them. Mean and range over {} splits.",
            100.0 * options.false_positives,
            options.splits
        )],
        tables: vec![Table {
            title: "Caught".to_owned(),
            columns: ["judge", "precision", "recall", "F1", "false positives"]
                .map(str::to_owned)
                .to_vec(),
            rows: judges.iter().map(|(name, rates)| row(name, rates)).collect(),
            notes: vec![
                "Precision and F1 weigh false positives as if all normal traces that taught nothing \
                 had been judged, as published figures do."
                    .to_owned(),
            ],
        }],
        plots: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_and_nonsense_is_refused() {
        assert_eq!(parse("ab:0,1.5,0,2").unwrap(), vec![(1, 1.5), (3, 2.0)]);
        for bad in ["0,1", "a:0,x", "a:0,-1", "a:0,NaN"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&format!("a:{}", "0,".repeat(MAX_ELEMENTS))).is_err());
    }

    #[test]
    fn f1_is_the_published_one_for_the_published_rates() {
        let rates = Rates::new(0.015, 15_178, 1.0, 5_079);
        assert!((rates.precision - 0.957).abs() < 0.001);
        assert!((rates.f1 - 0.978).abs() < 0.001);
    }
}
