//! A real Prometheus that scrapes an Envoy, and the tool that checks its rules.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::envoy::{Envoy, wait};
use crate::tools;

/// A running Prometheus; it stops when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    client: Client,
    folder: TempDir,
}

/// A series as a query gives it: its labels, without those of the scrape, and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// `__name__` among them, where the query leaves it.
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

impl Sample {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels
            .find(|(label, _)| label == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Prometheus {
    /// Scrapes the Envoy several times a second, under the rules of these files.
    ///
    /// # Panics
    /// Where it does not come up, with its log; or where it is not installed.
    #[must_use]
    pub fn scraping(envoy: &Envoy, rules: &[&Path]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = tools::free_port();
        let config = json!({
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
            "rule_files": rules,
            "scrape_configs": [{
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                "static_configs": [{"targets": [format!("127.0.0.1:{}", envoy.admin_port())]}],
            }],
        });
        let file = folder.path().join("prometheus.json");
        fs::write(&file, config.to_string()).expect("the folder is ours");
        let log = File::create(folder.path().join("log")).expect("the folder is ours");
        let child = Command::new(tools::prometheus())
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("Prometheus does not start: {error}"));
        let prometheus = Self {
            child,
            client: Client::new(port),
            folder,
        };
        let ready = || (prometheus.client.get("/-/ready").send().status == 200).then_some(());
        wait("Prometheus", ready).unwrap_or_else(|problem| {
            let log = fs::read_to_string(prometheus.folder.path().join("log")).unwrap_or_default();
            panic!("{problem}\n{log}")
        });
        prometheus
    }

    /// What a PromQL expression gives now: an instant vector.
    ///
    /// # Panics
    /// Where Prometheus refuses the expression.
    #[must_use]
    pub fn query(&self, expression: &str) -> Vec<Sample> {
        let path = format!("/api/v1/query?query={}", percent_encoded(expression));
        let answer = self.client.get(path).send();
        let answer = answer.json();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let result = answer["data"]["result"].as_array();
        let result = result.unwrap_or_else(|| panic!("{expression}: {answer}"));
        result.iter().map(sample).collect()
    }

    /// Asks until the answer is as wanted, and returns it.
    ///
    /// # Panics
    /// Where it never is.
    #[track_caller]
    pub fn query_until(&self, expression: &str, wanted: impl Fn(&[Sample]) -> bool) -> Vec<Sample> {
        let ask = || Some(self.query(expression)).filter(|samples| wanted(samples));
        wait(expression, ask)
            .unwrap_or_else(|problem| panic!("{problem}; it is {:?}", self.query(expression)))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `promtool` and returns what it says.
///
/// # Panics
/// Where it fails, with what it says.
#[track_caller]
pub fn promtool(arguments: &[&str]) -> String {
    let output = Command::new(tools::promtool())
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("promtool does not run: {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
    said
}

fn sample(series: &Value) -> Sample {
    let labels = series["metric"].as_object().into_iter().flatten();
    let labels = labels.map(|(name, value)| {
        let value = value.as_str().unwrap_or_default();
        (name.clone(), value.to_owned())
    });
    let of_scrape = |name: &str| name == "job" || name == "instance";
    let value = series["value"][1].as_str().map(str::parse);
    Sample {
        labels: labels.filter(|(name, _)| !of_scrape(name)).collect(),
        value: value.and_then(Result::ok).unwrap_or(f64::NAN),
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
