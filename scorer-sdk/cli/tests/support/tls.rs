//! TLS before what speaks plain HTTP, with a certificate of a private authority.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A server of HTTPS.
pub(crate) struct Tls {
    /// Its address.
    pub(crate) url: String,
    folder: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tls {
    /// Hands each request on to `upstream`, an `http://` URL whose server closes its connections.
    pub(crate) fn before(upstream: &str) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();

        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut client = StreamOwned::new(connection, stream.unwrap());
                // A client that does not trust the certificate goes away.
                let Some(request) = request(&mut client) else {
                    continue;
                };
                let mut server = TcpStream::connect(&upstream).unwrap();
                server.write_all(&request).unwrap();
                kept.lock()
                    .unwrap()
                    .push(String::from_utf8(request).unwrap());
                let mut answer = Vec::new();
                server.read_to_end(&mut answer).unwrap();
                let _ = client.write_all(&answer);
                client.conn.send_close_notify();
                let _ = client.flush();
            }
        });
        Self { url, folder, asked }
    }

    /// A file of the test's own, beside the authority's certificate in `ca.pem`.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Writes such a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(Path::new(&self.file(name)), text).unwrap();
    }

    /// All requests so far, as they came.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A whole request; `None` when there is none.
fn request(client: &mut impl Read) -> Option<Vec<u8>> {
    let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(request);
            }
        }
        match client.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(read) => request.extend_from_slice(&chunk[..read]),
        }
    }
}
