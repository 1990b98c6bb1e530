//! A headless Chromium, driven by its DevTools protocol over a pipe: no port, no driver program.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use edge_claims_harness::tools;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long an answer may take. A page of 50,000 cells takes about a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one tab.
pub struct Chromium {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    next_id: u64,
    events: Vec<Value>,
    _profile: TempDir,
}

/// What assistive technology gets of an element.
#[derive(Debug, PartialEq, Eq)]
pub struct Accessible {
    pub role: String,
    pub name: String,
    pub description: String,
}

impl Chromium {
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut command = Command::new("sh");
        // The protocol is spoken on the descriptors 3 and 4.
        command
            .args([
                "-c",
                r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#,
            ])
            .arg(tools::chromium())
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--window-size=1440,900",
            ])
            // Chromium's sandbox does not work for root and in many containers; the pages are our own.
            .args([
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-extensions",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("Chromium starts");
        let commands = child.stdin.take().expect("stdin");
        let mut output = BufReader::new(child.stdout.take().expect("stdout"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
                bytes.pop();
                let message = serde_json::from_slice(&bytes).expect("a message is JSON");
                if sender.send(message).is_err() {
                    break;
                }
                bytes.clear();
            }
        });
        let mut browser = Self {
            child,
            commands,
            messages,
            session: None,
            next_id: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log", "Audits"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens a file, and waits until it is loaded. The events of the page before are forgotten.
    pub fn open(&mut self, page: &Path) {
        self.events.clear();
        let url = format!("file://{}", page.display());
        let answer = self.call("Page.navigate", json!({"url": url}));
        assert_eq!(answer["errorText"], Value::Null, "{url}");
        while !self.has_event("Page.loadEventFired") {
            self.receive();
        }
        self.settle();
    }

    /// Emulates a media feature, or the medium `print`.
    pub fn emulate(&mut self, medium: &str, colour_scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": colour_scheme}]);
        let media = json!({"media": medium, "features": features});
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// The value of an expression; a promise is awaited.
    pub fn eval(&mut self, expression: &str) -> Value {
        let answer = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        );
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// Waits until the page has drawn twice, so that observers ran.
    pub fn settle(&mut self) {
        self.eval(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))",
        );
    }

    /// Presses a key as a user does, `Control+End` with the modifier.
    pub fn press(&mut self, key: &str) {
        let (modifiers, key) = key
            .strip_prefix("Control+")
            .map_or((0, key), |key| (2, key));
        let is_text = key.chars().count() == 1;
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "PageUp" => 33,
            "PageDown" => 34,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let mut event =
            json!({"key": key, "code": key, "modifiers": modifiers, "windowsVirtualKeyCode": code});
        event["type"] = json!(if is_text { "keyDown" } else { "rawKeyDown" });
        if is_text {
            event["text"] = json!(key);
        } else if key == "Enter" {
            event["type"] = json!("keyDown");
            event["text"] = json!("\r");
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", event);
        self.settle();
    }

    /// Types a text.
    pub fn write(&mut self, text: &str) {
        for character in text.chars() {
            self.press(&character.to_string());
        }
    }

    /// Moves the pointer to the middle of the element that an expression gives.
    pub fn point_at(&mut self, element: &str) {
        let place = self.eval(&format!(
            "(() => {{ const box = ({element}).getBoundingClientRect();
               return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        let event = json!({"type": "mouseMoved", "x": place[0], "y": place[1]});
        self.call("Input.dispatchMouseEvent", event);
        self.settle();
    }

    /// What assistive technology gets of the element with the focus.
    pub fn focused(&mut self) -> Accessible {
        let element = self.call(
            "Runtime.evaluate",
            json!({"expression": "document.activeElement"}),
        );
        let object = &element["result"]["objectId"];
        let tree = self.call(
            "Accessibility.getPartialAXTree",
            json!({"objectId": object, "fetchRelatives": false}),
        );
        let node = &tree["nodes"][0];
        let text = |name: &str| node[name]["value"].as_str().unwrap_or_default().to_owned();
        Accessible {
            role: text("role"),
            name: text("name"),
            description: text("description"),
        }
    }

    /// The number of elements of each ARIA role in the accessibility tree.
    pub fn count_role(&mut self, role: &str) -> usize {
        let tree = self.call("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().expect("nodes");
        nodes
            .iter()
            .filter(|node| node["role"]["value"] == role)
            .count()
    }

    /// The addresses that the page asked for.
    pub fn requests(&mut self) -> Vec<String> {
        self.settle();
        let events = self.events.iter();
        events
            .filter(|event| event["method"] == "Network.requestWillBeSent")
            .filter_map(|event| event["params"]["request"]["url"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Exceptions, errors in the log, and what the browser reports as an issue, such as a violation of the
    /// page's Content Security Policy.
    pub fn problems(&mut self) -> Vec<String> {
        self.settle();
        let is_problem = |event: &&Value| {
            let method = event["method"].as_str().unwrap_or_default();
            matches!(
                method,
                "Runtime.exceptionThrown" | "Runtime.consoleAPICalled"
            ) || matches!(method, "Log.entryAdded" | "Audits.issueAdded")
        };
        let events = self.events.iter().filter(is_problem);
        events.map(|event| event["params"].to_string()).collect()
    }

    /// The times between the frames that the browser drew while `act` ran, in ms, in ascending order.
    pub fn frames(&mut self, act: impl FnOnce(&mut Self)) -> Vec<f64> {
        self.events
            .retain(|event| event["method"] != "Tracing.dataCollected");
        let options = json!({"categories": "viz", "transferMode": "ReportEvents"});
        self.call("Tracing.start", options);
        act(self);
        self.call("Tracing.end", json!({}));
        while !self.has_event("Tracing.tracingComplete") {
            self.receive();
        }
        self.events
            .retain(|event| event["method"] != "Tracing.tracingComplete");
        let parts = self.events.iter();
        let mut drawn: Vec<f64> = parts
            .filter(|event| event["method"] == "Tracing.dataCollected")
            .filter_map(|event| event["params"]["value"].as_array())
            .flatten()
            .filter(|event| event["name"] == "Display::DrawAndSwap" && event["ph"] == "X")
            .filter_map(|event| event["ts"].as_f64())
            .map(|micros| micros / 1000.0)
            .collect();
        drawn.sort_by(f64::total_cmp);
        let mut times: Vec<f64> = drawn.windows(2).map(|pair| pair[1] - pair[0]).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    /// Writes a picture of the visible part.
    pub fn screenshot(&mut self, file: &Path) {
        use ct_codecs::{Base64, Decoder};
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let text = picture["data"].as_str().expect("a picture");
        let bytes = Base64::decode_to_vec(text, None).expect("base64");
        std::fs::write(file, bytes).expect("the picture is written");
    }

    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("Chromium listens");
        loop {
            let message = self.receive();
            if message["id"] == id {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].clone();
            }
        }
    }

    fn has_event(&self, method: &str) -> bool {
        self.events.iter().any(|event| event["method"] == method)
    }

    /// The next message; events are kept.
    fn receive(&mut self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE);
        let message = message.expect("Chromium answers within a minute");
        if message.get("method").is_some() {
            self.events.push(message.clone());
        }
        message
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // `sh` was replaced by Chromium, whose helpers end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
