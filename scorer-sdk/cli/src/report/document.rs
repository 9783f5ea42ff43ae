//! Documents as sections of a page, and how they are found in a JSON file.

use super::plot;
use super::terminal::is_numeric;
use crate::document::{Document, Table};
use anyhow::{Context, Result, bail};
use maud::{Markup, html};
use serde_json::Value;

/// Finds the document in what a command printed with `--json`: its field `document`, or the whole.
///
/// # Errors
/// When it is not a JSON object, or there is no document in it.
pub fn find(text: &str) -> Result<Document> {
    let mut value: Value = serde_json::from_str(text).context("is not JSON")?;
    let Some(object) = value.as_object_mut() else {
        bail!("is JSON, but not an object");
    };
    if let Some(inside) = object.remove("document") {
        return serde_json::from_value(inside).context("its document cannot be read");
    }
    if object.contains_key("decisions") {
        bail!("is what serin replay printed: give the recording itself to serin report");
    }
    if !object.contains_key("tables") && !object.contains_key("plots") {
        bail!("holds no document: serin-eval --json writes one");
    }
    serde_json::from_value(value).context("is not a document")
}

/// A document as a section. `id` is where links point to.
#[must_use]
pub fn section(document: &Document, id: &str) -> Markup {
    html! {
        section id=(id) {
            h2 { (document.title) }
            @if !document.command.is_empty() {
                p.made { "Made by " code { (document.command) } }
            }
            @for paragraph in &document.paragraphs { p { (paragraph) } }
            @for shown in &document.tables { (table(shown)) }
            @if !document.plots.is_empty() {
                div.plots {
                    @for shown in &document.plots { (plot::figure(shown)) }
                }
            }
        }
    }
}

/// A table that scrolls by itself where it is too wide.
#[must_use]
pub fn table(table: &Table) -> Markup {
    let kinds: Vec<&str> = (0..table.columns.len())
        .map(|column| {
            if is_numeric(table, column) {
                "number"
            } else {
                "text"
            }
        })
        .collect();
    let kind = |column: usize| kinds.get(column).copied().unwrap_or("text");
    html! {
        @if !table.title.is_empty() { h3 { (table.title) } }
        div.scroll tabindex="0" role="region" aria-label=(table.title) {
            table {
                thead { tr {
                    @for (column, name) in table.columns.iter().enumerate() {
                        th scope="col" class=(kind(column)) { (name) }
                    }
                } }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (column, cell) in row.iter().enumerate() {
                                td class=(kind(column)) { (cell) }
                            }
                        }
                    }
                }
            }
        }
        @for note in &table.notes { p.note { (note) } }
    }
}
