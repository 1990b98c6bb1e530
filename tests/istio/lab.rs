//! The mesh: a cluster, istiod, a registry and a key server with TLS, and what a test does with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use edge_claims_harness::tls::Authority;
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Client, KeyServer, Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::host::Host;
use crate::manifests;
use crate::process::{Process, installed};
use crate::proxy::{self, Proxy, Workload};

/// A mesh without the filter. Tests of one process share it and run one after the other.
pub struct Lab {
    /// The API server.
    pub cluster: Cluster,
    /// `registry.example.com`, an OCI registry.
    pub registry: Host,
    /// `keys.example.com`, in front of `keys`.
    pub keys_host: Host,
    /// What the manifests fetch keys from.
    pub keys: KeyServer,
    /// The edge's key, `edge-1`, which `keys` publishes.
    pub key: Key,
    /// The service without a sidecar.
    pub web: Upstream,
    /// The service behind a sidecar.
    pub orders: Upstream,
    /// Who signs the certificates of hosts and workloads.
    pub authority: Authority,
    certificates: [edge_claims_harness::tls::Identity; 2],
    istiod: Option<(Process, Istiod)>,
    proxies: u16,
    _registry: Process,
    folder: TempDir,
}

/// How istiod runs.
#[derive(Clone, PartialEq)]
pub struct Istiod {
    /// Variables of its environment.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Its mesh config.
    pub mesh: Value,
    /// The program.
    pub program: PathBuf,
}

impl Default for Istiod {
    /// The mesh config has what the docs say about logs and labels of metrics.
    fn default() -> Self {
        let mut mesh = json!({
            "enableAutoMtls": true,
            "enableTracing": false,
            "defaultProviders": {},
            "defaultConfig": {"discoveryAddress": "127.0.0.1:15010", "tracing": {}},
        });
        manifests::merge(
            &mut mesh,
            &manifests::docs(manifests::LOG_FORMATS)["meshConfig"],
        );
        manifests::merge(
            &mut mesh,
            &manifests::docs(manifests::MESH_CONFIG)["meshConfig"],
        );
        Self {
            environment: Vec::new(),
            mesh,
            program: installed("istiod"),
        }
    }
}

static LAB: Mutex<Option<Lab>> = Mutex::new(None);

/// The use of the mesh by one test.
pub struct Lease(MutexGuard<'static, Option<Lab>>);

impl std::ops::Deref for Lease {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        self.0.as_ref().expect("it was started")
    }
}

impl std::ops::DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Lab {
        self.0.as_mut().expect("it was started")
    }
}

impl Lab {
    /// Waits for other tests of this process, starts the mesh if it does not run, and brings it back to its
    /// first state.
    ///
    /// # Panics
    /// Outside of the namespaces that `tests/istio/isolated` makes.
    pub fn open() -> Lease {
        assert!(
            std::env::var_os("EDGE_CLAIMS_ISOLATED").is_some(),
            "these tests need namespaces of their own. Run: make test-istio, or: \
             cargo --config tests/istio/cargo.toml test --package edge-claims-harness --test istio NAME"
        );
        let mut lab = LAB.lock().unwrap_or_else(PoisonError::into_inner);
        lab.get_or_insert_with(Self::boot).reset();
        Lease(lab)
    }

    fn boot() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path();
        let authority = Authority::new();
        // What speaks TLS in the mesh trusts the authority of the tests, as if it was the system's.
        fs::write(
            "/etc/ssl/certs/ca-certificates.crt",
            authority.certificate(),
        )
        .expect("the folder of the namespace");
        let registry = Process::start(
            "registry",
            path,
            Command::new(installed("crane"))
                .args(["registry", "serve", "--address", "127.0.0.1:5000", "--disk"])
                .arg(path.join("registry")),
        );
        fs::create_dir_all(path.join("registry")).expect("the folder is ours");
        let key = Key::generate("ES256", "edge-1");
        let keys = KeyServer::start(&[&key]);
        let host = |name, address, port| Host::new(name, address, port, path);
        let address = |text: &str| text.parse().expect("an address");
        Self {
            cluster: Cluster::start(path, &authority),
            registry: host("registry.example.com", "10.10.0.6", 5000),
            keys_host: host("keys.example.com", "10.10.0.5", keys.upstream().port()),
            keys,
            key,
            web: Upstream::at(address("10.10.3.1:9080")),
            orders: Upstream::at(address("127.0.0.1:9081")),
            certificates: ["registry.example.com", "keys.example.com"]
                .map(|name| authority.server_named(&[name])),
            authority,
            istiod: None,
            proxies: 0,
            _registry: registry,
            folder,
        }
    }

    fn reset(&mut self) {
        self.hosts_up();
        self.keys.publish(&[&self.key]);
        self.cluster.reset();
        self.istiod(Istiod::default());
        drop(self.web.take());
        drop(self.orders.take());
    }

    /// Registry and key server accept connections, with certificates that the mesh trusts.
    pub fn hosts_up(&mut self) {
        self.registry.up(&self.certificates[0]);
        self.keys_host.up(&self.certificates[1]);
    }

    /// Runs istiod so. If it runs in another way, it is restarted.
    pub fn istiod(&mut self, istiod: Istiod) {
        if self
            .istiod
            .as_ref()
            .is_some_and(|(_, current)| *current == istiod)
        {
            return;
        }
        self.istiod = None;
        let mesh = self.path("mesh.json");
        fs::write(&mesh, istiod.mesh.to_string()).expect("the folder is ours");
        let mut process = Process::start(
            "istiod",
            self.folder.path(),
            Command::new(&istiod.program)
                .arg("discovery")
                .arg("--kubeconfig")
                .arg(self.cluster.kubeconfig())
                .arg(format!("--meshConfig={}", mesh.display()))
                .args([
                    "--networksConfig=/nonexistent",
                    "--grpcAddr=127.0.0.1:15010",
                    "--secureGRPCAddr=",
                    "--httpsAddr=",
                ])
                .args([
                    "--httpAddr=127.0.0.1:15080",
                    "--monitoringAddr=127.0.0.1:15014",
                    "--ctrlz_port=0",
                ])
                // Certificates are files here; and Envoy is not Istio's build, which alone has these filters.
                .envs([
                    ("ENABLE_CA_SERVER", "false"),
                    ("PILOT_CERT_PROVIDER", "none"),
                ])
                .envs([
                    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
                    ("PILOT_ENABLE_ALPN_FILTER", "false"),
                ])
                .envs([("POD_NAMESPACE", "istio-system"), ("POD_NAME", "istiod-0")])
                .envs(istiod.environment.iter().copied()),
        );
        process.wait_for("readiness", || {
            (Client::new(15080).get("/ready").send().status == 200).then_some(())
        });
        self.istiod = Some((process, istiod));
    }

    /// `kubectl apply`.
    pub fn apply(&self, manifests: &impl ToString) {
        self.cluster.apply(&manifests.to_string());
    }

    /// `kubectl delete`.
    pub fn delete(&self, manifests: &impl ToString) {
        self.cluster.delete(&manifests.to_string());
    }

    /// Starts a proxy, by pilot-agent, without waiting for anything.
    pub fn start(&mut self, workload: &Workload) -> Proxy {
        self.proxies += 1;
        let folder = self.path(format!("{}-{}", workload.pod, self.proxies));
        // Ports that the agent opens on all addresses, so that each proxy has its own.
        Proxy::start(
            workload,
            &folder,
            20_000 + 100 * self.proxies,
            &self.authority,
        )
    }

    /// A running ingress gateway.
    pub fn gateway(&mut self) -> Proxy {
        self.start(&proxy::GATEWAY).ready()
    }

    /// The running sidecar of `orders`.
    pub fn sidecar(&mut self) -> Proxy {
        self.start(&proxy::ORDERS).ready()
    }

    /// The running sidecar of `billing`, whose outbound listener is on 127.0.0.1:80.
    pub fn billing(&mut self) -> Proxy {
        self.start(&proxy::BILLING).ready()
    }

    /// A token of the edge, with changes to its claims.
    pub fn token(&self, changes: &Value) -> String {
        token(&self.key, changes)
    }

    /// A path in the folder of this run.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A token of the edge by that key, with changes to its claims.
pub fn token(key: &Key, changes: &Value) -> String {
    key.sign_typed(&tokens::claims(changes), "edge-claims+jwt")
}
