//! `serin_fuzz::fan_out` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serin_fuzz::fan_out::run(data));
