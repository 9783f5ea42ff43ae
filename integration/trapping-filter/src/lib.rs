//! Serin with a trap, for tests of what becomes of a proxy whose module dies.
//!
//! It is the filter without its entry point, and each callback goes to the filter's own. A request's
//! header `x-test-trap` says where the virtual machine of its worker ends: in `request`,
//! `response`, `body` or `log` of this request, in the worker's next `tick`, or in the next
//! `leaders-tick` of a worker that has seen no request, as the leader has not.

use core::cell::Cell;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use serin_filter::adapter;

const HEADER: &str = "x-test-trap";
/// In shared data: a worker without requests is to trap in its next tick.
const LEADERS_TICK: &str = "test/leaders-tick";

thread_local! {
    /// Whether this virtual machine has seen a request.
    static BUSY: Cell<bool> = const { Cell::new(false) };
    /// Whether its next tick traps.
    static TICK: Cell<bool> = const { Cell::new(false) };
}

/// Ends this virtual machine, as a bug of the module or a failed allocation would.
fn trap() -> ! {
    std::process::abort()
}

/// Whether a worker without requests is to trap; it is told once.
fn is_leaders_turn() -> bool {
    let asked = hostcalls::get_shared_data(LEADERS_TICK)
        .is_ok_and(|(value, _)| value.is_some_and(|value| !value.is_empty()));
    // A new virtual machine must not trap again.
    asked && hostcalls::set_shared_data(LEADERS_TICK, None, None).is_ok()
}

struct Root(adapter::Root);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        self.0.on_configure(size)
    }

    fn on_tick(&mut self) {
        if TICK.get() || (!BUSY.get() && is_leaders_turn()) {
            trap();
        }
        self.0.on_tick();
    }

    fn get_type(&self) -> Option<ContextType> {
        self.0.get_type()
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        let inner = self.0.create_http_context(context_id)?;
        Some(Box::new(Stream { inner, trap: None }))
    }
}

/// One request.
struct Stream {
    inner: Box<dyn HttpContext>,
    /// The callback that traps.
    trap: Option<Vec<u8>>,
}

impl Stream {
    fn trap_in(&self, callback: &str) {
        if self.trap.as_deref() == Some(callback.as_bytes()) {
            trap();
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, headers: usize, is_end: bool) -> Action {
        BUSY.set(true);
        self.trap = self.get_http_request_header_bytes(HEADER);
        match self.trap.as_deref() {
            Some(b"tick") => TICK.set(true),
            Some(b"leaders-tick") => {
                let _ = hostcalls::set_shared_data(LEADERS_TICK, Some(b"1"), None);
            }
            _ => {}
        }
        self.trap_in("request");
        self.inner.on_http_request_headers(headers, is_end)
    }

    fn on_http_request_body(&mut self, size: usize, is_end: bool) -> Action {
        self.inner.on_http_request_body(size, is_end)
    }

    fn on_http_response_headers(&mut self, headers: usize, is_end: bool) -> Action {
        self.trap_in("response");
        self.inner.on_http_response_headers(headers, is_end)
    }

    fn on_http_response_body(&mut self, size: usize, is_end: bool) -> Action {
        self.trap_in("body");
        self.inner.on_http_response_body(size, is_end)
    }

    fn on_http_response_trailers(&mut self, trailers: usize) -> Action {
        self.inner.on_http_response_trailers(trailers)
    }

    fn on_log(&mut self) {
        self.trap_in("log");
        self.inner.on_log();
    }
}

// The macro expands to a public function without docs, which only a private module may hold.
mod start {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|context_id| {
            Box::new(super::Root(serin_filter::adapter::Root::new(context_id)))
        });
    }}
}
