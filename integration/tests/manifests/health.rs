//! The health checks of `docker-compose.yaml`, run here with other addresses.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;

use super::compose::{compose, services, words};

/// The health check of one service.
pub(crate) struct HealthCheck(Vec<String>);

impl HealthCheck {
    /// With pieces replaced, each of which is in it once.
    pub(crate) fn of(service: &Value, replaced: &[(&str, String)]) -> Result<Self> {
        let mut words: Vec<String> = words(&service["healthcheck"]["test"])
            .into_iter()
            .map(str::to_owned)
            .collect();
        ensure!(words.first().is_some_and(|word| word == "CMD"), "{words:?}");
        words.remove(0);
        for (from, to) in replaced {
            let found: usize = words.iter().map(|word| word.matches(from).count()).sum();
            ensure!(found == 1, "{from} is {found} times in {words:?}");
            for word in &mut words {
                *word = word.replace(from, to);
            }
        }
        Ok(Self(words))
    }

    /// As a container engine asks: the exit code says it.
    pub(crate) fn holds(&self) -> Result<bool> {
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).stdin(Stdio::null());
        let output = command.output().with_context(|| self.0[0].clone())?;
        Ok(output.status.success())
    }
}

/// Answers one request like this, and ends.
fn answering(answer: &'static str) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut request = Vec::new();
        let mut piece = [0; 1024];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = stream.read(&mut piece)?;
            ensure!(read > 0, "a request ended early");
            request.extend_from_slice(&piece[..read]);
        }
        stream.write_all(answer.as_bytes())?;
        Ok(())
    });
    Ok(address)
}

#[test]
fn a_service_is_healthy_if_it_says_so_and_not_for_any_answer() -> Result<()> {
    let compose = compose()?;
    let services = services(&compose)?;
    let (good, bad) = (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nLIVE\n",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 17\r\nConnection: close\r\n\r\nPRE_INITIALIZING\n",
    );
    for (name, address) in [
        ("envoy", "127.0.0.1/9901"),
        ("prometheus", "127.0.0.1:9090"),
        ("grafana", "127.0.0.1:3000"),
    ] {
        let between = if address.contains('/') { '/' } else { ':' };
        for (answer, healthy) in [(good, true), (bad, false)] {
            let server = answering(answer)?;
            let there = format!("{}{between}{}", server.ip(), server.port());
            let check = HealthCheck::of(&services[name], &[(address, there)])?;
            ensure!(check.holds()? == healthy, "{name}: {answer}");
            // It has answered and is gone.
            ensure!(!check.holds()?, "{name} is healthy without an answer");
        }
    }
    Ok(())
}
