//! A module that cuts in half what lies in the mailbox of Serin's workers, and claims to lead them, so
//! that nobody merges. Any plugin of a proxy can: all share one namespace. Its config is the number
//! of times, one every 50 ms.

use core::time::Duration;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::time::UNIX_EPOCH;

const PERIOD: Duration = Duration::from_millis(50);
/// Layouts of the mailbox that are tried, and slots in each.
const VERSIONS: u16 = 30;
const SLOTS: u16 = 4;
/// Below this a slot holds no counts.
const EMPTY: usize = 40;
/// A lease is good for so long, in milliseconds.
const LEASE_MS: u64 = 3_000;

struct Vandal {
    times: u32,
}

impl Context for Vandal {}

impl RootContext for Vandal {
    fn on_configure(&mut self, _: usize) -> bool {
        let config = self.get_plugin_configuration().unwrap_or_default();
        let times = core::str::from_utf8(&config).ok();
        self.times = times.and_then(|times| times.parse().ok()).unwrap_or(0);
        self.set_tick_period(PERIOD);
        true
    }

    fn on_tick(&mut self) {
        let Some(left) = self.times.checked_sub(1) else {
            return;
        };
        self.times = left;
        let now = self.get_current_time().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |now| now.as_millis() as u64);
        // The owner, until when, and since when it has its config.
        let lease = [1, now_ms + LEASE_MS, now_ms]
            .map(u64::to_le_bytes)
            .concat();
        for version in 1..=VERSIONS {
            let key = format!("serin/{version}/serin/comparer/lease");
            if let (Some(_), swap) = self.get_shared_data(&key) {
                let _ = self.set_shared_data(&key, Some(&lease), swap);
            }
            for slot in 0..SLOTS {
                let key = format!("serin/{version}/serin/comparer/delta/{slot}");
                if let (Some(bytes), swap) = self.get_shared_data(&key)
                    && bytes.len() > EMPTY
                {
                    let half = bytes.get(..bytes.len() / 2);
                    // Whoever was faster has written anew: there is a next time.
                    let _ = self.set_shared_data(&key, half, swap);
                }
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Passing))
    }
}

struct Passing;

impl Context for Passing {}

impl HttpContext for Passing {}

mod start {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| Box::new(super::Vandal { times: 0 }));
    }}
}
