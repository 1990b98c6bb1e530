//! The files of a starter: the examples of this repository, which the tests run, with another policy and the
//! values of the flags.

use super::folder::File;
use super::values::{JwksUrl, Values};
use super::{Target, policy};
use crate::cli::{CommandError, schema};

const CLUSTER: &str = include_str!("templates/cluster.yaml");
const TLS: &str = include_str!("templates/tls.yaml");
const README_ENVOY: &str = include_str!("templates/readme-envoy.txt");
const README_COMPOSE: &str = include_str!("templates/readme-compose.txt");
const HELLO: &str = include_str!("templates/hello.yaml");
const README_TRY: &str = include_str!("templates/readme-try.txt");
const README_ISTIO: &str = include_str!("templates/readme-istio.txt");
const TOKENS_SECRET: &str = include_str!("templates/tokens-secret.txt");
const TOKENS_REMOTE: &str = include_str!("templates/tokens-remote.txt");

const ENVOY: &str = include_str!("../../../examples/envoy/standalone.yaml");
const COMPOSE: &str = include_str!("../../../examples/docker-compose/docker-compose.yaml");
const COMPOSE_ENVOY: &str = include_str!("../../../examples/docker-compose/envoy.yaml");
const WASM_PLUGIN: &str = include_str!("templates/wasmplugin.yaml");
const KEYS: &str = include_str!("../../../istio/keys/serviceentry.yaml");
const TELEMETRY: &str = include_str!("../../../docs/access-logs/istio-telemetry.yaml");
const MESH_CONFIG: &str = include_str!("../../../docs/access-logs/istio-mesh-config.yaml");

/// The file that holds the plugin config.
pub(super) const fn config_file(target: Target) -> &'static str {
    match target {
        Target::Envoy | Target::Compose => "envoy.yaml",
        Target::Istio => "wasmplugin.yaml",
    }
}

/// All files, the one with the plugin config first.
///
/// # Errors
/// [`CommandError::Content`] if an example lacks a part that is to be replaced.
pub(super) fn files(target: Target, values: &Values) -> Result<Vec<File>, CommandError> {
    let texts = match target {
        Target::Envoy => vec![
            (
                "envoy.yaml",
                envoy(ENVOY, ENVOY_HEAD, "edge_claims.wasm", values)?,
            ),
            ("README.md", readme(README_ENVOY, values)),
        ],
        Target::Compose => {
            let module = "/etc/envoy/edge_claims.wasm";
            vec![
                (
                    "envoy.yaml",
                    envoy(COMPOSE_ENVOY, COMPOSE_HEAD, module, values)?,
                ),
                ("docker-compose.yaml", compose(values)?),
                ("README.md", readme(README_COMPOSE, values)),
            ]
        }
        Target::Istio => istio(values)?,
    };
    let file = |(name, text): (&'static str, String)| File {
        name,
        content: text.into_bytes(),
        is_secret: name == PRIVATE_KEY,
    };
    Ok(texts.into_iter().map(file).collect())
}

/// The file of the new key.
const PRIVATE_KEY: &str = "edge.jwk";

fn istio(values: &Values) -> Result<Vec<(&'static str, String)>, CommandError> {
    let mut texts = vec![("wasmplugin.yaml", wasm_plugin(values)?)];
    let resources = if let Some(key) = &values.key {
        texts.push(("hello.yaml", hello(values)?));
        texts.push((PRIVATE_KEY, key.private.clone()));
        texts.push(("README.md", readme(README_TRY, values)));
        // In this order: no request passes before the filter is there.
        "[wasmplugin.yaml, hello.yaml]\nsortOptions: {order: fifo}"
    } else {
        texts.push(("keys.yaml", service_entry(values)?));
        texts.push(("telemetry.yaml", TELEMETRY.to_owned()));
        texts.push(("mesh-config.yaml", MESH_CONFIG.to_owned()));
        texts.push(("README.md", readme(README_ISTIO, values)));
        "[keys.yaml, telemetry.yaml, wasmplugin.yaml]"
    };
    let kustomization = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: {resources}\n"
    );
    texts.push(("kustomization.yaml", kustomization));
    texts.push((
        "wasmplugin.schema.json",
        schema::text(schema::Kind::WasmPlugin)?,
    ));
    Ok(texts)
}

/// A route of the gateway that answers by itself.
fn hello(values: &Values) -> Result<String, CommandError> {
    match &values.host {
        Some(host) => replaced(HELLO, "\"*\"", &format!("\"{host}\"")),
        None => Ok(HELLO.to_owned()),
    }
}

const ENVOY_HEAD: &str = "\
# Envoy with edge-claims in front of one upstream. README.md says how to start it. The plugin config is at
# `configuration`, and the upstream below `clusters`.
";

const COMPOSE_HEAD: &str = "\
# The Envoy of docker-compose.yaml, with edge-claims in front of one upstream. The plugin config is at
# `configuration`.
";

const CONFIGURATION: &str = "                \
                # The plugin config. docs/config.md of edge-claims describes every key.
                # claims: who signs the tokens. rbac: who may do what; the most specific route decides, and what no
                # route matches is denied. identity: what the upstream learns about the user. tests: they run each
                # time the config loads; if one fails, the config is refused, and the previous one stays.
                configuration:
                  \"@type\": type.googleapis.com/google.protobuf.StringValue
                  value: |
";

/// An Envoy config made from an example.
fn envoy(example: &str, head: &str, module: &str, values: &Values) -> Result<String, CommandError> {
    let policy = indented(&policy::json(values)?, 20);
    let configuration = format!("{CONFIGURATION}{policy}");
    let mut text = cut(example, "# ", "admin:\n", head)?;
    text = cut(
        &text,
        "                configuration:\n",
        "          - name: envoy.filters.http.router\n",
        &configuration,
    )?;
    text = replaced(&text, "/etc/envoy/edge_claims.wasm", module)?;
    if let Some(url) = &values.jwks_url {
        let secret =
            "                  environment_variables: {host_env_keys: [EDGE_CLAIMS_SECRET]}\n";
        text = replaced(&text, secret, "")?;
        text.push_str(&cluster(url));
    }
    Ok(text)
}

/// The cluster of the key server.
fn cluster(url: &JwksUrl) -> String {
    let tls = if url.is_https { TLS } else { "" };
    [CLUSTER, tls]
        .concat()
        .replace("HOST", &url.host)
        .replace("PORT", &url.port.to_string())
}

fn compose(values: &Values) -> Result<String, CommandError> {
    let text = replaced(
        COMPOSE,
        "../../target/edge_claims.wasm",
        "./edge_claims.wasm",
    )?;
    if values.jwks_url.is_some() {
        cut(&text, "    environment:\n", "    ports:", "")
    } else {
        Ok(text)
    }
}

fn wasm_plugin(values: &Values) -> Result<String, CommandError> {
    let cluster = values
        .jwks_url
        .as_ref()
        .map_or_else(String::new, istio_cluster);
    let policy = indented(&policy::yaml(values, &cluster)?, 4);
    let mut plugin = WASM_PLUGIN.to_owned();
    if let Some(image) = &values.image {
        plugin = replaced(&plugin, IMAGE_NAME, &image.name)?;
        plugin = replaced(&plugin, &"0".repeat(64), &image.hash)?;
    }
    Ok(format!("{plugin}{policy}"))
}

/// The image of the template.
const IMAGE_NAME: &str = "registry.example.com/edge-claims:0.2.0";

/// The name of the cluster that Istio makes of the `ServiceEntry`.
fn istio_cluster(url: &JwksUrl) -> String {
    format!("outbound|{}||{}", url.port, url.host)
}

/// The key server as a `ServiceEntry`, with a `DestinationRule` for TLS.
fn service_entry(values: &Values) -> Result<String, CommandError> {
    let Some(url) = &values.jwks_url else {
        return Err(broken("the URL of the key set"));
    };
    let mut text = replaced(KEYS, "outbound|443||", &format!("outbound|{}||", url.port))?;
    text = replaced(&text, "keys.example.com", &url.host)?;
    text = replaced(&text, "number: 443", &format!("number: {}", url.port))?;
    if !url.is_https {
        let rule = " The DestinationRule lets Envoy speak TLS and check the name.";
        text = replaced(&text, rule, "")?;
        text = replaced(
            &text,
            "name: https, protocol: HTTPS",
            "name: http, protocol: HTTP",
        )?;
        let (entry, _) = text.split_once("---\n").ok_or_else(|| broken("---"))?;
        text = entry.to_owned();
    }
    Ok(text)
}

fn readme(template: &str, values: &Values) -> String {
    let curl = values.host.as_ref().map_or_else(
        || "curl -i".to_owned(),
        |host| format!("curl -i -H 'host: {host}'"),
    );
    let (secret, tokens) = match &values.jwks_url {
        Some(url) => ("", TOKENS_REMOTE.replace("$URL", &url.to_string())),
        None => (
            "edge-claims keys new --alg HS256 --kid edge-1 --out edge.jwk --secret-out edge.secret    # the edge signs with it\n\
             export EDGE_CLAIMS_SECRET=$(cat edge.secret)\n",
            TOKENS_SECRET.to_owned(),
        ),
    };
    // No value has a `$`.
    template
        .replace("$TOKENS\n", &tokens)
        .replace("$SECRET", secret)
        .replace("$CURL", &curl)
        .replace("$ISSUER", &values.issuer)
        .replace("$AUDIENCE", &values.audience)
}

/// The text with each `from` replaced, which occurs at least once.
///
/// # Errors
/// [`CommandError::Content`] if it does not occur.
pub(super) fn replaced(text: &str, from: &str, to: &str) -> Result<String, CommandError> {
    if text.contains(from) {
        Ok(text.replace(from, to))
    } else {
        Err(broken(from))
    }
}

/// The text with `with` in the place of what lies between the first `from`, included, and the next `to`.
///
/// # Errors
/// [`CommandError::Content`] if one of the two does not occur.
pub(super) fn cut(text: &str, from: &str, to: &str, with: &str) -> Result<String, CommandError> {
    let (before, rest) = text.split_once(from).ok_or_else(|| broken(from))?;
    let (_, after) = rest.split_once(to).ok_or_else(|| broken(to))?;
    Ok([before, with, to, after].concat())
}

fn indented(text: &str, columns: usize) -> String {
    let line = |line: &str| match line {
        "" => "\n".to_owned(),
        line => format!("{:columns$}{line}\n", ""),
    };
    text.lines().map(line).collect()
}

/// An example in this program lacks a part. The tests rule it out.
fn broken(part: &str) -> CommandError {
    CommandError::Content {
        name: "the templates in this program".to_owned(),
        problem: format!("no {:?}", part.trim()),
    }
}
