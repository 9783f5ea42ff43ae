//! `kubectl serin`: forwards ports to the proxies of a cluster, then runs a command on them.
//!
//! The command `serin` under the name `kubectl-serin` is a plugin of kubectl. It speaks to the
//! cluster through kubectl alone, so that it needs no credentials of its own.

pub mod args;
mod forward;
mod help;
mod pods;
mod run;

pub use run::run;

use std::ffi::OsStr;
use std::path::Path;

/// The name under which kubectl finds the plugin.
const NAME: &str = "kubectl-serin";

/// Whether the program was started under the plugin's name.
#[must_use]
pub fn is_named(program: Option<&OsStr>) -> bool {
    let stem = program.and_then(|program| Path::new(program).file_stem());
    stem.is_some_and(|stem| stem == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_known_by_the_file_name_alone() {
        let named = |program: &str| is_named(Some(OsStr::new(program)));
        assert!(named("kubectl-serin"));
        assert!(named("/usr/local/bin/kubectl-serin"));
        assert!(!named("/opt/kubectl-serin/serin"));
        assert!(!named("serin"));
        assert!(!is_named(None));
    }
}
