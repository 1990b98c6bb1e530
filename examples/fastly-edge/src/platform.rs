//! Fastly Compute: the client's request in, the mesh's or the edge's own answer out, one log line.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fastly::http::Version;
use fastly::log::Endpoint;
use fastly::{ConfigStore, Request, Response, SecretStore};

use fastly_edge::edge::{self, DEFAULT_CORRELATION_HEADER, Decision, Edge, Edits, Fresh};
use fastly_edge::record::Record;
use fastly_edge::reply::{Form, Reply};

/// The backends: gRPC needs one of its own, because Fastly speaks HTTP/2 to a backend only if asked.
const BACKEND: &str = "mesh";
const GRPC_BACKEND: &str = "mesh_grpc";
const CONFIG_STORE: &str = "edge_config";
const SECRET_STORE: &str = "edge_secrets";
const LOG_ENDPOINT: &str = "edge_log";

/// Answers the client's request.
pub(crate) fn serve() {
    let started = Instant::now();
    let mut client = Request::from_client();
    let headers: Vec<(String, Vec<u8>)> = client
        .get_headers()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    let url = client.get_url().clone();
    // The Host header rather than the URL: the URL drops a default port.
    let host = client.get_header_str("host").unwrap_or_default().to_owned();
    let host = if host.is_empty() {
        url.host_str().unwrap_or_default().to_owned()
    } else {
        host
    };
    let method = client.get_method_str().to_owned();
    let request = edge::Request {
        method: &method,
        host: &host,
        path: url.path(),
        query: url.query(),
        headers: &headers,
    };
    let fresh = Fresh::new(now_ms());
    let edge = load();
    let (header, trust_client) = match &edge {
        Ok(edge) => {
            let correlation = &edge.settings.correlation;
            (correlation.header.clone(), correlation.trust_client)
        }
        Err(_) => (DEFAULT_CORRELATION_HEADER.to_owned(), false),
    };
    let correlation = request.correlation(&header, trust_client, &fresh);
    let mut record = request.record(&correlation, &fresh);
    record.pop = environment("FASTLY_POP");
    record.service_version = environment("FASTLY_SERVICE_VERSION");

    let unavailable =
        |status, code| Reply::problem(request.form(), status, code, &header, &correlation.id);
    let decision = match &edge {
        Ok(edge) => edge.decide(&request, &fresh, &mut record),
        Err(error) => {
            record.fail("not_configured", 503);
            record.error = Some(error.to_string());
            Decision::Reply(unavailable(503, "not_configured"))
        }
    };
    let mut wait = None;
    let mut response = match decision {
        Decision::Reply(reply) => own(reply),
        Decision::Forward(edits) => {
            apply(&mut client, edits);
            // The hop to the mesh has a protocol of its own, whatever the client speaks.
            let (backend, version) = match request.form() {
                Form::Grpc => (GRPC_BACKEND, Version::HTTP_2),
                Form::Problem => (BACKEND, Version::HTTP_11),
            };
            client.set_version(version);
            let sent = Instant::now();
            let answer = client.send(backend);
            wait = Some(sent.elapsed());
            match answer {
                Ok(response) => response,
                Err(error) => {
                    record.fail("mesh_unreachable", 502);
                    record.error = Some(error.root_cause().to_string());
                    own(unavailable(502, "mesh_unreachable"))
                }
            }
        }
    };
    // The mesh says it too; where it could not, the edge does.
    response.set_header(header.as_str(), correlation.id.as_str());
    record.status = response.get_status().as_u16();
    let elapsed = started.elapsed();
    let own = elapsed.saturating_sub(wait.unwrap_or_default());
    record.duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    record.edge_us = micros(own);
    record.mesh_us = wait.map(micros);
    log(&record);
    response.send_to_client();
}

fn load() -> Result<Edge, edge::LoadError> {
    let config = ConfigStore::try_open(CONFIG_STORE).ok();
    let secrets = SecretStore::open(SECRET_STORE).ok();
    Edge::load(
        |name| config.as_ref()?.try_get(name).ok()?,
        |name| {
            let secret = secrets.as_ref()?.try_get(name).ok()??;
            Some(secret.try_plaintext().ok()?.to_vec())
        },
    )
}

fn apply(request: &mut Request, edits: Edits) {
    for name in edits.remove {
        request.remove_header(name.as_str());
    }
    for (name, value) in edits.set {
        request.set_header(name.as_str(), value.as_slice());
    }
    // What one user may see must not be answered to the next from the cache.
    request.set_pass(true);
}

fn own(reply: Reply) -> Response {
    let mut response = Response::from_status(reply.status);
    for (name, value) in &reply.headers {
        response.set_header(name.as_str(), value.as_str());
    }
    response.set_body(reply.body);
    response
}

/// One line to the log endpoint. A log that cannot be written fails no request.
fn log(record: &Record) {
    use std::io::Write as _;
    if let Ok(mut endpoint) = Endpoint::try_from_name(LOG_ENDPOINT) {
        // In one write: the platform takes each write for a line.
        let _ = endpoint.write_all(format!("{}\n", record.to_line()).as_bytes());
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
