//! `serin_fuzz::compressed_body` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serin_fuzz::compressed_body::run(data));
