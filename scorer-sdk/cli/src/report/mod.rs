//! Reports: what was found, as one page for a browser, a terminal or a Markdown file.
//!
//! [`page`] is the frame of a page, [`plot`] draws lines over a pair of axes, [`document`] shows any
//! command's tables and plots; [`terminal`] writes them as text. A page is one file: it fetches
//! nothing, and it holds no script, so that it can be opened, sent and kept.

pub mod arms;
pub mod clock;
pub mod document;
pub mod live;
pub mod odds;
pub mod page;
pub mod plot;
pub mod recording;
pub mod rollout;
pub mod scrape;
pub mod terminal;
pub mod timeline;
pub mod tokens;
