//! Hosts outside of the mesh, with TLS: an Envoy that ends TLS in front of a server of the test.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use edge_claims_harness::tls::Identity;
use edge_claims_harness::tools;
use serde_json::json;

use crate::process::Process;

/// A host that is reached by its name over TLS on port 443. It can be down.
pub struct Host {
    name: &'static str,
    address: &'static str,
    server: u16,
    folder: PathBuf,
    running: Option<(Process, String)>,
}

impl Host {
    /// The host of that name and address (`tests/istio/hosts`), with a plain server on loopback behind it.
    pub fn new(name: &'static str, address: &'static str, server: u16, folder: &Path) -> Self {
        Self {
            name,
            address,
            server,
            folder: folder.to_owned(),
            running: None,
        }
    }

    /// Accepts connections, with that certificate. If it does already, with the same one, it goes on.
    pub fn up(&mut self, identity: &Identity) {
        if self
            .running
            .as_ref()
            .is_some_and(|(_, certificate)| *certificate == identity.certificate)
        {
            return;
        }
        self.down();
        let file = self.folder.join(format!("{}.json", self.name));
        fs::write(&file, self.config(identity).to_string()).expect("the folder is ours");
        let mut command = Command::new(tools::envoy());
        command.arg("--config-path").arg(&file).args([
            "--concurrency",
            "1",
            "--log-level",
            "warning",
            "--disable-hot-restart",
        ]);
        let mut process = Process::start(self.name, &self.folder, &mut command);
        process.wait_for("a connection", || {
            TcpStream::connect((self.address, 443)).ok()
        });
        self.running = Some((process, identity.certificate.clone()));
    }

    /// Refuses connections.
    pub fn down(&mut self) {
        self.running = None;
    }

    fn config(&self, identity: &Identity) -> serde_json::Value {
        let endpoint = |address: &str, port: u16| json!({"socket_address": {"address": address, "port_value": port}});
        json!({"static_resources": {
            "listeners": [{
                "address": endpoint(self.address, 443),
                "filter_chains": [{
                    "transport_socket": {
                        "name": "tls",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                            "common_tls_context": {"tls_certificates": [{
                                "certificate_chain": {"inline_string": identity.certificate},
                                "private_key": {"inline_string": identity.key},
                            }]},
                        },
                    },
                    "filters": [{
                        "name": "tcp",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                            "stat_prefix": "tcp",
                            "cluster": "server",
                        },
                    }],
                }],
            }],
            "clusters": [{
                "name": "server",
                "load_assignment": {"cluster_name": "server", "endpoints": [
                    {"lb_endpoints": [{"endpoint": {"address": endpoint("127.0.0.1", self.server)}}]},
                ]},
            }],
        }})
    }
}
