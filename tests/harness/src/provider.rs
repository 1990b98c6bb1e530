//! A real OpenID provider: npm `oidc-provider` in a Node of its own (see `tests/oidc/provider.mjs`).

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::client::Client;
use crate::tools;

/// A running provider, which publishes and signs with the key `k1`; it ends when it is dropped.
pub struct Provider {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    port: u16,
}

impl Provider {
    /// Starts it on a free port of loopback.
    ///
    /// # Panics
    /// Where Node or the packages are missing.
    #[must_use]
    pub fn start() -> Self {
        let script = tools::root().join("tests/oidc/provider.mjs");
        let script = std::fs::read_to_string(&script).expect("it is part of the tree");
        // Node looks for packages from the script's place on, or from where it runs, if the script
        // comes as an argument.
        let mut child = Command::new("node")
            .args(["--input-type=module", "--eval", &script])
            .current_dir(tools::oidc())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("Node does not start: {error}; run: make setup-tests"));
        let commands = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut provider = Self {
            child,
            commands,
            answers,
            port: 0,
        };
        let port = provider.answer();
        provider.port = port
            .parse()
            .unwrap_or_else(|_| panic!("the provider did not start: {port:?}"));
        provider
    }

    /// The name in its tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Publishes these keys, and signs with the first of them. New names make new keys.
    pub fn rotate(&mut self, kids: &[&str]) {
        let command = format!("keys {}", kids.join(","));
        writeln!(self.commands, "{command}").expect("the provider listens");
        assert_eq!(self.answer(), command);
    }

    /// Registers a client that logs users in (OpenID Connect Dynamic Client Registration 1.0 §2 has the members).
    pub fn register(&mut self, client: &serde_json::Value) {
        let command = format!("client {client}");
        writeln!(self.commands, "{command}").expect("the provider listens");
        assert_eq!(self.answer(), command);
    }

    /// Whom to ask for tokens: cheap to copy, for threads.
    #[must_use]
    pub const fn tokens(&self) -> Tokens {
        Tokens(self.port)
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        let _ = self.answers.read_line(&mut line);
        line.trim().to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The provider's token endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Tokens(u16);

impl Tokens {
    /// A new token, for the subject `alice` (OAuth 2.0 client credentials, RFC 6749 §4.4).
    ///
    /// # Panics
    /// Where the provider gives none.
    #[must_use]
    pub fn issue(self) -> String {
        let secret = "a+secret+of+the+tests";
        let body = format!("grant_type=client_credentials&client_id=alice&client_secret={secret}");
        let response = Client::new(self.0)
            .request("POST", "/token")
            .host(format!("127.0.0.1:{}", self.0))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("connection", "close")
            .body(body)
            .send();
        let token = response.json()["access_token"].as_str().map(str::to_owned);
        token.unwrap_or_else(|| panic!("the provider gave no token: {response:?}"))
    }
}
