//! Arguments, files and proxies in; text, JSON and exit codes out.

mod bad_input;
mod compressed;
mod doctor;
mod examples;
mod files;
mod fleet;
mod install;
mod kubectl;
mod live_and_replay;
mod memory;
mod odd_texts;
mod phone;
mod report;
mod serve_verdict;
mod status;
mod surprise;
mod tls;
