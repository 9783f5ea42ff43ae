//! What the documents say is true: links, paths, targets, config fields, categories, manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use clap::error::ErrorKind;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use scorer_sdk::Plan;
use serde_json::Value;
use serin_integration::envoy::{binary, run_dir, workspace};

/// What is neither source nor document.
const BUILT: [&str; 3] = ["target", ".cache", ".git"];

/// A document, taken apart.
#[derive(Debug, Default)]
struct Document {
    path: PathBuf,
    links: Vec<String>,
    /// Texts in backticks.
    spans: Vec<String>,
    /// Fenced blocks with the name of their language.
    blocks: Vec<(String, String)>,
    /// Rows of all tables, each with the heading above it.
    rows: Vec<(String, Vec<String>)>,
}

impl Document {
    fn read(path: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut document = Self {
            path,
            ..Self::default()
        };
        let mut heading = String::new();
        // Where the text between a start and its end goes.
        let (mut block, mut title, mut row) = (None, false, Vec::new());
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push(dest_url.into_string());
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    block = Some((language.into_string(), String::new()));
                }
                Event::End(TagEnd::CodeBlock) => document.blocks.extend(block.take()),
                Event::Start(Tag::Heading { .. }) => {
                    heading.clear();
                    title = true;
                }
                Event::End(TagEnd::Heading(_)) => title = false,
                Event::Start(Tag::TableRow) => row.clear(),
                Event::Start(Tag::TableCell) => row.push(String::new()),
                Event::End(TagEnd::TableRow) => {
                    document
                        .rows
                        .push((heading.clone(), std::mem::take(&mut row)));
                }
                Event::Code(code) => {
                    if let Some(cell) = row.last_mut() {
                        cell.push_str(&code);
                    }
                    if title {
                        heading.push_str(&code);
                    }
                    document.spans.push(code.into_string());
                }
                Event::Text(text) => match (&mut block, row.last_mut()) {
                    (Some((_, content)), _) => content.push_str(&text),
                    (None, Some(cell)) => cell.push_str(&text),
                    (None, None) if title => heading.push_str(&text),
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(document)
    }

    fn name(&self) -> String {
        self.path
            .strip_prefix(workspace())
            .unwrap_or(&self.path)
            .display()
            .to_string()
    }

    /// First cells of the tables under a heading, with the rest of each row.
    fn table(&self, heading: &str) -> Result<BTreeMap<&str, &[String]>> {
        let rows: BTreeMap<&str, &[String]> = self
            .rows
            .iter()
            .filter(|(above, _)| above == heading)
            .filter_map(|(_, row)| row.split_first())
            .map(|(first, rest)| (first.as_str(), rest))
            .collect();
        ensure!(
            !rows.is_empty(),
            "{}: no table under `{heading}`",
            self.name()
        );
        Ok(rows)
    }
}

/// All documents: those of the root, of docs, of the manifests.
fn documents() -> Result<Vec<Document>> {
    let mut found = Vec::new();
    for folder in ["", "docs", "envoyfilter-manifests"] {
        for entry in fs::read_dir(workspace().join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(Document::read(path)?);
            }
        }
    }
    ensure!(found.len() >= 5, "documents are missing: {found:?}");
    Ok(found)
}

/// A page of docs.
fn page(name: &str) -> Result<Document> {
    Document::read(workspace().join("docs").join(name))
}

/// All files and folders of the repository that are not built, relative to its root.
pub(crate) fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let built = BUILT.iter().any(|name| path == workspace().join(name));
            if !built {
                found.push(path.strip_prefix(workspace())?.to_owned());
                files(&path, found)?;
            }
        } else {
            found.push(path.strip_prefix(workspace())?.to_owned());
        }
    }
    Ok(())
}

fn fail_on(wrong: Vec<String>) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

#[test]
fn links_within_the_repository_lead_somewhere() -> Result<()> {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for document in documents()? {
        let folder = document.path.parent().context("a document has a folder")?;
        for link in &document.links {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            if !folder.join(target).exists() {
                wrong.push(format!(
                    "{}: the link {link} leads nowhere",
                    document.name()
                ));
            }
        }
    }
    ensure!(seen > 5, "only {seen} links found");
    fail_on(wrong)
}

#[test]
fn every_picture_is_small_and_shown_by_a_document() -> Result<()> {
    const MOST_BYTES: u64 = 200_000;
    let documents = documents()?;
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for entry in fs::read_dir(workspace().join("docs/pictures"))? {
        let entry = entry?;
        let name = format!("pictures/{}", entry.file_name().display());
        seen += 1;
        let bytes = entry.metadata()?.len();
        if bytes > MOST_BYTES {
            wrong.push(format!(
                "{name} has {bytes} bytes, and {MOST_BYTES} are the most"
            ));
        }
        let mut links = documents.iter().flat_map(|document| &document.links);
        if !links.any(|link| link.ends_with(&name)) {
            wrong.push(format!("no document shows {name}"));
        }
    }
    ensure!(seen > 5, "only {seen} pictures found");
    fail_on(wrong)
}

/// Whether a text in backticks looks like a path of the repository.
fn looks_like_a_path(span: &str, top: &BTreeSet<String>) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if !span.bytes().all(plain) || span.starts_with('/') || span.starts_with('.') {
        return false;
    }
    let source = [".rs", ".md", ".toml", ".sh", ".py"]
        .iter()
        .any(|end| span.ends_with(end));
    match span.split_once('/') {
        Some((first, _)) => source || top.contains(first),
        None => source,
    }
}

#[test]
fn paths_in_backticks_exist() -> Result<()> {
    let mut known = Vec::new();
    files(&workspace(), &mut known)?;
    let top: BTreeSet<String> = known
        .iter()
        .filter(|path| path.components().count() == 1)
        .map(|path| path.display().to_string())
        .collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for document in documents()? {
        for span in document
            .spans
            .iter()
            .filter(|span| looks_like_a_path(span, &top))
        {
            seen += 1;
            // The end of a path is enough: `judge/route.rs`.
            if !known.iter().any(|path| path.ends_with(span)) {
                wrong.push(format!("{}: there is no {span}", document.name()));
            }
        }
    }
    ensure!(seen > 50, "only {seen} paths found");
    fail_on(wrong)
}

#[test]
fn make_targets_in_the_documents_exist() -> Result<()> {
    let makefile = fs::read_to_string(workspace().join("Makefile"))?;
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(target, _)| target)
        .filter(|target| !target.is_empty())
        .collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for document in documents()? {
        let blocks = document.blocks.iter().flat_map(|(_, text)| text.lines());
        for line in blocks.chain(document.spans.iter().map(String::as_str)) {
            let line = line.trim_start().trim_start_matches("$ ");
            let Some(rest) = line.strip_prefix("make ") else {
                continue;
            };
            let target = rest.split_whitespace().find(|word| !word.contains('='));
            let Some(target) = target else {
                continue;
            };
            seen += 1;
            if !targets.contains(target) {
                wrong.push(format!("{}: no target in `{line}`", document.name()));
            }
        }
    }
    ensure!(seen > 5, "only {seen} targets found");
    fail_on(wrong)
}

/// The commands `serin …` and `kubectl serin …` in a line of shell, without comments, pipes and
/// redirections.
fn serin_commands(line: &str) -> Vec<Vec<&str>> {
    let line = line.trim_start().trim_start_matches("$ ");
    let line = line.split(" #").next().unwrap_or_default();
    line.split(['|', ';', '&'])
        .map(|part| part.split(['>', '<']).next().unwrap_or_default())
        .map(|part| part.split_whitespace().collect::<Vec<_>>())
        .filter(|words| matches!(words[..], ["serin", ..] | ["kubectl", "serin", ..]))
        .collect()
}

#[test]
fn commands_in_the_documents_can_be_typed() -> Result<()> {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for document in documents()? {
        let shell = document
            .blocks
            .iter()
            .filter(|(language, _)| matches!(language.as_str(), "sh" | "console" | "bash"))
            .flat_map(|(_, text)| text.lines());
        let spans = document.spans.iter().map(String::as_str);
        // In a sentence the name of a command may stand alone.
        for (line, whole) in shell
            .map(|line| (line, true))
            .chain(spans.map(|span| (span, false)))
        {
            for words in serin_commands(line) {
                if words.contains(&"…") {
                    continue;
                }
                seen += 1;
                let parsed = if words[0] == "serin" {
                    serin_cli::args::Cli::try_parse_from(&words).map(|_| ())
                } else {
                    serin_cli::kubectl::args::Cli::try_parse_from(&words[1..]).map(|_| ())
                };
                let Err(error) = parsed else {
                    continue;
                };
                let named = matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                );
                if error.use_stderr() && (whole || !named) {
                    wrong.push(format!("{}: `{line}`: {error}", document.name()));
                }
            }
        }
    }
    ensure!(seen > 30, "only {seen} commands found");
    fail_on(wrong)
}

/// Paths of all config fields, from the source of the raw config.
fn config_fields() -> Result<BTreeSet<String>> {
    let source = fs::read_to_string(workspace().join("scorer-sdk/src/config/raw.rs"))?;
    let mut sections: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let mut section = "";
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("pub struct ") {
            section = rest.trim_end_matches(" {");
        } else if let Some((name, kind)) = line
            .strip_prefix("    pub ")
            .and_then(|field| field.split_once(": "))
        {
            let kind = kind.trim_end_matches(',');
            let kind = kind
                .strip_prefix("Option<")
                .map_or(kind, |kind| kind.trim_end_matches('>'));
            sections.entry(section).or_default().push((name, kind));
        }
    }
    let mut paths = BTreeSet::new();
    let mut open = vec![(String::new(), "Config")];
    while let Some((prefix, section)) = open.pop() {
        for (name, kind) in sections.get(section).with_context(|| section.to_owned())? {
            let path = format!("{prefix}{name}");
            if sections.contains_key(kind) {
                open.push((format!("{path}."), kind));
            } else {
                paths.insert(path);
            }
        }
    }
    ensure!(paths.contains("steer.probation.after"), "{paths:?}");
    Ok(paths)
}

#[test]
fn the_reference_of_the_config_has_just_the_fields_that_there_are() -> Result<()> {
    let page = page("reference-config.md")?;
    let written: BTreeSet<String> = page
        .table("Fields")?
        .into_keys()
        .map(str::to_owned)
        .collect();
    assert_eq!(written, config_fields()?);
    Ok(())
}

#[test]
fn ranges_of_whole_numbers_in_the_reference_are_those_that_the_plan_takes() -> Result<()> {
    let page = page("reference-config.md")?;
    let rows = page.table("Fields")?;
    for (field, config) in [
        ("routes.max", r#"{"routes": {"max": 1000000}}"#),
        ("reject.attempts", r#"{"reject": {"attempts": 1000000}}"#),
        ("max_series", r#"{"max_series": 1000000}"#),
        (
            "surprise.max_values",
            r#"{"surprise": {"max_values": 1000000}}"#,
        ),
    ] {
        let Err(error) = Plan::from_json(config) else {
            bail!("{field} takes a million");
        };
        let range = &rows.get(field).context(field)?[1];
        ensure!(error.to_string().ends_with(range), "{field}: {error}");
    }
    Ok(())
}

#[test]
fn the_table_of_categories_says_what_the_default_plan_does() -> Result<()> {
    let page = page("signals.md")?;
    let mut written = page.table("Signals and categories")?;
    let plan = Plan::from_json("")?;
    for (index, question) in &plan.questions {
        let row = written
            .remove(question.name)
            .with_context(|| format!("category {} is missing", question.name))?;
        let signal = plan.signals.get(*index).map_or("", |signal| signal.name());
        let needs = format!("{}", question.needs);
        let expected = [signal, &question.tolerance.to_string(), &needs];
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        let [found_signal, _, tolerance, found_needs] = cells[..] else {
            bail!("{}: {row:?}", question.name);
        };
        assert_eq!(
            [found_signal, tolerance, found_needs],
            expected,
            "{}",
            question.name
        );
    }
    ensure!(written.is_empty(), "no such categories: {written:?}");
    Ok(())
}

/// Compiles the configs of all WasmPlugins in a manifest, as `serin check-config` does; how many.
fn compile_plugins(manifest: &str) -> Result<usize> {
    if !manifest.contains("kind: WasmPlugin") {
        return Ok(0);
    }
    let found = serin_cli::config::find(manifest)?;
    for config in &found {
        config.compile()?;
    }
    Ok(found.len())
}

#[test]
fn configs_in_the_documents_compile() -> Result<()> {
    let mut compiled = 0;
    for name in [
        "how-it-decides.md",
        "install.md",
        "reference-config.md",
        "tuning.md",
    ] {
        for (language, text) in &page(name)?.blocks {
            compiled += match language.as_str() {
                "json" => Plan::from_json(text)
                    .map(|_| 1)
                    .with_context(|| text.clone())?,
                "yaml" => compile_plugins(text).with_context(|| text.clone())?,
                _ => 0,
            };
        }
    }
    ensure!(compiled >= 4, "only {compiled} configs found");
    Ok(())
}

#[test]
fn the_readme_stays_short() -> Result<()> {
    const MOST_LINES: usize = 150;
    let lines = fs::read_to_string(workspace().join("README.md"))?
        .lines()
        .count();
    ensure!(
        lines <= MOST_LINES,
        "{lines} lines, and {MOST_LINES} are the most: move the rest into docs"
    );
    Ok(())
}

#[test]
fn the_wasmplugin_of_the_base_has_a_config_that_compiles_and_fails_open() -> Result<()> {
    let base = workspace().join("envoyfilter-manifests/base");
    let kustomization: Value =
        serde_saphyr::from_str(&fs::read_to_string(base.join("kustomization.yaml"))?)?;
    let resources = kustomization["resources"].as_array().context("resources")?;
    let mut compiled = 0;
    for resource in resources {
        let manifest = fs::read_to_string(base.join(resource.as_str().context("a path")?))?;
        ensure!(manifest.contains("failStrategy: FAIL_OPEN"));
        compiled += compile_plugins(&manifest)?;
    }
    assert_eq!(compiled, 1);
    Ok(())
}

/// The plain Envoy's bootstrap with the module where it was built.
fn plain_envoy() -> Result<String> {
    let path = workspace().join("envoyfilter-manifests/plain-envoy/envoy.yaml");
    let text = fs::read_to_string(path)?;
    let module = workspace().join("target/serin.wasm");
    ensure!(
        module.is_file(),
        "no filter at {}; run `make wasm`",
        module.display()
    );
    let placeholder = "/etc/envoy/serin.wasm";
    assert_eq!(text.matches(placeholder).count(), 1);
    Ok(text.replace(placeholder, &module.display().to_string()))
}

/// All values of `configuration` in an Envoy config, wherever they are.
fn configurations(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field["value"].as_str()) {
                    ("configuration", Some(text)) => found.push(text.to_owned()),
                    _ => configurations(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| configurations(item, found)),
        _ => {}
    }
}

#[test]
fn envoy_accepts_the_plain_bootstrap_and_the_module_its_config() -> Result<()> {
    let text = plain_envoy()?;
    let mut configs = Vec::new();
    configurations(&serde_saphyr::from_str(&text)?, &mut configs);
    assert_eq!(configs.len(), 1);
    for config in &configs {
        Plan::from_json(config)?;
    }
    let folder = run_dir("documents");
    fs::create_dir_all(&folder)?;
    let path = folder.join("envoy.yaml");
    fs::write(&path, text)?;
    let checked = Command::new(binary()?)
        .args(["--mode", "validate", "-c"])
        .arg(&path)
        .output()?;
    let log = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{log}");
    // Envoy loads the module even then, and it says what it understood.
    assert!(
        log.contains("observe as comparer, baseline v1, candidate v2"),
        "{log}"
    );
    Ok(())
}
