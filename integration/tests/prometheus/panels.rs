//! What the panels of every dashboard show beside their queries: units, colours, links.

use super::dashboards::{array, dashboards, panels, text};
use anyhow::{Context as _, Result, ensure};
use serin_integration::envoy::workspace;
use std::collections::BTreeSet;
use std::fs;

/// Names that Grafana has for units; beside them it takes any text as a suffix.
const UNITS: [&str; 8] = [
    "none",
    "short",
    "s",
    "bytes",
    "percentunit",
    "reqps",
    "ops",
    "dateTimeFromNow",
];

/// Where the links of the panels lead.
const REPOSITORY: &str = "https://github.com/serin-mesh/serin";

#[test]
fn every_number_of_the_dashboard_has_a_unit_and_steps_of_colour() -> Result<()> {
    let mut shown = 0;
    for dashboard in dashboards()? {
        for panel in panels(&dashboard)?.filter(|panel| panel["type"] != "text") {
            let title = text(panel, "title")?;
            let field = &panel["fieldConfig"]["defaults"];
            let unit = text(field, "unit").with_context(|| title.to_owned())?;
            ensure!(
                UNITS.contains(&unit) || unit.starts_with("suffix: "),
                "{title}: {unit}"
            );
            let steps = array(field, "/thresholds/steps").with_context(|| title.to_owned())?;
            // The first has no bound, and each of the others a higher one than that before it.
            let bounds: Vec<Option<f64>> =
                steps.iter().map(|step| step["value"].as_f64()).collect();
            ensure!(bounds.first() == Some(&None), "{title}: {steps:?}");
            ensure!(bounds.is_sorted_by(|a, b| a < b), "{title}: {steps:?}");
            ensure!(
                steps.iter().all(|step| step["color"].is_string()),
                "{title}"
            );
            shown += 1;
        }
    }
    ensure!(shown > 20, "only {shown} panels");
    Ok(())
}

/// The anchors that GitHub gives to a page's headings.
fn anchors(page: &str) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(workspace().join(page)).with_context(|| page.to_owned())?;
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    Ok(headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = |character: &char| character.is_alphanumeric() || "-_ ".contains(*character);
            heading
                .chars()
                .filter(kept)
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect())
}

#[test]
fn every_panel_of_the_dashboard_links_to_a_section_that_there_is() -> Result<()> {
    for dashboard in dashboards()? {
        for panel in panels(&dashboard)? {
            let title = text(panel, "title")?;
            let links = array(panel, "/links").with_context(|| title.to_owned())?;
            ensure!(!links.is_empty(), "{title}: no link");
            for link in links {
                let (name, address) = (text(link, "title")?, text(link, "url")?);
                let path = address.strip_prefix(REPOSITORY);
                let path = path.with_context(|| format!("{title}: {address}"))?;
                let (page, anchor) = path.split_once('#').unwrap_or((path, ""));
                let page = match page {
                    "" => "README.md",
                    page => page.strip_prefix("/blob/main/").context(title.to_owned())?,
                };
                let anchors = anchors(page)?;
                ensure!(
                    !name.is_empty() && (anchor.is_empty() || anchors.contains(anchor)),
                    "{title}: {page} has no {anchor}"
                );
            }
        }
    }
    Ok(())
}
