//! A Kubernetes API server with its store, and kubectl.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use edge_claims_harness::tls::Authority;
use serde_json::json;

use crate::process::{Process, installed};

/// The kinds that tests create. Between two tests, all objects of these kinds are deleted.
const KINDS: &str = "wasmplugins,trafficextensions,telemetries,envoyfilters,serviceentries,workloadentries,\
destinationrules,sidecars,virtualservices,gateways.networking.istio.io,gateways.gateway.networking.k8s.io,\
authorizationpolicies,requestauthentications,peerauthentications,validatingadmissionpolicies,\
validatingadmissionpolicybindings";

/// A running cluster, without nodes.
pub struct Cluster {
    kubeconfig: PathBuf,
    home: PathBuf,
    // The API server first: it ends before its store.
    api: Process,
    _etcd: Process,
}

impl Cluster {
    /// Starts it in that folder, with the kinds of Istio and of the Gateway API and the namespaces.
    pub fn start(folder: &Path, authority: &Authority) -> Self {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("the folder is ours");
            path
        };
        let server = authority.server_named(&[
            "localhost",
            "127.0.0.1",
            "10.96.0.1",
            "kubernetes.default.svc",
        ]);
        let certificate = write("api.crt", &server.certificate);
        let key = write("api.key", &server.key);
        let accounts = authority.server_named(&["accounts"]);
        let accounts_key = write("accounts.key", &accounts.key);
        let accounts = write("accounts.crt", &accounts.certificate);
        let root = write("api-root.crt", &authority.certificate());
        let tokens = write("tokens.csv", "admin,admin,admin,system:masters\n");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "mesh",
            "clusters": [{"name": "mesh", "cluster": {"server": "https://127.0.0.1:6443", "certificate-authority": root}}],
            "users": [{"name": "admin", "user": {"token": "admin"}}],
            "contexts": [{"name": "mesh", "context": {"cluster": "mesh", "user": "admin"}}],
        });
        let kubeconfig = write("kubeconfig", &kubeconfig.to_string());

        let (client, peer) = ("http://127.0.0.1:2379", "http://127.0.0.1:2380");
        let etcd = Process::start(
            "etcd",
            folder,
            Command::new(installed("etcd"))
                .arg("--data-dir")
                .arg(folder.join("etcd"))
                .args([
                    "--listen-client-urls",
                    client,
                    "--advertise-client-urls",
                    client,
                ])
                .args([
                    "--listen-peer-urls",
                    peer,
                    "--initial-advertise-peer-urls",
                    peer,
                ])
                .args(["--initial-cluster", &format!("default={peer}")])
                .args(["--unsafe-no-fsync", "--log-level", "warn"]),
        );
        let api = Process::start(
            "kube-apiserver",
            folder,
            Command::new(installed("kube-apiserver"))
                .arg(format!("--etcd-servers={client}"))
                .args([
                    "--bind-address=127.0.0.1",
                    "--advertise-address=127.0.0.1",
                    "--secure-port=6443",
                ])
                .arg(format!("--tls-cert-file={}", certificate.display()))
                .arg(format!("--tls-private-key-file={}", key.display()))
                .arg(format!("--token-auth-file={}", tokens.display()))
                .arg(format!("--service-account-key-file={}", accounts.display()))
                .arg(format!(
                    "--service-account-signing-key-file={}",
                    accounts_key.display()
                ))
                .arg("--service-account-issuer=https://kubernetes.default.svc")
                .args([
                    "--service-cluster-ip-range=10.96.0.0/16",
                    "--authorization-mode=RBAC",
                ])
                .args(["--endpoint-reconciler-type=none", "--v=1"]),
        );
        let mut cluster = Self {
            kubeconfig,
            home: folder.to_owned(),
            api,
            _etcd: etcd,
        };
        cluster.wait_until_it_serves();
        cluster.run(&[
            "apply",
            "--server-side",
            "-f",
            &installed("files").join("crds").display().to_string(),
        ]);
        for namespace in ["istio-system", "istio-ingress", "shop", "billing"] {
            cluster.run(&["create", "namespace", namespace]);
        }
        cluster.run(&[
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=60s",
        ]);
        cluster
    }

    fn wait_until_it_serves(&mut self) {
        let (config, home) = (self.kubeconfig.clone(), self.home.clone());
        self.api.wait_for("readiness", || {
            let output = kubectl(&config, &home, &["get", "--raw", "/readyz"], "");
            output.status.success().then_some(())
        });
    }

    /// Where clients find the API server and their rights.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs kubectl, with that standard input, whatever comes of it.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Output {
        kubectl(&self.kubeconfig, &self.home, arguments, input)
    }

    /// Runs kubectl, and returns what it prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl(arguments, input);
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}\n{input}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `kubectl apply` of manifests.
    pub fn apply(&self, manifests: &str) {
        self.run_with(&["apply", "-f", "-"], manifests);
    }

    /// `kubectl delete` of manifests.
    pub fn delete(&self, manifests: &str) {
        self.run_with(&["delete", "--wait=false", "-f", "-"], manifests);
    }

    /// What kubectl says when the API server refuses manifests.
    pub fn refusal(&self, manifests: &str) -> String {
        let output = self.kubectl(&["apply", "-f", "-"], manifests);
        assert!(
            !output.status.success(),
            "the API server should refuse\n{manifests}"
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Gives a pod its address, as a kubelet does.
    pub fn pod_is_ready(&self, namespace: &str, pod: &str, address: &str) {
        let status = json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                "conditions": [{"type": "Ready", "status": "True"}]}});
        self.run(&[
            "patch",
            "pod",
            pod,
            "-n",
            namespace,
            "--subresource=status",
            "-p",
            &status.to_string(),
        ]);
    }

    /// Brings the cluster back to what it has before the filter comes.
    pub fn reset(&self) {
        self.run(&["delete", KINDS, "--all", "--all-namespaces", "--wait=false"]);
        self.apply(include_str!("cluster.yaml"));
        for (namespace, pod, address) in [
            ("istio-ingress", "gateway-0", "10.10.1.1"),
            ("shop", "orders-0", "10.10.2.1"),
            ("billing", "billing-0", "10.10.4.1"),
        ] {
            self.pod_is_ready(namespace, pod, address);
        }
    }
}

fn kubectl(config: &Path, home: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(installed("kubectl"))
        .arg("--kubeconfig")
        .arg(config)
        .args(arguments)
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("kubectl does not start: {error}; run: tests/istio/setup"));
    let mut stdin = child.stdin.take().expect("it is piped");
    // kubectl may end before it has read all.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("its output")
}
