//! A proxy-wasm filter that does nothing, through the same SDK as Serin.
