//! `serin_fuzz::grpc_frames` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serin_fuzz::grpc_frames::run(data));
