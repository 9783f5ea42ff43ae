//! `serin_fuzz::fleet_answer` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serin_fuzz::fleet_answer::run(data));
