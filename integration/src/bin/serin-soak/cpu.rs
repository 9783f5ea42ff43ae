//! Processor time of a process, from `/proc`.

use anyhow::{Context, Result};
use std::fs;

/// Clock ticks a second: the kernel's `USER_HZ`, which is 100 on all that Envoy runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time so far, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may have spaces; it ends with the last bracket. Then utime and stime are 12th and 13th.
    let (_, fields) = stat.rsplit_once(')').context("the end of the name")?;
    let ticks: Vec<f64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}
