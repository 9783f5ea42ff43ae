//! `serin serve-verdict`: answers Flagger and Argo Rollouts from what Prometheus knows.

use super::Exit;
use crate::args;
use crate::output::note;
use crate::verdict_server::Options;
use crate::verdict_server::http::Server;
use crate::verdict_server::memory::MemoryOptions;
use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the command, until it is told to stop.
///
/// # Errors
/// When the port cannot be had, or an option cannot be used.
pub fn run(args: &args::ServeVerdict) -> Result<Exit> {
    let options = Options {
        prometheus: args.prometheus.clone(),
        access: args.access.clone(),
        timeout: args.timeout,
        window: args.window,
        fleet_token_file: args.fleet_token_file.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(async {
        let mut server = Server::bind(args.listen, options).await?;
        if let Some(place) = &args.memory {
            let options = MemoryOptions {
                place: place.clone(),
                most: args.memory_most as usize,
                most_bytes: u64::from(args.memory_mib) << 20,
            };
            server = server.with_memories(options).await?;
        }
        // As the first process of a container it would not end by itself.
        let mut ended = signal(SignalKind::terminate()).context("cannot wait for signals")?;
        note(&format!(
            "serving on http://{}, asking {}",
            server.address()?,
            args.prometheus
        ));
        let stop = async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = ended.recv() => {}
            }
        };
        server.run(stop).await;
        Ok(Exit::Good)
    })
}
