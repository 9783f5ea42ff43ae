//! One `kubectl port-forward` per pod, each ended when its [`Forward`] is dropped.

use super::args::Proxies;
use super::pods::{MAX_ERROR, NO_KUBECTL, kubectl, text};
use crate::output::plain;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Longest first line of kubectl's, in bytes.
const MAX_LINE: u64 = 1 << 10;

/// A child that several may end.
type Shared = Arc<Mutex<Child>>;

/// A port of this machine that leads to a proxy's admin port.
pub(super) struct Forward {
    /// The pod.
    pub(super) pod: String,
    /// The URL on this machine.
    pub(super) url: String,
    child: Shared,
}

/// What ends the children of all forwards, from any thread.
#[derive(Clone, Default)]
pub(super) struct Children(Arc<Mutex<Vec<Shared>>>);

impl Children {
    /// Ends every child.
    pub(super) fn end(&self) {
        let children = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for child in children.iter() {
            end(child);
        }
    }

    fn add(&self, child: &Shared) {
        let mut children = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        children.push(Arc::clone(child));
    }
}

/// Ends a child and waits until it is gone.
fn end(child: &Shared) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // One that ended by itself cannot be ended again.
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Forward {
    fn drop(&mut self) {
        end(&self.child);
    }
}

impl Forward {
    /// Starts kubectl for a pod and waits until it listens.
    ///
    /// # Errors
    /// When kubectl cannot be started, ends, or does not listen within the timeout.
    pub(super) fn open(pod: &str, proxies: &Proxies, children: &Children) -> Result<Self> {
        let mut child = kubectl(proxies)
            .args(["port-forward", "--address=127.0.0.1"])
            .arg(format!("pod/{pod}"))
            // kubectl takes a free port of this machine.
            .arg(format!(":{}", proxies.admin_port))
            .spawn()
            .context(NO_KUBECTL)?;
        let output = child.stdout.take();
        let errors = child.stderr.take();
        let child = Arc::new(Mutex::new(child));
        children.add(&child);
        let mut forward = Self {
            pod: pod.to_owned(),
            url: String::new(),
            child,
        };
        let output = output.context("kubectl's output")?;
        let errors = errors.context("kubectl's errors")?;
        let errors = thread::spawn(move || text(errors, MAX_ERROR));
        let (listens, port) = channel();
        // kubectl writes a line for each connection: somebody has to read them to the end.
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            // Nobody waits any longer where the receiver is gone.
            let _ = listens.send(first_line(&mut output));
            let _ = std::io::copy(&mut output, &mut std::io::sink());
        });
        match port.recv_timeout(proxies.timeout) {
            Ok(line) => match local_port(&line) {
                Some(port) => {
                    forward.url = format!("http://127.0.0.1:{port}");
                    Ok(forward)
                }
                None => {
                    drop(forward);
                    let said = errors.join().unwrap_or_default();
                    let said = format!("{line} {said}");
                    bail!(
                        "kubectl cannot forward a port to {pod}: {}",
                        plain(said.trim())
                    )
                }
            },
            Err(RecvTimeoutError::Timeout) => bail!(
                "kubectl does not reach {pod} within {}",
                humantime::format_duration(proxies.timeout)
            ),
            Err(RecvTimeoutError::Disconnected) => bail!("kubectl's output cannot be read"),
        }
    }
}

/// The first line, or what there is of it.
fn first_line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    // An error reads like an end: the line says too little.
    let _ = output.by_ref().take(MAX_LINE).read_line(&mut line);
    line.trim().to_owned()
}

/// The port in `Forwarding from 127.0.0.1:43210 -> 15000`.
fn local_port(line: &str) -> Option<u16> {
    let address = line.strip_prefix("Forwarding from 127.0.0.1:")?;
    address.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_where_kubectl_says_it_and_nowhere_else() {
        assert_eq!(
            local_port("Forwarding from 127.0.0.1:43210 -> 15000"),
            Some(43_210)
        );
        for wrong in [
            "",
            "Forwarding from [::1]:43210 -> 15000",
            "Forwarding from 127.0.0.1:",
            "Forwarding from 127.0.0.1:99999 -> 15000",
            "error: pod is not running",
        ] {
            assert_eq!(local_port(wrong), None, "{wrong}");
        }
    }
}
