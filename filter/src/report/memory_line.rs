//! Log lines about memories: what was learned from one, and why from none.

use super::fleet_line::Failure;
use core::time::Duration;
use scorer_sdk::judge::Recalled;

/// Says each change once.
#[derive(Debug, Default)]
pub struct MemoryLine {
    cannot_store: bool,
}

impl MemoryLine {
    /// Says what became of a memory.
    pub fn tell(&mut self, destination: &str, recalled: &Recalled) {
        match recalled {
            Recalled::Taken {
                age,
                baseline,
                candidate,
                routes,
            } => {
                let candidate = match candidate {
                    Some((name, true)) => format!(", candidate {name} condemned"),
                    Some((name, false)) => format!(", candidate {name}"),
                    None => String::new(),
                };
                log::info!(
                    "serin: {destination}: goes on with a memory of {} s ago: baseline {baseline}\
                     {candidate}, {routes} routes",
                    age.as_secs()
                );
            }
            Recalled::NoBaseline(name) => log::info!(
                "serin: {destination}: learns from nothing: the memory's baseline {name:?} gets no \
                 traffic here, or is not the config's"
            ),
            Recalled::Old(age) => log::info!(
                "serin: {destination}: learns from nothing: the memory is {} h old",
                age.as_secs() / 3_600
            ),
            Recalled::Late => {
                log::warn!("serin: {destination}: learns from nothing: no memory came within 3 s");
            }
        }
    }

    /// Says why no memory could be had.
    pub fn tell_failure(&mut self, destination: &str, failure: Failure) {
        log::warn!(
            "serin: {destination}: learns from nothing: {}",
            why(failure)
        );
    }

    /// Says that memories cannot be stored, or can again.
    pub fn tell_stored(&mut self, stored: Result<(), Failure>, next: Duration) {
        match stored {
            Ok(()) if core::mem::take(&mut self.cannot_store) => {
                log::info!("serin: memories are stored again");
            }
            Ok(()) => {}
            Err(failure) if !core::mem::replace(&mut self.cannot_store, true) => log::warn!(
                "serin: the memory is not stored: {}; the next try is in {} s",
                why(failure),
                next.as_secs()
            ),
            Err(_) => {}
        }
    }
}

fn why(failure: Failure) -> &'static str {
    match failure {
        Failure::NotSent => "the cluster is not known or has no host",
        Failure::NoAnswer => "nobody answers",
        Failure::Refused(401) => "the token is refused",
        Failure::Refused(_) => "serve-verdict answers with an error",
        Failure::Unreadable | Failure::Old => "the memory cannot be read",
    }
}
