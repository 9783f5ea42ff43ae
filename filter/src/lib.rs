//! Serin as a proxy-wasm filter: a thin adapter over `scorer-sdk`.
//!
//! [`adapter`] receives the proxy's callbacks, [`filter`] turns them into facts for the engine, and
//! [`host`] is the narrow trait through which everything asks the proxy; [`proxy_host`] is the one
//! file that touches hostcalls.

pub mod adapter;
pub mod body;
pub mod fan_out;
pub mod filter;
pub mod guard;
pub mod host;
pub mod in_flight;
pub mod leader;
pub mod mailbox;
pub mod metrics;
pub mod name_sets;
pub mod origin;
pub mod owner;
pub mod proxy_host;
pub mod publication;
pub mod request;
pub mod response;
pub mod secret;
pub mod surprise;
pub mod upstream;

/// Smaller than the standard library's, and not slower.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod testing;

// Off in a module that is built on this one with signals of its own: it has its own start.
#[cfg(feature = "module")]
mod start {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|context_id| Box::new(crate::adapter::Root::new(context_id)));
    }}
}
