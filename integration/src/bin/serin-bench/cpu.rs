//! Processor time of a process, and which processor it runs on.

use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Which core is measured and which one does everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    /// For the proxies under measurement, and nothing else of ours.
    pub(crate) measured: usize,
    /// For the load generator and the upstream.
    pub(crate) others: usize,
}

impl Cores {
    /// The last and the first core that this process may use; `None` if that is the same one.
    pub(crate) fn find() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        parse_cores(list)
    }
}

/// Reads a list such as `0-3,8`.
fn parse_cores(list: &str) -> Option<Cores> {
    let number = |text: &str| text.trim().parse().ok();
    let others = number(list.split([',', '-']).next()?)?;
    let measured = number(list.rsplit([',', '-']).next()?)?;
    (measured != others).then_some(Cores { measured, others })
}

/// Binds all threads of a process to a core; threads that it makes later inherit that.
///
/// # Errors
/// When there is no `taskset` (package util-linux) or it refuses.
pub(crate) fn pin(pid: u32, core: usize) -> Result<()> {
    let status = Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &pid.to_string()])
        .stdout(Stdio::null())
        .status()
        .context("taskset, from the package util-linux")?;
    ensure!(status.success(), "taskset ended with {status}");
    Ok(())
}

/// What the scheduler says of all threads of a process, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// On a processor, in user and kernel.
    pub(crate) ran: u64,
    /// Ready to run while somebody else had the processor.
    pub(crate) waited: u64,
}

impl Usage {
    /// Of a process since its start, from `/proc/<pid>/task/*/schedstat`: unlike `stat`, exact
    /// instead of counted in clock ticks.
    ///
    /// # Errors
    /// When the kernel does not tell (no such process, or built without `CONFIG_SCHED_INFO`).
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let tasks = format!("/proc/{pid}/task");
        let mut sum = Self { ran: 0, waited: 0 };
        for task in fs::read_dir(&tasks).with_context(|| tasks.clone())? {
            let path = task?.path().join("schedstat");
            let text = match fs::read_to_string(&path) {
                // The thread has ended since the folder was read.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                text => text.with_context(|| path.display().to_string())?,
            };
            let thread = Self::parse(&text).with_context(|| path.display().to_string())?;
            sum.ran += thread.ran;
            sum.waited += thread.waited;
        }
        Ok(sum)
    }

    /// Of one thread, from its folder in `/proc`.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub(crate) fn of_thread(folder: &str) -> Result<Self> {
        let path = format!("{folder}/schedstat");
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        Self::parse(&text).context(path)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(ran)), Some(Ok(waited))) = (numbers.next(), numbers.next()) else {
            bail!("no times in {text:?}");
        };
        Ok(Self { ran, waited })
    }

    /// What came on top since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(earlier.ran),
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_core_is_another_than_the_rest() {
        let cores = |others, measured| Some(Cores { measured, others });
        assert_eq!(parse_cores("\t0-1\n"), cores(0, 1));
        assert_eq!(parse_cores("2,4-7"), cores(2, 7));
        assert_eq!(parse_cores("3"), None);
    }

    #[test]
    fn work_shows_as_processor_time() {
        let before = Usage::of(std::process::id()).unwrap();
        let mut number = 1_u64;
        for step in 0..20_000_000_u64 {
            number = std::hint::black_box(number.wrapping_mul(31) ^ step);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(Usage::of(std::process::id()).unwrap().since(before).ran > 1_000_000);
    }
}
