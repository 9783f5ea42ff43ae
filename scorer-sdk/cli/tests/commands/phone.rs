//! A report on a phone: what a browser makes of the page at 390 pixels. Needs chromium; without it the
//! test is left out.

use super::report::{Folder, bad_canary, stats};
use crate::support::proxy::serve;
use crate::support::rollout::Rollout;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The width of a usual phone, in pixels of the style sheet.
const WIDTH: u32 = 390;
/// What chromium is called.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Says of the page in the frame: its width, how wide it would have to be, and each part that scrolls
/// sideways or ends beyond the right edge.
const MEASURE: &str = r#"<script>onload = () => {
  const page = frames[0].document, root = page.documentElement, width = root.clientWidth;
  const found = [`width ${width}`, `needs ${root.scrollWidth}`];
  for (const region of page.querySelectorAll(".scroll"))
    if (region.scrollWidth > region.clientWidth)
      found.push(`scrolls: ${region.getAttribute("aria-label")}, ${region.scrollWidth} of ${region.clientWidth}`);
  for (const part of page.body.querySelectorAll("*")) {
    const box = part.getBoundingClientRect();
    if (box.width > 0 && box.right > width + 0.5)
      found.push(`ends at ${box.right}: ${part.tagName} ${part.getAttribute("class")}`);
  }
  document.body.append(Object.assign(document.createElement("pre"), {textContent: found.join("\n")}));
}</script>"#;

fn chromium() -> Option<&'static str> {
    NAMES.into_iter().find(|name| {
        let version = Command::new(name).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    })
}

/// What [`MEASURE`] found, line by line.
fn measured(chromium: &str, folder: &Path, page: &str) -> Vec<String> {
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let frame = format!(
        "<!DOCTYPE html><html><body><iframe style=\"border:0;width:{WIDTH}px;height:844px\" \
         srcdoc=\"{page}\"></iframe>{MEASURE}</body></html>"
    );
    let path = folder.join("frame.html");
    std::fs::write(&path, frame).unwrap();
    let output = assert_cmd::Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--hide-scrollbars", "--dump-dom"])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("chromium").display()
        ))
        .arg(format!("file://{}", path.display()))
        .timeout(Duration::from_secs(180))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text
        .split_once("<pre>")
        .and_then(|(_, rest)| rest.split_once("</pre>"));
    let Some((found, _)) = found else {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    };
    found.lines().map(str::to_owned).collect()
}

/// A bad canary whose names are as long as names become.
fn long_names() -> String {
    let records = bad_canary().records().into_iter().map(|mut record| {
        record.destination = "outbound|8080||recommendations.shop.svc.cluster.local".to_owned();
        record.path = format!(
            "/api/v2/customers/preferences/recommendations{}",
            record.path
        );
        record.version = format!("recommendations-service-{}-7d9f8b6c5d", record.version);
        serde_json::to_string(&record).unwrap() + "\n"
    });
    records.collect()
}

#[test]
fn nothing_is_cut_off_on_a_phone_and_nothing_scrolls_sideways() {
    let Some(chromium) = chromium() else {
        println!("left out: there is no chromium");
        return;
    };
    let folder = Folder::new();
    folder.write("bad.jsonl", bad_canary().lines());
    folder.write("good.jsonl", Rollout::default().lines());
    folder.write("long.jsonl", long_names());
    let url = serve(|looks, _| stats(looks));
    for arguments in [
        &["bad.jsonl"][..],
        &["good.jsonl"],
        &["long.jsonl"],
        &["--scrape", &url, "--for", "3s"],
    ] {
        let found = measured(chromium, folder.path(), &folder.page(arguments));
        let fits = [format!("width {WIDTH}"), format!("needs {WIDTH}")];
        assert_eq!(found, fits, "{arguments:?}");
    }
}
