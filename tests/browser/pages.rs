//! Pages made by the command from configs of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use edge_claims_harness::tools;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder of configs and pages.
pub struct Pages(TempDir);

impl Pages {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// Writes a config, and returns its file.
    pub fn config(&self, name: &str, config: &Value) -> PathBuf {
        let file = self.0.path().join(name);
        std::fs::write(&file, config.to_string()).expect("the config is written");
        file
    }

    /// Makes a page.
    pub fn make(&self, config: &Path, arguments: &[&str]) -> PathBuf {
        let page = self.0.path().join("page.html");
        let output = Command::new(tools::command())
            .arg("matrix")
            .arg(config)
            .args(["--format", "html", "--out"])
            .arg(&page)
            .args(arguments)
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{output:?}");
        page
    }
}

/// Where a test leaves its picture.
pub fn picture(name: &str) -> PathBuf {
    let folder = tools::root().join("target/browser");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join(format!("{name}.png"))
}

/// The config that shows every key.
pub fn full() -> PathBuf {
    tools::root().join("examples/config/full.yaml")
}

/// A config with these roles and routes.
pub fn config(includes: &Value, routes: &Value) -> Value {
    let text = std::fs::read_to_string(full()).expect("the example");
    let mut config: Value = serde_saphyr::from_str(&text).expect("YAML");
    config["rbac"] = json!({"roles": {"claim": "roles", "includes": includes}, "routes": routes});
    let members = config.as_object_mut().expect("an object");
    members.remove("tests");
    config
}

/// The policy of a shop, before and after a change.
pub fn shop() -> (Value, Value) {
    let includes =
        json!({"admin": ["editor", "support"], "editor": ["reader"], "support": ["reader"]});
    let bound = json!({"tenant": ["tenant_id"]});
    let orders = "/tenants/{tenant}/orders/{*rest}";
    let scopes = |names: &[&str]| json!({"claim": "scope", "all": names});
    let mut routes = json!([
        {"name": "assets", "hosts": ["shop.example.com", "*.shop.example.com"], "methods": ["GET"],
            "path": "/assets/{*rest}", "allow": "public"},
        {"name": "catalog-read", "methods": ["GET"], "path": "/catalog/{*rest}", "allow": "public"},
        {"name": "catalog-write", "methods": ["POST", "PUT", "DELETE"], "path": "/catalog/{*rest}",
            "allow": {"any_role": ["editor"]}},
        {"name": "me", "path": "/me", "allow": "authenticated"},
        {"name": "orders-read", "methods": ["GET"], "path": orders,
            "allow": [{"any_role": ["reader"], "bind": bound}, {"any_role": ["support"]}]},
        {"name": "orders-write", "methods": ["POST", "PUT"], "path": orders,
            "allow": {"any_role": ["editor"], "scopes": scopes(&["orders:write"]), "bind": bound}},
        {"name": "refunds", "methods": ["POST"], "path": "/refunds",
            "allow": {"all_roles": ["support", "billing"], "when": {"claim": "auth_time", "max_age": "15m"}}},
        {"name": "invoices", "methods": ["GET"], "path": "/invoices/{*rest}",
            "allow": {"any_role": ["billing", "auditor"]}},
        {"name": "reports", "methods": ["GET"], "path": "/reports",
            "allow": [{"any_role": ["auditor"]}, {"peers": ["spiffe://cluster.local/ns/batch/sa/reporter"]}]},
        {"name": "admin", "path": "/admin/{*rest}",
            "allow": {"any_role": ["admin"], "when": {"claim": "acr", "in": ["urn:mfa"]}}},
        {"name": "labs", "path": "/labs/{*rest}", "allow": {"any_role": ["editor"]}, "mode": "shadow"},
    ]);
    let old = config(&includes, &routes);
    routes[2]["allow"] = json!([
        {"any_role": ["editor"]}, {"any_role": ["partner"], "scopes": scopes(&["catalog:write"])},
    ]);
    routes[5]["allow"]["scopes"] = scopes(&["orders:write", "orders:create"]);
    routes[7]["allow"]["any_role"] = json!(["billing", "auditor", "support"]);
    routes[8]["allow"] = json!({"any_role": ["auditor"]});
    routes[3] = json!({"name": "drafts", "methods": ["GET"], "path": "/catalog/drafts/{id}",
        "allow": {"any_role": ["editor"]}});
    (old, config(&includes, &routes))
}

/// 1,000 routes × 50 roles.
pub fn large() -> Value {
    let role = |number: usize| {
        format!(
            "team-{:02}-{}",
            number / 5,
            ["reader", "editor", "admin", "owner", "bot"][number % 5]
        )
    };
    let includes: Value = (0..50)
        .filter(|number| number % 5 > 0)
        .map(|number| (role(number), json!([role(number - 1)])))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let routes: Vec<Value> = (0..1000_usize)
        .map(|number| {
            let roles: Vec<String> = (0..1 + number % 7).map(|at| role((number * 7 + at * 11) % 50)).collect();
            let conditions = json!({"any_role": roles});
            let allow = match number % 10 {
                0 => json!("public"),
                1 => json!("authenticated"),
                2 => json!([conditions, {"peers": ["spiffe://cluster.local/ns/batch/*"]}]),
                3 | 4 => {
                    let mut conditions = conditions;
                    conditions["scopes"] = json!({"claim": "scope", "all": [format!("s{}:write", number % 9)]});
                    conditions
                }
                _ => conditions,
            };
            json!({"name": format!("service-{}-op-{}", number / 10, number % 10), "methods": ["GET"],
                "path": format!("/service-{}/{{tenant}}/op-{}/{{*rest}}", number / 10, number % 10), "allow": allow})
        })
        .collect();
    config(&includes, &json!(routes))
}
