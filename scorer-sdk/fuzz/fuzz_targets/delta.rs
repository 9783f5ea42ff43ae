//! `serin_fuzz::delta` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serin_fuzz::delta::run(data));
