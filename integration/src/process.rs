//! What a process takes, from `/proc`.

use anyhow::{Context, Result};
use std::fs;

/// Which memory of a process is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// What is resident now.
    Now,
    /// The most that was resident so far.
    Most,
}

/// Resident memory of a process in MiB.
///
/// # Errors
/// When there is no such process, or the system does not tell it.
pub fn memory_mib(process: u32, memory: Memory) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let kib = kib(&status, memory).with_context(|| format!("no {memory:?} in {path}"))?;
    Ok(kib / 1_024.0)
}

fn kib(status: &str, memory: Memory) -> Option<f64> {
    let field = match memory {
        Memory::Now => "VmRSS:",
        Memory::Most => "VmHWM:",
    };
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_a_status_page() {
        let page = "Name:\tenvoy\nVmHWM:\t   90000 kB\nVmRSS:\t   81234 kB\nThreads:\t9\n";
        assert_eq!(kib(page, Memory::Now), Some(81_234.0));
        assert_eq!(kib(page, Memory::Most), Some(90_000.0));
        assert_eq!(kib("Name:\tenvoy\n", Memory::Now), None);
    }
}
