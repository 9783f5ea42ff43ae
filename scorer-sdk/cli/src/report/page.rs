//! The frame of a page: one file with its style sheet inside, no script, nothing fetched.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
/// What a browser may do with the page: apply its own styles, and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A part of a page that the table of contents leads to.
#[derive(Debug, Clone)]
pub struct Section {
    /// Where links point to: a name for the URL.
    pub id: String,
    /// How the table of contents calls it.
    pub name: String,
    /// The section itself.
    pub body: Markup,
}

/// A whole page. `command` makes it again.
#[must_use]
pub fn page(title: &str, command: &str, sections: &[Section]) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(concat!("serin ", env!("CARGO_PKG_VERSION")));
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p.made { "Made by " code { (command) } }
                    @if sections.len() > 1 {
                        nav aria-label="Contents" {
                            ul {
                                @for section in sections {
                                    li { a href=(format!("#{}", section.id)) { (section.name) } }
                                }
                            }
                        }
                    }
                }
                main { @for section in sections { (section.body) } }
            }
        }
    }
    .into_string()
}
