//! The command `serin`.
fn main() {}
