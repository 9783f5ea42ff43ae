//! Serin as a proxy-wasm filter: a thin adapter over `scorer-sdk`.
//!
//! [`adapter`] receives the proxy's callbacks, and [`worker`] says what happens at each of them, in
//! order. [`stream`] reads requests and responses and counts them, [`sync`] brings the workers of one
//! proxy to one verdict, [`act`] acts on it, and [`report`] tells operators. All of them call the proxy
//! through one narrow trait in [`host`].

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
