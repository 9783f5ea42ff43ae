//! `serin_fuzz::path_templates` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serin_fuzz::path_templates::run(data));
