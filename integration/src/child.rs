//! Child processes that run for as long as a test needs them: folder, log, a gentle end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::envoy::{Watcher, run_dir};

/// Lines of a log that go into error messages.
const TAIL: usize = 40;
/// How long a process may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// A process with a folder of its own, in which it runs; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    dir: PathBuf,
    child: Child,
    watcher: Option<Watcher>,
}

impl Process {
    /// Starts a program in an emptied folder under `target/integration/`, which `prepare` fills.
    /// Nothing of this process's environment goes along but what Go needs.
    pub(crate) fn start(
        name: &str,
        program: &Path,
        prepare: impl FnOnce(&Path) -> Result<()>,
        set_up: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let dir = run_dir(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("empty {}", dir.display()))?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        prepare(&dir)?;
        let log = File::create(dir.join("log")).context("create the log")?;
        let mut command = Command::new(program);
        command
            .current_dir(&dir)
            .env_clear()
            .env("HOME", &dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("log handle")?)
            .stderr(log);
        set_up(&mut command);
        let child = command
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let mut process = Self {
            name: name.to_owned(),
            dir,
            child,
            watcher: None,
        };
        process.watcher = Some(Watcher::of(process.child.id())?);
        Ok(process)
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything it has said.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of its log, for messages.
    pub(crate) fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(TAIL)..);
        format!(
            "end of {}/log:\n{}",
            self.dir.display(),
            end.unwrap_or_default().join("\n")
        )
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        let signal = format!("-{name}");
        let sent = Command::new("kill").args([&signal, &pid]).status();
        ensure!(
            sent.context("kill")?.success(),
            "no {name} to {}",
            self.name
        );
        Ok(())
    }

    /// An error with the end of the log when it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let ended = self.child.try_wait().context("look at a process")?;
        ensure!(
            ended.is_none(),
            "{} ended ({ended:?}); {}",
            self.name,
            self.tail()
        );
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.watcher.take());
        // The agent ends its Envoy when it is asked to go, and leaves it alone when it is killed.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let start = Instant::now();
        while start.elapsed() < GRACE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}: {}", self.name, self.tail());
        }
    }
}
