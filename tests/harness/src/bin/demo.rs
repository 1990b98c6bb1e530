//! `make demo`: the filter in a real Envoy, a handful of requests, and one table of what became of
//! them. Ends by itself, with an error where anything came out otherwise than it should. With KEEP=1
//! it goes on running and prints curl lines to try.

use std::io::Write as _;
use std::process::ExitCode;

use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Envoy, Request, Seen, Setup, Upstream, tools};
use serde_json::{Value, json};

/// A request of the demo and what must become of it.
struct Step {
    what: &'static str,
    line: &'static str,
    token: Option<String>,
    /// A header that the client adds by itself.
    header: Option<(&'static str, &'static str)>,
    status: u16,
    reason: &'static str,
    /// What the upstream must see as `x-auth-subject`, where the request reaches it.
    subject: Option<&'static str>,
}

fn main() -> ExitCode {
    let keep = std::env::var("KEEP").is_ok_and(|value| !value.is_empty() && value != "0");
    // The tokens of a demo that goes on must outlive a coffee.
    let lifetime = if keep { 3_600 } else { 60 };
    say("making the edge's key (ES256), and a forger's");
    let key = Key::generate("ES256", "edge-1");
    let config = config(&key);
    let file = tools::root().join("target/demo/edge-claims.json");
    let folder = file.parent().expect("it has one");
    std::fs::create_dir_all(folder).expect("target/ can be written");
    std::fs::write(&file, format!("{config:#}\n")).expect("target/ can be written");
    say("starting an upstream that echoes, and Envoy with the filter");
    let upstream = Upstream::start();
    let envoy = Setup::new(&upstream).plugin(&config).start();
    say(&format!(
        "Envoy listens on 127.0.0.1:{}; the filter's config is in {}",
        envoy.port(),
        file.display()
    ));

    let steps = steps(&key, lifetime);
    println!(
        "\n{:<30} {:<6} {:<18} CORRELATION ID",
        "REQUEST", "STATUS", "REASON"
    );
    let mut surprises = Vec::new();
    for step in &steps {
        if let Err(surprise) = run(step, &envoy, &upstream) {
            surprises.push(format!("{}: {surprise}", step.what));
        }
    }
    for surprise in &surprises {
        println!("UNEXPECTED  {surprise}");
    }
    let allowed = steps.iter().filter(|step| step.status == 200).count();
    println!(
        "\n{} requests, {allowed} allowed, {} denied; each joined to Envoy's access log by its correlation ID.",
        steps.len(),
        steps.len() - allowed
    );
    if keep {
        stay(&steps, &envoy);
        // Ctrl-C reaches Envoy, too; it may be gone already.
        envoy.abandon();
    } else {
        println!("`make demo KEEP=1` leaves it running, for requests of your own.");
        envoy.finish();
    }
    if surprises.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The plugin config of the demo: what a first config of one's own may look like.
fn config(key: &Key) -> Value {
    json!({
        "claims": {
            "issuers": [{
                "issuer": "https://edge.example.com",
                "audiences": ["mesh.example.com"],
                "algorithms": ["ES256"],
                "keys": {"inline": tokens::jwks(&[key])},
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

fn steps(key: &Key, lifetime: i64) -> Vec<Step> {
    let now = tokens::now();
    let claims = |roles: &[&str], cid: &str, age: i64| {
        let issued = now - age;
        let claims = json!({"roles": roles, "tenant_id": "acme", "cid": cid,
            "iat": issued, "exp": issued + lifetime});
        tokens::claims(&claims)
    };
    let reader = |cid: &str| Some(key.sign(&claims(&["reader"], cid, 0)));
    let forger = Key::generate("ES256", "edge-1");
    let orders = "GET /tenants/acme/orders/17";
    let step = |what, line, token, status, reason, subject| Step {
        what,
        line,
        token,
        header: None,
        status,
        reason,
        subject,
    };
    vec![
        step("public page", "GET /public/logo.svg", None, 200, "-", None),
        step(
            "reader reads an order",
            orders,
            reader("edge-0001"),
            200,
            "-",
            Some("alice"),
        ),
        step("no token", orders, None, 401, "claims_missing", None),
        step(
            "reader writes an order",
            "POST /tenants/acme/orders",
            reader("edge-0002"),
            403,
            "role",
            None,
        ),
        step(
            "another tenant's order",
            "GET /tenants/umbrella/orders/1",
            reader("edge-0003"),
            403,
            "binding_route",
            None,
        ),
        step(
            "expired token",
            orders,
            Some(key.sign(&claims(&["reader"], "edge-0004", lifetime + 60))),
            401,
            "expired",
            None,
        ),
        step(
            "forged token",
            orders,
            Some(forger.sign(&claims(&["admin"], "edge-0005", 0))),
            401,
            "signature_invalid",
            None,
        ),
        Step {
            header: Some(("X_Auth_Subject", "root")),
            ..step(
                "spoofed identity header",
                orders,
                reader("edge-0006"),
                200,
                "-",
                Some("alice"),
            )
        },
        step(
            "traversal to /admin",
            "GET /public/..%2fadmin/users",
            reader("edge-0007"),
            400,
            "path_ambiguous",
            None,
        ),
    ]
}

/// Sends a request, prints its row and the access record of the same ID, and compares.
fn run(step: &Step, envoy: &Envoy, upstream: &Upstream) -> Result<(), String> {
    let response = request(step, envoy).send();
    let id = response.header("x-correlation-id").unwrap_or_default();
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let reason = body["code"].as_str().unwrap_or("-");
    println!("{:<30} {:<6} {reason:<18} {id}", step.what, response.status);
    let record = envoy.wait_for_access(|record| record["correlation_id"] == id.as_str());
    let shown = json!({"method": record["method"], "path": record["path"], "status": record["status"],
        "verdict": record["verdict"], "details": record["details"],
        "correlation_id": record["correlation_id"]});
    println!("  access log {shown}");
    let seen = upstream.take();
    let (status, reached) = (response.status, usize::from(step.status == 200));
    if (status, reason) != (step.status, step.reason) {
        return Err(format!(
            "{status} {reason}, should be {} {}",
            step.status, step.reason
        ));
    }
    if seen.len() != reached {
        return Err(format!(
            "it reached the upstream {} times, should be {reached}",
            seen.len()
        ));
    }
    let subject = seen
        .first()
        .and_then(|seen: &Seen| seen.header("x-auth-subject"));
    let spoofed = seen
        .first()
        .is_some_and(|seen| !seen.all("x_auth_subject").is_empty());
    if subject.as_deref() != step.subject || spoofed {
        return Err(format!(
            "the upstream took it for {subject:?}, should be {:?}",
            step.subject
        ));
    }
    if record["status"] != status {
        return Err(format!("the access log says {}", record["status"]));
    }
    Ok(())
}

fn request(step: &Step, envoy: &Envoy) -> Request {
    let (method, path) = step.line.split_once(' ').unwrap_or(("GET", step.line));
    let mut request = envoy.request(method, path);
    if let Some(token) = &step.token {
        request = request.header("x-edge-claims", token);
    }
    if let Some((name, value)) = step.header {
        request = request.header(name, value);
    }
    request
}

/// Prints curl lines and waits until somebody interrupts.
fn stay(steps: &[Step], envoy: &Envoy) {
    println!("\nIt goes on running; stop it with Ctrl-C or Enter. To try in another terminal:\n");
    for step in steps {
        let (method, path) = step.line.split_once(' ').unwrap_or(("GET", step.line));
        let mut line = format!("curl -si --path-as-is -X {method}");
        if let Some((name, value)) = step.header {
            line.push_str(&format!(" -H '{name}: {value}'"));
        }
        if let Some(token) = &step.token {
            line.push_str(&format!(" -H 'x-edge-claims: {token}'"));
        }
        println!(
            "# {}\n{line} 'http://127.0.0.1:{}{path}'\n",
            step.what,
            envoy.port()
        );
    }
    let _ = std::io::stdout().flush();
    let (stop, stopped) = std::sync::mpsc::channel();
    let interrupt = stop.clone();
    ctrlc::set_handler(move || {
        let _ = interrupt.send(());
    })
    .expect("the first handler");
    std::thread::spawn(move || {
        let read = std::io::stdin().read_line(&mut String::new());
        // No terminal behind us: there is nobody to press Enter.
        if matches!(read, Ok(1..)) {
            let _ = stop.send(());
        }
    });
    let _ = stopped.recv();
}

fn say(what: &str) {
    println!("demo: {what}");
}
