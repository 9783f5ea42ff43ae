//! Serin as a proxy-wasm filter: a thin adapter over `scorer-sdk`.
//!
//! [`adapter`] receives the proxy's callbacks, and [`worker`] says what is done at each of them, in
//! order. The parts: [`stream`] reads what passes and counts it, [`sync`] brings the workers of one
//! proxy to one verdict, [`act`] does something about it, and [`report`] tells operators. [`host`] is
//! the narrow trait through which everything asks the proxy.

pub mod act;
pub mod adapter;
pub mod host;
pub mod report;
pub mod stream;
pub mod sync;
pub mod worker;

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
