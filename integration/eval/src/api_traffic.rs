//! The Cisco and Ariel University API security challenge: requests and responses of one small
//! service, some of them attacks.
//!
//! Attacks teach nothing and set no threshold. Once by the signals alone, and once with the looks at
//! the request's texts that the filter takes beside them ([`RequestTexts`]), within the filter's own
//! bounds.

use super::bounded::read_bounded;
pub use super::strange::Options;
use super::strange::{Caught, Sample, Split, mean_and_range, split};
use anyhow::{Context, Result, bail};
use scorer_sdk::config::SurprisePlan;
use scorer_sdk::route::PathTree;
use scorer_sdk::signal::NameHasher;
use scorer_sdk::surprise::features::Features;
use scorer_sdk::surprise::request_texts::RequestTexts;
use scorer_sdk::surprise::{ROUTE, Settings};
use scorer_sdk::{Exchange, HeaderNames, Plan};
use serde::Deserialize;
use serde_json::json;
use serin_cli::document::{Document, Table};
use sevenz_rust2::{ArchiveReader, Password};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Most bytes of the data set, unpacked; the known one has 25 MB.
const MAX_BYTES: u64 = 256 << 20;
/// Most memory that unpacking may take, in KiB.
const MAX_MEMORY_KIB: usize = 512 << 10;
/// Most headers of one message that are looked at.
const MAX_HEADERS: usize = 48;
/// How many features are named beside a kind of attack.
const SHOWN_FEATURES: usize = 3;

#[derive(Debug, Deserialize)]
struct Pair {
    request: Request,
    response: Response,
}

#[derive(Debug, Deserialize)]
struct Request {
    headers: BTreeMap<String, String>,
    method: String,
    url: String,
    #[serde(default)]
    body: String,
    #[serde(default, rename = "Attack_Tag")]
    attack: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Response {
    headers: BTreeMap<String, String>,
    status_code: u16,
    #[serde(default)]
    body: String,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    Signals,
    Filter,
}

impl Looks {
    fn name(self) -> &'static str {
        match self {
            Self::Signals => "signals alone",
            Self::Filter => "as the filter sees it",
        }
    }
}

/// Runs the evaluation on the data set in `folder`; for programs and for people.
///
/// # Errors
/// When there is no data set in the folder, or it cannot be read.
pub fn run(folder: &Path, options: &Options) -> Result<(serde_json::Value, Document)> {
    let pairs = read(folder)?;
    let (attacks, benign): (Vec<&Pair>, Vec<&Pair>) =
        pairs.iter().partition(|pair| pair.request.attack.is_some());
    if benign.len() < 100 || attacks.is_empty() {
        bail!(
            "{} benign exchanges and {} attacks are too few: at least 100 and 1",
            benign.len(),
            attacks.len()
        );
    }
    let plan = Plan::from_json("")?;
    let reader = Reader::new(&plan);
    let results: Vec<(Looks, Vec<Split>)> = [Looks::Signals, Looks::Filter]
        .map(|looks| {
            let splits = (0..options.splits)
                .map(|number| one_split(&benign, &attacks, &reader, looks, options, number))
                .collect();
            (looks, splits)
        })
        .into();
    Ok((
        for_programs(&results),
        for_people(&results, &reader, options, benign.len(), attacks.len()),
    ))
}

fn one_split(
    benign: &[&Pair],
    attacks: &[&Pair],
    reader: &Reader<'_>,
    looks: Looks,
    options: &Options,
    number: u64,
) -> Split {
    let strange: Vec<(usize, &str)> = attacks
        .iter()
        .enumerate()
        .filter_map(|(index, pair)| Some((index, pair.request.attack.as_deref()?)))
        .collect();
    let seed = options.seed.wrapping_add(number);
    let mut paths = PathTree::new(reader.plan.paths.clone(), seed);
    let settings = Settings {
        // There is no time in the data, so that nothing gets old.
        keep: 1.0,
        ..SurprisePlan::new(reader.plan.memory).settings
    };
    split(
        benign.len(),
        &strange,
        seed,
        options.false_positives,
        settings,
        |index, strange| {
            let pairs = if strange { attacks } else { benign };
            pairs.get(index).map_or_else(Sample::default, |pair| {
                reader.sample(pair, looks, &mut paths)
            })
        },
    )
}

/// Turns exchanges into values, and remembers what the features are called.
struct Reader<'a> {
    plan: &'a Plan,
    features: Features,
    texts: RequestTexts,
    hasher: NameHasher,
}

impl<'a> Reader<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            features: Features::new(&plan.signals),
            texts: RequestTexts::new(NameHasher::new(1)),
            hasher: NameHasher::new(1),
        }
    }

    /// What a feature is called.
    fn name(&self, feature: u64) -> String {
        if feature == ROUTE {
            return "route".to_owned();
        }
        let signal = self.features.index(feature);
        let signal = signal.and_then(|index| self.plan.signals.get(index));
        match signal {
            Some(signal) => signal.name().replace('_', " "),
            None => self.texts.name(feature).unwrap_or_default(),
        }
    }

    fn sample(&self, pair: &Pair, looks: Looks, paths: &mut PathTree) -> Sample {
        let request = &pair.request;
        let target = path_and_query(&request.url);
        let path = target.split('?').next().unwrap_or_default();
        let template = paths.resolve(path);
        let route = format!("{} {}", request.method, paths.text(template));
        let names = |headers: &BTreeMap<String, String>| -> Vec<String> {
            headers
                .keys()
                .take(MAX_HEADERS)
                .map(|name| name.to_ascii_lowercase())
                .collect()
        };
        let (asked, answered) = (names(&request.headers), names(&pair.response.headers));
        let exchange = Exchange {
            method: &request.method,
            path: target,
            status: Some(pair.response.status_code),
            response_bytes: Some(pair.response.body.len() as u64),
            content_type: header(&pair.response.headers, "content-type"),
            header_names: Some(&answered as &dyn HeaderNames),
            request_bytes: Some(request.body.len() as u64),
            request_header_names: Some(&asked as &dyn HeaderNames),
            ..Exchange::default()
        };
        let mut values = Vec::new();
        self.features
            .read(&self.plan.signals, &exchange, &self.hasher, &mut values);
        if looks == Looks::Filter {
            // At a proxy the host is `:authority`.
            let headers = request.headers.iter().take(MAX_HEADERS);
            let headers =
                headers.map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes()));
            let headers: Vec<(String, &[u8])> = headers
                .map(|(name, value)| match name.as_str() {
                    "host" => (":authority".to_owned(), value),
                    _ => (name, value),
                })
                .collect();
            let target = [(":path", target.as_bytes())].into_iter();
            let headers = headers.iter().map(|(name, value)| (name.as_str(), *value));
            self.texts.read(target.chain(headers), &mut values);
        }
        Sample {
            route: self.hasher.hash(&route),
            values,
        }
    }
}

/// The URL without scheme and host.
fn path_and_query(url: &str) -> &str {
    match url.split_once("://") {
        Some((_, rest)) => rest
            .find('/')
            .and_then(|slash| rest.get(slash..))
            .unwrap_or("/"),
        None => url,
    }
}

fn header<'a>(headers: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value.as_str())
}

fn read(folder: &Path) -> Result<Vec<Pair>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    let with = |ending: &str| {
        files
            .iter()
            .find(|file| file.extension().is_some_and(|known| known == ending))
    };
    let Some(file) = with("json").or_else(|| with("7z")) else {
        bail!(
            "{}: no data set found; name the folder that holds dataset_1_train.7z or the JSON that \
             is in it",
            folder.display()
        );
    };
    let bytes = if file.extension().is_some_and(|ending| ending == "7z") {
        unpack(file)
    } else {
        read_bounded(fs::File::open(file)?, MAX_BYTES)
    }
    .with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not a list of exchanges", file.display()))
}

/// The first JSON file in an archive.
fn unpack(file: &Path) -> Result<Vec<u8>> {
    let source = fs::File::open(file)?;
    let mut archive =
        ArchiveReader::new_with_memory_limit(source, Password::empty(), MAX_MEMORY_KIB)?;
    let mut found = None;
    archive.for_each_entries(|entry, reader| {
        if entry.is_directory() || !entry.name().ends_with(".json") {
            return Ok(true);
        }
        found = Some(read_bounded(reader, MAX_BYTES));
        Ok(false)
    })?;
    found.unwrap_or_else(|| bail!("there is no JSON file in the archive"))
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

fn spread(values: &[f64]) -> String {
    let (mean, least, most) = mean_and_range(values);
    format!("{} ({}–{})", percent(mean), percent(least), percent(most))
}

fn kinds(splits: &[Split]) -> BTreeMap<String, Caught> {
    let mut kinds: BTreeMap<String, Caught> = BTreeMap::new();
    for (name, caught) in splits.iter().flat_map(|split| &split.kinds) {
        let sum = kinds.entry(name.clone()).or_default();
        sum.caught += caught.caught;
        sum.all += caught.all;
        for (feature, count) in &caught.features {
            *sum.features.entry(*feature).or_default() += count;
        }
    }
    kinds
}

fn recalls(splits: &[Split], kind: Option<&str>) -> Vec<f64> {
    splits.iter().map(|split| split.recall(kind)).collect()
}

fn false_positives(splits: &[Split]) -> Vec<f64> {
    splits.iter().map(Split::false_positive_rate).collect()
}

fn for_programs(results: &[(Looks, Vec<Split>)]) -> serde_json::Value {
    let range = |values: &[f64]| {
        let (mean, least, most) = mean_and_range(values);
        json!({"mean": mean, "least": least, "most": most})
    };
    results
        .iter()
        .map(|(looks, splits)| {
            let kinds: BTreeMap<String, serde_json::Value> = kinds(splits)
                .into_keys()
                .map(|kind| {
                    let recalls = range(&recalls(splits, Some(&kind)));
                    (kind, recalls)
                })
                .collect();
            json!({
                "looks": looks.name(),
                "splits": splits.len(),
                "recall": range(&recalls(splits, None)),
                "false_positive_rate": range(&false_positives(splits)),
                "recall_by_kind": kinds,
            })
        })
        .collect()
}

fn for_people(
    results: &[(Looks, Vec<Split>)],
    reader: &Reader<'_>,
    options: &Options,
    benign: usize,
    attacks: usize,
) -> Document {
    let mut columns = vec!["kind of attack".to_owned(), "attacks".to_owned()];
    columns.extend(results.iter().map(|(looks, _)| looks.name().to_owned()));
    columns.push("given away by".to_owned());
    let mut rows = Vec::new();
    let last = results.last().map_or(&[][..], |(_, splits)| splits);
    for (kind, caught) in kinds(last) {
        let mut row = vec![kind.clone(), (caught.all / last.len().max(1)).to_string()];
        row.extend(
            results
                .iter()
                .map(|(_, splits)| spread(&recalls(splits, Some(&kind)))),
        );
        let mut features: Vec<(u64, usize)> = caught.features.into_iter().collect();
        features.sort_by_key(|item| core::cmp::Reverse(item.1));
        let names: Vec<String> = features
            .iter()
            .take(SHOWN_FEATURES)
            .map(|(feature, _)| reader.name(*feature))
            .collect();
        row.push(names.join(", "));
        rows.push(row);
    }
    for (title, values) in [
        (
            "all",
            results
                .iter()
                .map(|(_, splits)| spread(&recalls(splits, None)))
                .collect::<Vec<_>>(),
        ),
        (
            "benign (false positives)",
            results
                .iter()
                .map(|(_, splits)| spread(&false_positives(splits)))
                .collect(),
        ),
    ] {
        let count = if title == "all" { attacks } else { benign };
        let mut row = vec![title.to_owned(), count.to_string()];
        row.extend(values);
        row.push(String::new());
        rows.push(row);
    }
    Document {
        title: "API traffic: attacks among ordinary exchanges".to_owned(),
        command: format!(
            "serin-eval api-traffic DIR --seed {} --splits {} --false-positives {}",
            options.seed, options.splits, options.false_positives
        ),
        paragraphs: vec![format!(
            "{benign} benign exchanges and {attacks} attacks. A random half of the benign ones is \
             learned, a quarter sets the threshold for {} false positives, the last quarter counts \
             them. Mean and range over {} splits. Attacks teach nothing and set no threshold.",
            percent(options.false_positives),
            options.splits
        )],
        tables: vec![Table {
            title: "Caught".to_owned(),
            columns,
            rows,
            notes: vec![
                "The data does not tell clients apart, so every exchange counts as a separate client."
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
    fn scheme_and_host_are_no_part_of_the_path() {
        assert_eq!(
            path_and_query("http://127.0.0.1:5000/a/../b?c"),
            "/a/../b?c"
        );
        assert_eq!(path_and_query("http://host"), "/");
        assert_eq!(path_and_query("/a"), "/a");
    }
}
