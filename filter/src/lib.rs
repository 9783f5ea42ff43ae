//! Serin as a proxy-wasm filter.
