//! Ports in place of addresses: an admission webhook that gives each pod one of its own.
//!
//! In a cluster each pod has an address, and all of them listen on the same port. Here all of them
//! are on the one address that this machine has beside loopback, which the API server refuses for
//! endpoints. A service whose `targetPort` is a name finds each pod's own port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::ControlPlane;
use crate::envoy::free_port;
use crate::topology::local;
use crate::wait::wait_until;

/// More than any review of a pod.
const MAX_REQUEST: u64 = 1 << 20;
/// Longest wait for the next bytes of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where a pod has its port.
const PORT: &str = "/spec/containers/0/ports/0/containerPort";

/// The running webhook; it stops when dropped.
#[derive(Debug)]
pub struct Ports {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ports {
    /// Starts it and waits until the API server asks it.
    ///
    /// # Errors
    /// When it cannot serve, or is not asked.
    pub async fn start(plane: &ControlPlane) -> Result<Self> {
        // The API server's own certificate is for 127.0.0.1, as this one has to be.
        let certificate = plane.certificate();
        let config = Arc::new(tls(&certificate)?);
        let listener = TcpListener::bind(local(0)).context("bind")?;
        let address = listener.local_addr().context("address")?;
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let serve = move || {
            while let Ok((stream, _)) = listener.accept() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                if let Err(error) = answer(&config, stream) {
                    eprintln!("the webhook for ports: {error:#}");
                }
            }
        };
        let thread = thread::Builder::new().name("ports".to_owned()).spawn(serve);
        let ports = Self {
            address,
            over,
            thread: Some(thread.context("a thread")?),
        };
        let authority = std::fs::read(&certificate).context("certificate")?;
        plane.apply(&[registration(address, &authority)]).await?;
        wait_until("port of its own for a pod", async || {
            let path = "/api/v1/namespaces/default/pods?dryRun=All";
            let pod = plane.api().create(path, &sample()).await;
            Ok(pod.is_ok_and(|pod| pod.pointer(PORT) != sample().pointer(PORT)))
        })
        .await?;
        Ok(ports)
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread; where nobody listens any more, it has ended.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            // It fails only after a panic, which has been printed.
            let _ = thread.join();
        }
    }
}

fn tls(certificate: &std::path::Path) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(certificate).context("certificate")?;
    let chain: Result<Vec<_>, _> = chain.collect();
    let key = PrivateKeyDer::from_pem_file(certificate.with_extension("key")).context("key")?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .with_no_client_auth()
        .with_single_cert(chain.context("certificate")?, key)
        .context("TLS")
}

fn registration(address: SocketAddr, authority: &[u8]) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "ports"},
        "webhooks": [{
            "name": "ports.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {
                "url": format!("https://{address}/"),
                "caBundle": BASE64_STANDARD.encode(authority),
            },
            "rules": [{
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["pods"],
            }],
        }],
    })
}

fn sample() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "sample"},
        "spec": {"containers": [
            {"name": "sample", "image": "sample", "ports": [{"containerPort": 1}]},
        ]},
    })
}

/// Answers one request, and closes the connection.
fn answer(config: &Arc<ServerConfig>, stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE)).context("timeout")?;
    let connection = ServerConnection::new(Arc::clone(config)).context("TLS")?;
    let mut client = StreamOwned::new(connection, stream);
    let body = body_of(&mut client)?;
    let review: Value = serde_json::from_slice(&body).context("a review")?;
    let answer = reviewed(&review, free_port()?)?.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    client.write_all(head.as_bytes()).context("answer")?;
    client.write_all(answer.as_bytes()).context("answer")?;
    client.conn.send_close_notify();
    client.flush().context("answer")
}

/// The body of a request whose head says how long it is.
fn body_of(client: &mut impl Read) -> Result<Vec<u8>> {
    let mut client = client.take(MAX_REQUEST);
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = client.read(&mut chunk).context("request")?;
        if read == 0 {
            bail!("a request that ends early, or is longer than {MAX_REQUEST} bytes");
        }
        request.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Request::new(&mut headers);
        let parsed = head.parse(&request).context("head of a request")?;
        let httparse::Status::Complete(begin) = parsed else {
            continue;
        };
        let mut lengths = head.headers.iter();
        let length = lengths.find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = std::str::from_utf8(length.context("no length")?.value).context("length")?;
        let length: usize = length.parse().context("length")?;
        let body = request.get(begin..).unwrap_or_default();
        if let Some(body) = body.get(..length) {
            return Ok(body.to_vec());
        }
    }
}

/// The answer to a review: the pod's first port becomes this one. A pod without ports is let pass.
fn reviewed(review: &Value, port: u16) -> Result<Value> {
    let uid = review.pointer("/request/uid").context("no uid")?;
    let mut response = json!({"uid": uid, "allowed": true});
    let has_port = review.pointer(&format!("/request/object{PORT}")).is_some();
    if let (true, Some(fields)) = (has_port, response.as_object_mut()) {
        let patch = json!([{"op": "replace", "path": PORT, "value": port}]).to_string();
        fields.insert("patchType".to_owned(), json!("JSONPatch"));
        fields.insert("patch".to_owned(), json!(BASE64_STANDARD.encode(patch)));
    }
    Ok(json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": response,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_first_port_is_replaced_and_a_pod_without_ports_is_let_pass() {
        let review = json!({"request": {"uid": "7", "object": sample()}});
        let answer = reviewed(&review, 15_001).unwrap();
        let patch = answer["response"]["patch"].as_str().unwrap();
        let patch: Value = serde_json::from_slice(&BASE64_STANDARD.decode(patch).unwrap()).unwrap();
        assert_eq!(
            patch,
            json!([{"op": "replace", "path": PORT, "value": 15_001}])
        );
        let bare = json!({"request": {"uid": "8", "object": {"spec": {"containers": []}}}});
        let answer = reviewed(&bare, 15_001).unwrap();
        assert_eq!(answer["response"], json!({"uid": "8", "allowed": true}));
    }

    #[test]
    fn a_body_is_read_to_its_length_and_no_further() {
        let mut whole: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{}{}more";
        assert_eq!(body_of(&mut whole).unwrap(), b"{}{}");
        let mut early: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{}";
        assert!(body_of(&mut early).is_err());
    }
}
