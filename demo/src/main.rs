//! `make demo`: the filter in a real Envoy, a few requests, and one table of what became of them. It
//! fails if a result differs from what is expected. With KEEP=1 it keeps running and prints curl
//! commands to try.

mod envoy;
mod http;
mod token;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::envoy::{ACCESS_FIELDS, Envoy};
use crate::http::Upstream;
use crate::token::Key;

/// A request of the demo and its expected result.
struct Step {
    name: &'static str,
    /// Method and path.
    line: &'static str,
    token: Option<String>,
    /// A header that the client adds.
    header: Option<(&'static str, &'static str)>,
    status: u16,
    reason: &'static str,
    /// `x-auth-subject` as the upstream must receive it.
    subject: Option<&'static str>,
}

fn main() -> ExitCode {
    match run() {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo and returns the results that differ from what is expected.
fn run() -> Result<Vec<String>, String> {
    let keep = std::env::var("KEEP").is_ok_and(|value| !value.is_empty() && value != "0");
    // With KEEP=1, somebody needs time to try the tokens.
    let lifetime = if keep { 3_600 } else { 60 };
    println!("demo: generating the edge's signing key (ES256)");
    let key = Key::generate();
    let config = config(&key);
    let folder = envoy::root().join("target/demo");
    let file = folder.join("edge-claims.json");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&file, format!("{config:#}\n")))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    println!("demo: starting an upstream that echoes, and Envoy with the filter");
    let upstream = Upstream::start().map_err(|error| format!("the upstream: {error}"))?;
    let envoy = Arc::new(Envoy::start(&folder, &config, upstream.port)?);
    stop_on_signal(&envoy, keep)?;
    println!(
        "demo: Envoy listens on 127.0.0.1:{}; the filter's config is in {}",
        envoy.port,
        file.display()
    );

    let steps = steps(&key, lifetime);
    println!(
        "\n{:<30} {:<6} {:<18} CORRELATION ID",
        "REQUEST", "STATUS", "REASON"
    );
    let mut failures = Vec::new();
    for step in &steps {
        if let Err(failure) = step.run(&envoy, &upstream) {
            failures.push(format!("{}: {failure}", step.name));
        }
    }
    for failure in &failures {
        println!("UNEXPECTED  {failure}");
    }
    let allowed = steps.iter().filter(|step| step.status == 200).count();
    println!(
        "\n{} requests, {allowed} allowed, {} denied; each joined to Envoy's access log by its correlation ID.",
        steps.len(),
        steps.len() - allowed
    );
    if keep {
        print_curl_commands(&steps, envoy.port);
        wait_for_enter();
    } else {
        println!("`make demo KEEP=1` keeps it running, for requests of your own.");
    }
    envoy.stop();
    Ok(failures)
}

/// The plugin config: an example of a first config.
fn config(key: &Key) -> Value {
    json!({
        "claims": {
            "issuers": [{
                "issuer": "https://edge.example.com",
                "audiences": ["mesh.example.com"],
                "algorithms": ["ES256"],
                "keys": {"inline": {"keys": [key.jwk()]}},
                "max_lifetime": "1h",
            }],
        },
        "rbac": {
            "roles": {"claim": "roles", "includes": {"editor": ["reader"]}},
            "routes": [
                {"name": "public", "path": "/public/{*rest}", "allow": "public"},
                {"name": "orders-read", "methods": ["GET"], "path": "/tenants/{tenant}/orders/{*rest}",
                    "allow": {"any_role": ["reader"], "bind": {"tenant": "tenant_id"}}},
                {"name": "orders-write", "methods": ["POST"], "path": "/tenants/{tenant}/orders/{*rest}",
                    "allow": {"any_role": ["editor"], "bind": {"tenant": "tenant_id"}}},
                {"name": "admin", "path": "/admin/{*rest}", "allow": {"any_role": ["admin"]}},
            ],
        },
        "identity": {"headers": {"x-auth-subject": ["sub"], "x-auth-roles": ["roles"]}},
    })
}

fn steps(key: &Key, lifetime: u64) -> Vec<Step> {
    let now = token::now();
    let claims = |role: &str, cid: &str, issued: u64| {
        json!({"iss": "https://edge.example.com", "aud": "mesh.example.com", "sub": "alice",
            "roles": [role], "tenant_id": "acme", "cid": cid, "iat": issued, "exp": issued + lifetime})
    };
    let reader = |cid: &str| Some(key.sign(&claims("reader", cid, now)));
    let forger = Key::generate();
    let orders = "GET /tenants/acme/orders/17";
    let allowed = |name, line, token, subject| Step {
        name,
        line,
        token,
        header: None,
        status: 200,
        reason: "-",
        subject,
    };
    let denied = |name, line, token, status, reason| Step {
        name,
        line,
        token,
        header: None,
        status,
        reason,
        subject: None,
    };
    vec![
        allowed("public page", "GET /public/logo.svg", None, None),
        allowed(
            "reader reads an order",
            orders,
            reader("edge-0001"),
            Some("alice"),
        ),
        denied("no token", orders, None, 401, "claims_missing"),
        denied(
            "reader writes an order",
            "POST /tenants/acme/orders",
            reader("edge-0002"),
            403,
            "role",
        ),
        denied(
            "another tenant's order",
            "GET /tenants/umbrella/orders/1",
            reader("edge-0003"),
            403,
            "binding_route",
        ),
        denied(
            "expired token",
            orders,
            Some(key.sign(&claims("reader", "edge-0004", now - lifetime - 60))),
            401,
            "expired",
        ),
        denied(
            "forged token",
            orders,
            Some(forger.sign(&claims("admin", "edge-0005", now))),
            401,
            "signature_invalid",
        ),
        Step {
            header: Some(("X_Auth_Subject", "root")),
            ..allowed(
                "spoofed identity header",
                orders,
                reader("edge-0006"),
                Some("alice"),
            )
        },
        denied(
            "traversal to /admin",
            "GET /public/..%2fadmin/users",
            reader("edge-0007"),
            400,
            "path_ambiguous",
        ),
    ]
}

impl Step {
    /// Sends the request, prints its row and its access record, and compares the result with the
    /// expected one.
    fn run(&self, envoy: &Envoy, upstream: &Upstream) -> Result<(), String> {
        let response = http::send(envoy.port, self.line, &self.headers())
            .map_err(|error| error.to_string())?;
        let status = response.status();
        let id = response.head.header("x-correlation-id").unwrap_or_default();
        let body = response.json();
        let reason = body["code"].as_str().unwrap_or("-");
        println!("{:<30} {status:<6} {reason:<18} {id}", self.name);
        let record = envoy
            .access_record(id)
            .ok_or("no record in the access log")?;
        let fields = ACCESS_FIELDS.map(|(name, _)| format!("{name:?}:{}", record[name]));
        println!("  access log {{{}}}", fields.join(","));

        let received = upstream.take();
        if (status, reason) != (self.status, self.reason) {
            return Err(format!(
                "{status} {reason}, expected {} {}",
                self.status, self.reason
            ));
        }
        if record["status"] != status {
            return Err(format!(
                "status {} in the access log, expected {status}",
                record["status"]
            ));
        }
        if received.len() != usize::from(self.status == 200) {
            return Err(format!("the upstream received {} requests", received.len()));
        }
        let Some(request) = received.first() else {
            return Ok(());
        };
        let subject = request.header("x-auth-subject");
        if subject != self.subject || request.header("x_auth_subject").is_some() {
            return Err(format!(
                "the upstream received {request:?}, expected the subject {:?}",
                self.subject
            ));
        }
        Ok(())
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let token = self
            .token
            .iter()
            .map(|token| ("x-edge-claims", token.as_str()));
        self.header.into_iter().chain(token).collect()
    }
}

fn print_curl_commands(steps: &[Step], port: u16) {
    println!("\nEnvoy keeps running; stop it with Ctrl-C or Enter. Try in another terminal:\n");
    for step in steps {
        let (method, path) = step.line.split_once(' ').unwrap_or(("GET", step.line));
        let headers: String = step
            .headers()
            .iter()
            .map(|(name, value)| format!(" -H '{name}: {value}'"))
            .collect();
        println!(
            "# {}\ncurl -si --path-as-is -X {method}{headers} 'http://127.0.0.1:{port}{path}'\n",
            step.name
        );
    }
    let _ = std::io::stdout().flush();
}

/// Returns when somebody presses Enter. Without a terminal only a signal ends the demo.
fn wait_for_enter() {
    if !matches!(std::io::stdin().read_line(&mut String::new()), Ok(1..)) {
        loop {
            std::thread::park();
        }
    }
}

/// Stops Envoy when the demo is interrupted or terminated. With KEEP=1 that is its normal end.
fn stop_on_signal(envoy: &Arc<Envoy>, keep: bool) -> Result<(), String> {
    let envoy = Arc::clone(envoy);
    ctrlc::set_handler(move || {
        envoy.stop();
        std::process::exit(if keep { 0 } else { 130 });
    })
    .map_err(|error| format!("no signal handler: {error}"))
}
