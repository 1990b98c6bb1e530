//! The configuration of an Envoy under test: one listener with the filter, one upstream, and
//! whatever a test puts around them. It is written as JSON, which Envoy reads like YAML.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::envoy::Envoy;
use crate::tls::{Authority, ClientTls, Identity};
use crate::tools;
use crate::upstream::Upstream;

/// The name of the upstream's cluster, for filters and routes that a test adds.
pub const UPSTREAM: &str = "upstream";

/// Which of Envoy's path rewrites run before the filter: Istio's names for them
/// (`meshConfig.pathNormalization`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathNormalization {
    None,
    /// RFC 3986: dot segments resolved, `\` becomes `/`. Istio's default.
    Base,
    /// And runs of slashes merged.
    MergeSlashes,
    /// And `%2F`, `%5C` decoded before.
    DecodeAndMergeSlashes,
}

/// An Envoy that has not been started yet.
#[derive(Debug, Clone)]
pub struct Setup {
    filters: Vec<Value>,
    hcm: Value,
    listener: Value,
    bootstrap: Value,
    clusters: Vec<Value>,
    environment: BTreeMap<String, String>,
    failure_policy: String,
    plugin_settings: Value,
    server_tls: Option<(Identity, Option<String>)>,
    downstream_tls: Value,
    pub(crate) client_tls: Option<ClientTls>,
    pub(crate) concurrency: u32,
    pub(crate) log_level: String,
    pub(crate) component_log_level: String,
    pub(crate) yaml: Option<String>,
    version: u32,
}

impl Setup {
    /// A listener in front of that upstream, without any filter yet.
    #[must_use]
    pub fn new(upstream: &Upstream) -> Self {
        Self::empty().cluster(cluster(UPSTREAM, upstream.port()))
    }

    /// A listener in front of another Envoy: the next hop of a chain.
    #[must_use]
    pub fn before(next: &Envoy) -> Self {
        Self::empty().cluster(cluster(UPSTREAM, next.port()))
    }

    pub(crate) fn empty() -> Self {
        Self {
            filters: Vec::new(),
            hcm: json!({}),
            listener: json!({}),
            bootstrap: json!({}),
            clusters: Vec::new(),
            environment: BTreeMap::new(),
            failure_policy: "FAIL_RELOAD".to_owned(),
            plugin_settings: json!({}),
            server_tls: None,
            downstream_tls: json!({}),
            client_tls: None,
            concurrency: 1,
            log_level: "info".to_owned(),
            // At `info` it would list every extension that it has.
            component_log_level: "main:warning".to_owned(),
            yaml: None,
            version: 0,
        }
    }

    /// Adds the filter with that plugin config.
    #[must_use]
    pub fn plugin(self, config: &Value) -> Self {
        self.plugin_text(&config.to_string())
    }

    /// Adds the filter with a plugin config that is that text, JSON or not.
    #[must_use]
    pub fn plugin_text(self, config: &str) -> Self {
        self.wasm(&tools::module(), string_value(config))
    }

    /// Adds a Wasm filter from a module, with a config that is a protobuf `Any`.
    #[must_use]
    pub fn wasm(self, module: &Path, configuration: Value) -> Self {
        let mut filter = json!({
            "name": "edge_claims",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": "edge_claims",
                    "failure_policy": self.failure_policy,
                    "vm_config": {
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": module}},
                        "environment_variables": {"key_values": self.environment},
                    },
                    "configuration": configuration,
                },
            },
        });
        merge(&mut filter["typed_config"]["config"], &self.plugin_settings);
        self.filter(filter)
    }

    /// Adds an HTTP filter behind those that are there already.
    #[must_use]
    pub fn filter(mut self, filter: Value) -> Self {
        self.filters.push(filter);
        self
    }

    /// Takes all filters away, so that others can be put there for a reload.
    #[must_use]
    pub fn without_filters(mut self) -> Self {
        self.filters.clear();
        self
    }

    /// A variable in the environment of the VM, for the Wasm filters that follow.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What Envoy does when the VM fails, for the Wasm filters that follow; `FAIL_RELOAD` otherwise.
    #[must_use]
    pub fn failure_policy(mut self, policy: &str) -> Self {
        policy.clone_into(&mut self.failure_policy);
        self
    }

    /// Settings over those of the `PluginConfig`, for the Wasm filters that follow.
    #[must_use]
    pub fn plugin_settings(mut self, settings: &Value) -> Self {
        merge(&mut self.plugin_settings, settings);
        self
    }

    /// The number of worker threads; 1 otherwise.
    #[must_use]
    pub const fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Envoy's log level, which is that of the filter's log too; `info` otherwise.
    #[must_use]
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.log_level);
        self
    }

    /// The log levels of single components, as `wasm:trace,http:debug`.
    #[must_use]
    pub fn component_log_level(mut self, levels: &str) -> Self {
        self.component_log_level = format!("main:warning,{levels}");
        self
    }

    /// YAML that Envoy lays over its bootstrap: a file of `examples/` as it is.
    #[must_use]
    pub fn config_yaml(mut self, yaml: &str) -> Self {
        self.yaml = Some(yaml.to_owned());
        self
    }

    /// Settings over those of the `HttpConnectionManager`: objects are merged, all else replaced.
    #[must_use]
    pub fn hcm(mut self, settings: &Value) -> Self {
        merge(&mut self.hcm, settings);
        self
    }

    /// Virtual hosts in place of the one for all: the domains of each, and its cluster.
    #[must_use]
    pub fn virtual_hosts(self, hosts: &[(&[&str], &str)]) -> Self {
        let hosts: Vec<Value> = hosts
            .iter()
            .enumerate()
            .map(|(index, (domains, cluster))| {
                json!({
                    "name": format!("host-{index}"),
                    "domains": domains,
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "20s"}}],
                })
            })
            .collect();
        self.hcm(&json!({"route_config": {"virtual_hosts": hosts}}))
    }

    /// Settings over those of the listener.
    #[must_use]
    pub fn listener(mut self, settings: &Value) -> Self {
        merge(&mut self.listener, settings);
        self
    }

    /// Settings over those of the bootstrap, `stats_config` for instance.
    #[must_use]
    pub fn bootstrap(mut self, settings: &Value) -> Self {
        merge(&mut self.bootstrap, settings);
        self
    }

    /// The rewrites of the path that run before the filter.
    #[must_use]
    pub fn path_normalization(self, kind: PathNormalization) -> Self {
        let decode = kind == PathNormalization::DecodeAndMergeSlashes;
        self.hcm(&json!({
            "normalize_path": kind != PathNormalization::None,
            "merge_slashes": decode || kind == PathNormalization::MergeSlashes,
            "path_with_escaped_slashes_action":
                if decode { "UNESCAPE_AND_FORWARD" } else { "KEEP_UNCHANGED" },
        }))
    }

    /// Another upstream under that cluster name: a key server for instance.
    #[must_use]
    pub fn upstream(self, name: &str, upstream: &Upstream) -> Self {
        self.cluster(cluster(name, upstream.port()))
    }

    /// A cluster as Envoy's API has it.
    #[must_use]
    pub fn cluster(mut self, cluster: Value) -> Self {
        self.clusters.push(cluster);
        self
    }

    /// Trailers over HTTP/1.1, from clients and to all upstreams: without it Envoy drops them.
    #[must_use]
    pub fn http1_trailers(mut self) -> Self {
        for cluster in &mut self.clusters {
            merge(
                cluster,
                &json!({"typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                        "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
                    },
                }}),
            );
        }
        self.hcm(&json!({"http_protocol_options": {"enable_trailers": true}}))
    }

    /// Speaks HTTP/2 to all upstreams: gRPC needs it.
    #[must_use]
    pub fn http2_upstreams(mut self) -> Self {
        for cluster in &mut self.clusters {
            merge(
                cluster,
                &json!({"typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                        "explicit_http_config": {"http2_protocol_options": {"allow_connect": true}},
                    },
                }}),
            );
        }
        self
    }

    /// TLS at the listener; its own client shows no certificate.
    #[must_use]
    pub fn tls(mut self, authority: &Authority) -> Self {
        self.server_tls = Some((authority.server(), None));
        self.client_tls = Some(authority.client_tls(None));
        self
    }

    /// mTLS at the listener: it asks for a certificate of that authority, without insisting on one;
    /// its own client shows that identity.
    #[must_use]
    pub fn mtls(mut self, authority: &Authority, client: &Identity) -> Self {
        self.server_tls = Some((authority.server(), Some(authority.certificate())));
        self.client_tls = Some(authority.client_tls(Some(client)));
        self
    }

    /// Settings over those of the listener's `DownstreamTlsContext`.
    #[must_use]
    pub fn downstream_tls(mut self, settings: &Value) -> Self {
        merge(&mut self.downstream_tls, settings);
        self
    }

    /// Starts Envoy and waits until it serves.
    ///
    /// # Panics
    /// Where it does not come up; with its log.
    #[must_use]
    pub fn start(self) -> Envoy {
        Envoy::start(self).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Starts Envoy; what it says where it refuses the listener.
    ///
    /// # Errors
    /// The end of Envoy's log.
    pub fn try_start(self) -> Result<Envoy, String> {
        Envoy::start(self)
    }

    /// The listener as a dynamic resource; each call is a new version.
    pub(crate) fn listeners(&mut self, port: u16, access_log: &Path) -> Value {
        self.version += 1;
        let mut filters = self.filters.clone();
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }));
        let mut hcm = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "ingress",
            // How long a client whose bytes were refused waits for the end of the connection.
            "delayed_close_timeout": "0.05s",
            "http2_protocol_options": {"allow_connect": true},
            "access_log": [{
                "name": "file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": access_log,
                    "log_format": {"json_format": access_fields()},
                },
            }],
            "route_config": {
                "name": "routes",
                "virtual_hosts": [{
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": UPSTREAM, "timeout": "20s"}}],
                }],
            },
            "http_filters": filters,
        });
        merge(&mut hcm, &self.hcm);
        let mut chain = json!({"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": hcm,
        }]});
        if let Some((server, trusted)) = &self.server_tls {
            chain["transport_socket"] = transport_socket(server, trusted.as_deref());
            merge(
                &mut chain["transport_socket"]["typed_config"],
                &self.downstream_tls,
            );
        }
        let mut listener = json!({
            "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": "ingress",
            "address": address(port),
            "filter_chains": [chain],
        });
        merge(&mut listener, &self.listener);
        json!({"version_info": self.version.to_string(), "resources": [listener]})
    }

    /// The bootstrap, which takes its listener from a folder.
    pub(crate) fn to_bootstrap(&self, admin: u16, listeners: &Path) -> Value {
        let mut bootstrap = json!({
            "node": {"id": "edge-claims-test", "cluster": "edge-claims-test"},
            "admin": {"address": address(admin)},
            "dynamic_resources": {"lds_config": {
                "resource_api_version": "V3",
                "path_config_source": {
                    "path": listeners,
                    "watched_directory": {"path": listeners.parent()},
                },
            }},
            "static_resources": {"clusters": self.clusters},
        });
        merge(&mut bootstrap, &self.bootstrap);
        bootstrap
    }
}

/// The filter's own fields and what tells requests apart.
fn access_fields() -> Value {
    json!({
        "correlation_id": "%FILTER_STATE(wasm.edge_claims.correlation_id:PLAIN)%",
        "verdict": "%FILTER_STATE(wasm.edge_claims.verdict:PLAIN)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "judged_path": "%FILTER_STATE(wasm.edge_claims.path:PLAIN)%",
        "host": "%REQ(:AUTHORITY)%",
        "protocol": "%PROTOCOL%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "test": "%REQ(X-TEST)%",
    })
}

/// A `StringValue` in an `Any`: how a plugin config is given as text.
#[must_use]
pub fn string_value(text: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text})
}

/// A cluster with one endpoint on loopback.
#[must_use]
pub fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    })
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn transport_socket(server: &Identity, trusted: Option<&str>) -> Value {
    let mut common = json!({
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificates": [{
            "certificate_chain": {"inline_string": server.certificate},
            "private_key": {"inline_string": server.key},
        }],
    });
    if let Some(trusted) = trusted {
        common["validation_context"] = json!({"trusted_ca": {"inline_string": trusted}});
    }
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": common,
        },
    })
}

/// Lays one JSON tree over another: objects member by member, all else is replaced.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
