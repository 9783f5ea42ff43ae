//! The site has every page of docs, and no other.

use anyhow::{Result, ensure};
use pulldown_cmark::{Event, Parser, Tag};
use serin_integration::envoy::workspace;
use std::collections::BTreeSet;
use std::fs;

const SUMMARY: &str = "SUMMARY.md";

#[test]
fn the_summary_names_every_page_of_docs_once_and_no_other() -> Result<()> {
    let docs = workspace().join("docs");
    let text = fs::read_to_string(docs.join(SUMMARY))?;
    let mut named = BTreeSet::new();
    for event in Parser::new(&text) {
        let Event::Start(Tag::Link { dest_url, .. }) = event else {
            continue;
        };
        ensure!(
            docs.join(dest_url.as_ref()).is_file(),
            "{SUMMARY} names {dest_url}, which does not exist"
        );
        let outside = dest_url.starts_with("../");
        ensure!(
            outside || named.insert(dest_url.to_string()),
            "{SUMMARY} names {dest_url} twice"
        );
    }
    let mut pages = BTreeSet::new();
    for entry in fs::read_dir(&docs)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && name != SUMMARY {
            pages.insert(name);
        }
    }
    assert_eq!(named, pages);
    Ok(())
}
