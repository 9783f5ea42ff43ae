//! Response headers for clients: the verdict on the version that answered, and how strange the
//! exchange is.

use crate::host::Host;
use crate::sync::publication::Directive;
use scorer_sdk::telemetry::{SCORE_HEADER, VERDICT_HEADER};

/// Says what is thought of the version that answered; `served` is its destination and the version.
pub fn verdict(host: &impl Host, directives: &[Directive], served: Option<(&str, &str)>) {
    let Some((destination, version)) = served else {
        host.remove_response_header(VERDICT_HEADER.name);
        return;
    };
    let directive = directives
        .iter()
        .find(|directive| directive.destination == *destination);
    let verdict = directive
        .and_then(|directive| directive.verdict)
        .unwrap_or_default();
    let candidate = directive.map_or("", |directive| directive.candidate.as_str());
    let text = format!("{verdict};candidate={candidate};version={version}");
    host.set_response_header(VERDICT_HEADER.name, &text);
}

/// Says how strange the exchange is; removes the application's own word where this is not known.
pub fn score(host: &impl Host, text: Option<&str>) {
    match text {
        Some(text) => host.set_response_header(SCORE_HEADER.name, text),
        None => host.remove_response_header(SCORE_HEADER.name),
    }
}
