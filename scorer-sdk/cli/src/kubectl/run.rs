//! From the pods to the command's exit code.

use super::args::{Cli, Command, Proxies, Report};
use super::forward::{Children, Forward};
use super::pods;
use crate::args;
use crate::commands::{Exit, doctor, report, status};
use crate::fetch::Access;
use crate::output::note;
use anyhow::{Context, Result, bail};
use std::thread;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the plugin.
///
/// # Errors
/// When kubectl or a proxy cannot be reached, no pod matches, or the command itself fails.
pub fn run(cli: &Cli) -> Result<Exit> {
    let children = Children::default();
    end_with_signals(&children)?;
    let pods = pods::running(&cli.proxies)?;
    let exit = match &cli.command {
        Command::Status(view) => {
            let opened = open(pods, &cli.proxies, &children)?;
            let forwards = opened.forwards.iter();
            let exit = status::run(&args::Status {
                urls: forwards.map(|forward| forward.url.clone()).collect(),
                prometheus: Vec::new(),
                access: Access::default(),
                view: *view,
            })?;
            opened.exit(exit)
        }
        Command::Doctor(view) => {
            let opened = open(pods, &cli.proxies, &children)?;
            let forwards = opened.forwards.iter();
            let proxies = forwards.map(|forward| (&*forward.pod, &*forward.url));
            opened.exit(doctor::run_in_pods(proxies, *view)?)
        }
        Command::Report(page) => of_one(&pods, page, &cli.proxies, &children)?,
    };
    Ok(exit)
}

/// The forwards of a command that asks several proxies.
struct Opened {
    forwards: Vec<Forward>,
    /// Whether a pod was not reached.
    incomplete: bool,
}

impl Opened {
    /// How the whole ended, from how it ended for the proxies that were reached.
    fn exit(&self, exit: Exit) -> Exit {
        if exit == Exit::Good && self.incomplete {
            Exit::Unusable
        } else {
            exit
        }
    }
}

fn of_one(pods: &[String], page: &Report, proxies: &Proxies, children: &Children) -> Result<Exit> {
    let [pod] = pods else {
        bail!(
            "a page shows one proxy, and {} pods match: name one with --pod, such as {}",
            pods.len(),
            pods.first().map_or("", String::as_str)
        );
    };
    let forward = Forward::open(pod, proxies, children)?;
    report::run(&args::Report {
        files: Vec::new(),
        config: None,
        format: None,
        strict: false,
        scrape: Some(forward.url.clone()),
        look: page.look,
        access: Access::default(),
        output: page.output.clone(),
    })
}

/// Forwards a port to each pod, as far as they are not too many, and says which URL is which pod. A pod
/// that is not reached is named, and the others are asked all the same.
///
/// # Errors
/// When no pod is reached.
fn open(mut pods: Vec<String>, proxies: &Proxies, children: &Children) -> Result<Opened> {
    let all = pods.len();
    pods.truncate(proxies.most.into());
    if pods.len() < all {
        note(&format!(
            "{all} pods match; the first {} are asked. --most takes up to 32, and a Prometheus knows all: \
             serin status --prometheus URL",
            pods.len()
        ));
    }
    let opened: Vec<Result<Forward>> = thread::scope(|scope| {
        let started: Vec<_> = pods
            .iter()
            .map(|pod| scope.spawn(move || Forward::open(pod, proxies, children)))
            .collect();
        let opened = started.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| bail!("a port could not be forwarded"))
        });
        opened.collect()
    });
    let (mut forwards, mut errors) = (Vec::new(), Vec::new());
    for forward in opened {
        match forward {
            Ok(forward) => forwards.push(forward),
            Err(error) => errors.push(format!("{error:#}")),
        }
    }
    if forwards.is_empty() {
        bail!("{}", errors.join("\n"));
    }
    for error in &errors {
        note(error);
    }
    for forward in &forwards {
        note(&format!("{} at {}", forward.pod, forward.url));
    }
    Ok(Opened {
        forwards,
        incomplete: !errors.is_empty(),
    })
}

/// Has the children end with this process: a signal ends it without running any destructor.
fn end_with_signals(children: &Children) -> Result<()> {
    let children = children.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot wait for signals")?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot wait for signals")?;
    drop(entered);
    thread::spawn(move || {
        let number = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
                _ = hang_up.recv() => SignalKind::hangup(),
            }
        });
        children.end();
        // As a shell says it of a process that a signal ended.
        std::process::exit(128 + number.as_raw_value());
    });
    Ok(())
}
