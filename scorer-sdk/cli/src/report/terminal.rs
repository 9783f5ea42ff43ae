//! Documents as text: for a terminal and for Markdown.

use crate::document::{Document, Table};
use crate::output::{BOLD, DIM, plain, styled, width, wrapped};
use comfy_table::{CellAlignment, ContentArrangement, presets};
use std::fmt::Write as _;

/// A document for the terminal that is there, or for a file. Plots are named only: a page shows them.
#[must_use]
pub fn to_terminal(document: &Document) -> String {
    within(document, width())
}

/// A document within lines of so many characters, where that is said.
#[must_use]
pub fn within(document: &Document, width: Option<usize>) -> String {
    let mut text = String::new();
    let fitted = |text: &str| match width {
        Some(width) => wrapped(text, width),
        None => format!("{text}\n"),
    };
    if !document.title.is_empty() {
        let _ = writeln!(text, "{}", styled(BOLD, &plain(&document.title)));
    }
    for paragraph in &document.paragraphs {
        text.push_str(&fitted(&plain(paragraph)));
    }
    for table in &document.tables {
        text.push('\n');
        if !table.title.is_empty() {
            let _ = writeln!(text, "{}", styled(BOLD, &plain(&table.title)));
        }
        let _ = writeln!(text, "{}", drawn(table, width));
        for note in &table.notes {
            text.push_str(&styled(DIM, &fitted(&plain(note))));
        }
    }
    if !document.plots.is_empty() {
        let titles: Vec<_> = document
            .plots
            .iter()
            .map(|plot| plain(&plot.title))
            .collect();
        let note = format!("plots, for serin report: {}", titles.join("; "));
        let _ = writeln!(text, "\n{}", styled(DIM, &note));
    }
    if !document.command.is_empty() {
        let command = format!("made by: {}", plain(&document.command));
        let _ = writeln!(text, "\n{}", styled(DIM, &command));
    }
    text
}

/// A document as GitHub's Markdown. Plots are left out.
#[must_use]
pub fn to_markdown(document: &Document) -> String {
    let mut text = String::new();
    if !document.title.is_empty() {
        let _ = writeln!(text, "## {}\n", inline(&document.title));
    }
    if !document.command.is_empty() {
        let command = document.command.replace(['`', '\n'], " ");
        let _ = writeln!(text, "Made by `{command}`.\n");
    }
    for paragraph in &document.paragraphs {
        let _ = writeln!(text, "{}\n", inline(paragraph));
    }
    for table in &document.tables {
        if !table.title.is_empty() {
            let _ = writeln!(text, "### {}\n", inline(&table.title));
        }
        let row = |cells: &mut dyn Iterator<Item = String>| {
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        text.push_str(&row(&mut table.columns.iter().map(|name| cell(name))));
        text.push_str(&row(&mut (0..table.columns.len()).map(|column| {
            let rule = if is_numeric(table, column) {
                "---:"
            } else {
                "---"
            };
            rule.to_owned()
        })));
        for cells in &table.rows {
            text.push_str(&row(&mut cells.iter().map(|text| cell(text))));
        }
        text.push('\n');
        for note in &table.notes {
            let _ = writeln!(text, "{}\n", inline(note));
        }
    }
    text
}

fn drawn(table: &Table, width: Option<usize>) -> comfy_table::Table {
    let mut drawn = comfy_table::Table::new();
    fit(&mut drawn, width);
    drawn
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_header(table.columns.iter().map(|name| plain(name).into_owned()));
    for row in &table.rows {
        drawn.add_row(row.iter().map(|text| plain(text).into_owned()));
    }
    for column in 0..table.columns.len() {
        if let Some(drawn) = drawn.column_mut(column)
            && is_numeric(table, column)
        {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    drawn
}

/// Breaks what is in a table's cells where it would be wider than the terminal.
pub fn fit(table: &mut comfy_table::Table, width: Option<usize>) {
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
}

/// Whether a column holds numbers, with units or not, and so stands to the right. One cell in four
/// may say in words why it has none.
#[must_use]
pub fn is_numeric(table: &Table, column: usize) -> bool {
    let cells = table
        .rows
        .iter()
        .filter_map(|row| row.get(column))
        .map(|text| text.trim())
        .filter(|text| !matches!(*text, "" | "-" | "–" | "—" | "n/a"));
    let (numbers, all) = cells.fold((0_usize, 0_usize), |(numbers, all), text| {
        (numbers + usize::from(begins_with_number(text)), all + 1)
    });
    all > 0 && 4 * numbers >= 3 * all
}

/// Whether a cell is a number and perhaps a unit or a bracket, and no sentence that begins with one.
fn begins_with_number(text: &str) -> bool {
    let number = text.trim_start_matches(['<', '>', '≤', '≥', '−', '-', '+', '~', ' ']);
    let before_bracket = number.split('(').next().unwrap_or_default();
    number.starts_with(|first: char| first.is_ascii_digit()) && !before_bracket.contains(", ")
}

/// Text within a paragraph: on one line, no tags.
fn inline(text: &str) -> String {
    plain(&text.replace('\n', " ")).replace('<', "&lt;")
}

/// Text within a row of a table.
fn cell(text: &str) -> String {
    inline(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Plot;

    fn document() -> Document {
        Document {
            title: "Rates".to_owned(),
            command: "serin-eval rates".to_owned(),
            paragraphs: vec!["How often.".to_owned()],
            tables: vec![Table {
                title: "False alarms".to_owned(),
                columns: ["judge", "runs", "false"].map(str::to_owned).to_vec(),
                rows: vec![
                    ["Serin", "1,000", "0.1%"].map(str::to_owned).to_vec(),
                    ["a|b <i>\u{1b}[31m", "1,000", "–"]
                        .map(str::to_owned)
                        .to_vec(),
                ],
                notes: vec!["Binomial margins.".to_owned()],
            }],
            plots: vec![Plot {
                title: "Power".to_owned(),
                ..Plot::default()
            }],
        }
    }

    #[test]
    fn markdown_has_each_row_and_numbers_stand_to_the_right() {
        assert_eq!(
            to_markdown(&document()),
            "## Rates\n\nMade by `serin-eval rates`.\n\nHow often.\n\n### False alarms\n\n\
             | judge | runs | false |\n| --- | ---: | ---: |\n| Serin | 1,000 | 0.1% |\n\
             | a\\|b &lt;i>\u{fffd}[31m | 1,000 | – |\n\nBinomial margins.\n\n"
        );
    }

    #[test]
    fn a_terminal_gets_rows_notes_and_the_names_of_plots() {
        let text = to_terminal(&document());
        for part in [
            "Rates",
            "How often.",
            "Serin",
            "Binomial margins.",
            "Power",
            "serin-eval rates",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(
            !text.contains("\u{1b}[31m"),
            "data cannot command the terminal"
        );
    }
}
