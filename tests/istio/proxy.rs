//! Proxies of the mesh: pilot-agent with an Envoy.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use edge_claims_harness::tls::Authority;
use edge_claims_harness::{Client, tools};
use serde_json::{Value, json};

use crate::manifests;
use crate::process::{Process, installed, wait};

/// What Envoy logs when a VM traps.
const TRAPS: [&str; 3] = ["Function: proxy_", "Uncaught RuntimeError", "panicked at"];

/// Which proxy pilot-agent runs.
pub struct Workload {
    /// As pilot-agent calls it.
    pub kind: &'static str,
    pub namespace: &'static str,
    pub pod: &'static str,
    pub account: &'static str,
    /// The address of its pod.
    pub address: &'static str,
    pub labels: &'static str,
    /// Where it accepts the requests of a test.
    pub listens: &'static str,
    /// The mesh's config in the pod, as the injected proxy gets it.
    pub mesh_config: Option<&'static str>,
    /// A patch of the deployment with annotations of the pod.
    pub annotations: Option<&'static str>,
    /// The environment of its container.
    pub environment: &'static [(&'static str, &'static str)],
}

/// The ingress gateway.
pub const GATEWAY: Workload = Workload {
    kind: "router",
    namespace: "istio-ingress",
    pod: "gateway-0",
    account: "istio-ingressgateway",
    address: "10.10.1.1",
    labels: r#"{"istio": "ingressgateway", "app": "istio-ingressgateway"}"#,
    listens: "127.0.0.1:8080",
    mesh_config: None,
    annotations: Some(manifests::GATEWAY_ANNOTATION),
    environment: &[],
};

/// The sidecar of `orders`.
pub const ORDERS: Workload = Workload {
    kind: "sidecar",
    namespace: "shop",
    pod: "orders-0",
    account: "orders",
    address: "10.10.2.1",
    labels: r#"{"app": "orders", "service.istio.io/canonical-name": "orders"}"#,
    listens: "10.10.2.1:8081",
    mesh_config: Some(manifests::MESH_CONFIG),
    annotations: None,
    environment: &[],
};

/// The sidecar of `billing`.
pub const BILLING: Workload = Workload {
    kind: "sidecar",
    namespace: "billing",
    pod: "billing-0",
    account: "billing",
    address: "10.10.4.1",
    labels: r#"{"app": "billing", "service.istio.io/canonical-name": "billing"}"#,
    listens: "127.0.0.1:80",
    mesh_config: None,
    annotations: None,
    environment: &[],
};

/// A running proxy. When it is dropped, it ends, and the test fails if a VM has trapped.
pub struct Proxy {
    process: Process,
    client: Client,
    listens: SocketAddr,
    admin: Client,
    status: Client,
    traps_are_wanted: bool,
}

impl Proxy {
    pub(crate) fn start(
        workload: &Workload,
        folder: &Path,
        ports: u16,
        authority: &Authority,
    ) -> Self {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap_or(folder)).expect("the folder is ours");
            fs::write(&path, text).expect("the folder is ours");
            path
        };
        let Workload {
            namespace, account, ..
        } = workload;
        let identity = authority.workload(&format!(
            "spiffe://cluster.local/ns/{namespace}/sa/{account}"
        ));
        write("etc/certs/cert-chain.pem", &identity.certificate);
        write("etc/certs/key.pem", &identity.key);
        write("etc/certs/root-cert.pem", &authority.certificate());
        if let Some(path) = workload.mesh_config {
            write(
                "etc/istio/config/mesh",
                &manifests::docs(path)["meshConfig"].to_string(),
            );
        }
        if let Some(path) = workload.annotations {
            write(
                "etc/istio/pod/annotations",
                &annotations(&manifests::docs(path)),
            );
        }
        let template = installed("files").join("envoy_bootstrap.json");
        let template = fs::read_to_string(template).expect("the set-up wrote it");
        let template = write("bootstrap.json", &template);
        let data = folder.join("data");
        fs::create_dir_all(&data).expect("the folder is ours");
        let (admin, status) = (ports, ports + 20);
        let config = json!({
            "binaryPath": tools::envoy(),
            "configPath": folder.join("etc/istio/proxy"),
            "discoveryAddress": "127.0.0.1:15010",
            "controlPlaneAuthPolicy": "NONE",
            "proxyAdminPort": admin,
            "statusPort": status,
            "concurrency": 2,
            "terminationDrainDuration": "1s",
        });
        let mut command = Command::new("unshare");
        command
            // pilot-agent keeps modules in one place, wherever it runs.
            .args([
                "--mount",
                "sh",
                "-c",
                "mount --bind \"$0\" /var/lib/istio/data && exec \"$@\"",
            ])
            .arg(&data)
            .arg(installed("pilot-agent"))
            .args([
                "proxy",
                workload.kind,
                "--domain",
                &format!("{namespace}.svc.cluster.local"),
            ])
            .arg("--templateFile")
            .arg(template)
            .args([
                "--proxyLogLevel=warning",
                "--proxyComponentLogLevel=misc:error",
                "--log_output_level=default:info,wasm:debug",
            ])
            .current_dir(folder)
            .envs([
                ("INSTANCE_IP", workload.address),
                ("POD_NAME", workload.pod),
                ("POD_NAMESPACE", namespace),
            ])
            .envs([
                ("SERVICE_ACCOUNT", *account),
                ("ISTIO_META_WORKLOAD_NAME", account),
            ])
            .envs([
                ("ISTIO_META_CLUSTER_ID", "Kubernetes"),
                ("ISTIO_META_INTERCEPTION_MODE", "NONE"),
            ])
            .envs([
                ("ISTIO_METAJSON_LABELS", workload.labels),
                ("FILE_MOUNTED_CERTS", "true"),
            ])
            .env("ENVOY_STATUS_PORT", (ports + 21).to_string())
            .env("ENVOY_PROMETHEUS_PORT", (ports + 90).to_string())
            .env("ISTIO_META_ISTIO_VERSION", "1.31.0")
            .env("PROXY_CONFIG", config.to_string())
            .envs(workload.environment.iter().copied());
        let listens = workload.listens.parse().expect("an address");
        Self {
            process: Process::start(workload.pod, folder, &mut command),
            client: Client::to(listens),
            listens,
            admin: Client::new(admin),
            status: Client::new(status),
            traps_are_wanted: false,
        }
    }

    /// Waits until the agent says that the proxy is ready, and it accepts connections.
    pub fn ready(mut self) -> Self {
        let (status, listens) = (self.status.clone(), self.listens);
        self.process.wait_for("readiness", || {
            let ready = readiness(&status) == 200;
            (ready && std::net::TcpStream::connect(listens).is_ok()).then_some(())
        });
        self
    }

    /// Stops it without the check, for a test that wants a VM to trap.
    pub fn abandon(mut self) {
        self.traps_are_wanted = true;
    }

    /// The status of the agent's readiness probe.
    pub fn readiness(&self) -> u16 {
        readiness(&self.status)
    }

    /// Sends requests to it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Envoy's log level of Wasm, which is `warning` in Istio.
    pub fn log_wasm_at(&self, level: &str) {
        let path = format!("/logging?wasm={level}");
        let response = self
            .admin
            .request("POST", path)
            .header("content-length", "0")
            .send();
        assert_eq!(response.status, 200, "{response:?}");
    }

    /// A page of Envoy's admin interface.
    pub fn admin(&self, path: &str) -> String {
        self.admin.get(path).send().text()
    }

    /// A page of the agent's status port.
    pub fn agent(&self, path: &str) -> String {
        self.status.get(path).send().text()
    }

    /// What Envoy and its agent have logged so far, access logs too.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until the log has a line with that text, and returns the line.
    pub fn wait_for_log(&mut self, text: &str) -> String {
        self.process.wait_for_log(text)
    }

    /// Waits for the record of the access log, in the JSON format of the docs, with that correlation ID.
    pub fn access(&self, id: &str) -> Value {
        wait(&format!("a record with the ID {id}"), || {
            let log = self.log();
            let records = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            records
                .into_iter()
                .find(|record| record["correlation_id"] == id)
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.traps_are_wanted || std::thread::panicking() {
            return;
        }
        let log = self.log();
        let traps: Vec<&str> = log
            .lines()
            .filter(|line| TRAPS.iter().any(|sign| line.contains(sign)))
            .collect();
        assert!(traps.is_empty(), "a VM trapped: {traps:#?}");
    }
}

fn readiness(agent: &Client) -> u16 {
    agent.get("/healthz/ready").send().status
}

/// Annotations as the downward API writes them.
fn annotations(patch: &Value) -> String {
    let annotations = &patch["spec"]["template"]["metadata"]["annotations"];
    let annotations = annotations.as_object().expect("the patch has annotations");
    annotations
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}
