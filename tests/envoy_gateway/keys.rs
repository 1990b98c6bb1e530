//! A key server as the example has it: `https://keys.example.com`, on its usual port.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use edge_claims_harness::tokens::{self, Key};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

const ADDRESS: &str = "127.0.0.1:443";

/// A running key server; it stops when it is dropped.
pub struct TlsKeys {
    certificate: String,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TlsKeys {
    /// Serves these keys at every path, with a certificate for `keys.example.com`.
    pub fn start(keys: &[&Key]) -> Self {
        let pair = rcgen::KeyPair::generate().expect("a key pair");
        let params = rcgen::CertificateParams::new(["keys.example.com".to_owned()]);
        let certificate = params.and_then(|params| params.self_signed(&pair));
        let certificate = certificate.expect("a certificate");
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(pair.serialize_der()).expect("a key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they fit");
        let (config, body) = (Arc::new(config), tokens::jwks(keys).to_string());
        let listener = TcpListener::bind(ADDRESS).expect("the port is free");
        let closing = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&closing);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if theirs.load(Ordering::Relaxed) {
                    return;
                }
                let (config, body) = (Arc::clone(&config), body.clone());
                thread::spawn(move || serve(stream, config, &body));
            }
        });
        Self {
            certificate: certificate.pem(),
            closing,
            thread: Some(thread),
        }
    }

    /// Makes the cluster of the example trust this server, as it trusts public authorities.
    pub fn trusted_by(&self, proxy: &mut Value, folder: &Path) {
        let file = folder.join("keys.pem");
        std::fs::write(&file, &self.certificate).expect("the folder is ours");
        let patches = proxy["spec"]["bootstrap"]["jsonPatches"].as_array_mut();
        let cluster = patches.and_then(|patches| {
            patches
                .iter_mut()
                .find(|patch| patch["path"] == "/static_resources/clusters/-")
        });
        let tls = &mut cluster.expect("the example has it")["value"]["transport_socket"];
        let context = &mut tls["typed_config"]["common_tls_context"]["validation_context"];
        assert!(context["trusted_ca"].is_object());
        context["trusted_ca"] = json!({"filename": file});
    }
}

impl Drop for TlsKeys {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(ADDRESS);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one request. An error is the client's going away.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, body: &str) {
    let Ok(connection) = ServerConnection::new(config) else {
        return;
    };
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
        line.clear();
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let length = body.len();
    let stream = reader.get_mut();
    let _ = write!(stream, "{head}content-length: {length}\r\n\r\n{body}");
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
