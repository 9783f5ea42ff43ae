//! A program that serves an HTTP port for as long as a test needs it.

use anyhow::{Context as _, Result, bail};
use serin_integration::envoy::Watcher;
use serin_integration::{http, wait_until};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running program; it is killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    watcher: Option<Watcher>,
}

impl Daemon {
    /// Starts it, with its output in `log`, and waits until it says that it is ready at `address`.
    pub(crate) async fn start(
        name: &str,
        command: &mut Command,
        address: SocketAddr,
        log: PathBuf,
    ) -> Result<Self> {
        let output = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| command.get_program().display().to_string())?;
        let watcher = Some(Watcher::of(child.id())?);
        let mut daemon = Self {
            child,
            address,
            log,
            watcher,
        };
        wait_until(&format!("ready {name}"), async || {
            if let Some(status) = daemon.child.try_wait()? {
                bail!("{name} ended with {status}");
            }
            Ok(http::get(address, "/-/ready")
                .await
                .is_ok_and(|answer| answer.status().is_success()))
        })
        .await
        .with_context(|| daemon.log())?;
        Ok(daemon)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it, as a crash would.
    pub(crate) fn stop(&mut self) {
        drop(self.watcher.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}
