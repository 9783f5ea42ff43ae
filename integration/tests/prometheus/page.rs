//! A proxy that is none: what Prometheus reads of it is what a test writes.

use anyhow::Result;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// A proxy that is none: a page of metrics that a test can change.
pub(crate) struct Page {
    pub(crate) address: SocketAddr,
    text: Arc<Mutex<String>>,
}

impl Page {
    pub(crate) fn serve(text: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let text = Arc::new(Mutex::new(text));
        let shown = Arc::clone(&text);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request);
                let page = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let length = page.len();
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\
                            content-type: text/plain; version=0.0.4\r\n";
                let _ = write!(stream, "{head}content-length: {length}\r\n\r\n{page}");
            }
        });
        Ok(Self { address, text })
    }

    /// Shows another text from now on.
    pub(crate) fn show(&self, text: String) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}
