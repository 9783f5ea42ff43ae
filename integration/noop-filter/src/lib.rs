//! A proxy-wasm filter that does nothing, through the same SDK as Serin.
//!
//! It is the yardstick for Serin's cost per request: all of the SDK's callbacks stay exported and
//! every one of them answers with the trait's default.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Exchange))
    }
}

struct Exchange;

impl Context for Exchange {}

impl HttpContext for Exchange {}

// The macro expands to a public function without docs, which only a private module may hold.
mod start {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| Box::new(super::Root));
    }}
}
