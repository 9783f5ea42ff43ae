//! `serin_fuzz::state` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serin_fuzz::state::run(data));
