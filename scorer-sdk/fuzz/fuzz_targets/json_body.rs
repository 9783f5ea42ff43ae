//! `serin_fuzz::json_body` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serin_fuzz::json_body::run(data));
