//! `serin_fuzz::header_map` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serin_fuzz::header_map::run(data));
