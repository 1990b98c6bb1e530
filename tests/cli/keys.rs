//! `edge-claims keys`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use tempfile::TempDir;

use crate::{COMMAND, Run};

/// A folder in which the command runs.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(crate::folder(&[]))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, "")
    }

    pub fn run_with(&self, arguments: &[&str], stdin: &str) -> Run {
        crate::run(&self.0, arguments, stdin)
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn json(output: &Run) -> Value {
    serde_json::from_str(&output.stdout).unwrap()
}

fn private_members(text: &str) -> Vec<&str> {
    [
        "\"d\"", "\"p\"", "\"q\"", "\"dp\"", "\"dq\"", "\"qi\"", "\"k\"",
    ]
    .into_iter()
    .filter(|name| text.contains(name))
    .collect()
}

#[test]
fn a_new_key_is_readable_by_its_owner_only_and_never_shown() {
    let folder = Folder::new();
    for algorithm in ["ES256", "ES384", "ES512", "PS256", "EdDSA", "HS512"] {
        let file = format!("{algorithm}.jwk");
        let output = folder.run(&["keys", "new", "--alg", algorithm, "--out", &file]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert_eq!(mode(&folder.path(&file)), 0o600);
        let key: Value = serde_json::from_str(&folder.read(&file)).unwrap();
        assert_eq!(key["alg"], algorithm);
        let secret = key.get("d").or(key.get("k")).unwrap().as_str().unwrap();
        assert!(!output.stdout.contains(secret));
        assert!(output.stdout.contains(key["kid"].as_str().unwrap()));
    }
}

#[test]
fn an_existing_key_is_replaced_only_by_force_and_a_link_is_not_followed() {
    let folder = Folder::new();
    let new = |more: &[&str]| {
        let arguments = ["keys", "new", "--alg", "EdDSA", "--out", "key.jwk"];
        folder.run(&[&arguments[..], more].concat())
    };
    assert_eq!(new(&[]).code, 0);
    let first = folder.read("key.jwk");
    let again = new(&[]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    assert_eq!(folder.read("key.jwk"), first);
    // A link to a file that others may read.
    folder.write("other", "other");
    std::fs::remove_file(folder.path("key.jwk")).unwrap();
    std::os::unix::fs::symlink(folder.path("other"), folder.path("key.jwk")).unwrap();
    assert_eq!(new(&[]).code, 2);
    assert_eq!(new(&["--force"]).code, 0);
    assert_eq!(folder.read("other"), "other");
    assert_eq!(mode(&folder.path("key.jwk")), 0o600);
    let names = std::fs::read_dir(folder.path("")).unwrap();
    assert_eq!(names.count(), 2, "no temporary file is left");
}

#[test]
fn the_public_set_has_no_private_member_and_the_filter_accepts_it() {
    let folder = Folder::new();
    for (algorithm, file) in [("ES256", "a.jwk"), ("RS256", "b.jwk"), ("EdDSA", "c.jwk")] {
        folder.run(&["keys", "new", "--alg", algorithm, "--out", file]);
    }
    let set = folder.run(&["keys", "jwks", "a.jwk", "b.jwk", "c.jwk"]);
    assert_eq!(set.stderr, "");
    assert_eq!(private_members(&set.stdout), Vec::<&str>::new());
    folder.write("jwks.json", &set.stdout);
    let check = folder.run(&["keys", "check", "jwks.json", "--format", "json"]);
    assert_eq!(check.code, 0);
    let findings = json(&check);
    let kinds: Vec<&Value> = findings["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["algorithms"][0])
        .collect();
    assert_eq!(kinds, ["ES256", "RS256", "EdDSA"]);
    // Thumbprints are the same for the private key, the public set and the default `kid`.
    let private = folder.run(&["keys", "thumbprint", "a.jwk", "b.jwk", "c.jwk"]);
    let public = folder.run(&["keys", "thumbprint", "jwks.json"]);
    assert_eq!(private.stdout, public.stdout);
    assert_eq!(
        public.stdout.lines().next(),
        findings["keys"][0]["kid"].as_str()
    );
    // The other name of the same.
    assert_eq!(
        folder
            .run(&["keys", "public", "a.jwk", "b.jwk", "c.jwk"])
            .stdout,
        set.stdout
    );
}

#[test]
fn secrets_have_no_public_part() {
    let folder = Folder::new();
    let new = [
        "keys",
        "new",
        "--alg",
        "HS256",
        "--out",
        "s.jwk",
        "--secret-out",
        "s.txt",
    ];
    assert_eq!(folder.run(&new).code, 0);
    assert_eq!(mode(&folder.path("s.txt")), 0o600);
    for command in ["public", "jwks", "thumbprint"] {
        let output = folder.run(&["keys", command, "s.jwk"]);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""));
        assert!(output.stderr.contains("shared secret"), "{}", output.stderr);
    }
}

#[test]
fn a_private_key_in_a_published_set_is_flagged() {
    let folder = Folder::new();
    folder.run(&["keys", "new", "--alg", "ES256", "--out", "key.jwk"]);
    let key = folder.read("key.jwk");
    folder.write("leaked.json", &format!("{{\"keys\":[{key}]}}"));
    for file in ["leaked.json", "key.jwk"] {
        let output = folder.run(&["keys", "check", file]);
        assert_eq!(output.code, 1);
        assert!(
            output.stdout.contains("part of a private key"),
            "{}",
            output.stdout
        );
        let d = serde_json::from_str::<Value>(&key).unwrap()["d"].clone();
        assert!(!output.stdout.contains(d.as_str().unwrap()));
    }
}

#[test]
fn a_key_that_others_can_read_gets_a_warning() {
    let folder = Folder::new();
    folder.run(&["keys", "new", "--alg", "ES256", "--out", "key.jwk"]);
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path("key.jwk"), readable).unwrap();
    let output = folder.run(&["keys", "jwks", "key.jwk"]);
    assert_eq!(output.code, 0);
    assert!(output.stderr.contains("chmod 600"), "{}", output.stderr);
}

#[test]
fn damaged_keys_are_refused() {
    let folder = Folder::new();
    folder.run(&["keys", "new", "--alg", "ES256", "--out", "a.jwk"]);
    folder.run(&["keys", "new", "--alg", "ES256", "--out", "b.jwk"]);
    let mut a: Value = serde_json::from_str(&folder.read("a.jwk")).unwrap();
    let b: Value = serde_json::from_str(&folder.read("b.jwk")).unwrap();
    a["d"] = b["d"].clone();
    folder.write("mixed.jwk", &a.to_string());
    folder.write("cut.jwk", &folder.read("a.jwk")[..100]);
    folder.write("empty.jwk", "");
    std::fs::write(folder.path("bytes.jwk"), [0xff; 100]).unwrap();
    std::fs::write(folder.path("huge.jwk"), vec![b'{'; 1 << 20]).unwrap();
    for file in [
        "mixed.jwk",
        "cut.jwk",
        "empty.jwk",
        "bytes.jwk",
        "huge.jwk",
        "none.jwk",
        ".",
    ] {
        let output = folder.run(&["keys", "jwks", "b.jwk", file]);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{file}");
        assert!(
            output.stderr.starts_with("edge-claims: "),
            "{}",
            output.stderr
        );
    }
}

/// Serves one response.
fn serve(response: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        // The client may stop reading.
        let _ = stream.write_all(&response);
    });
    format!("http://{address}/jwks.json")
}

fn response(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

#[test]
fn a_url_is_read_as_the_filter_reads_it() {
    let folder = Folder::new();
    folder.run(&["keys", "new", "--alg", "ES384", "--out", "key.jwk"]);
    let set = folder.run(&["keys", "jwks", "key.jwk"]).stdout;
    let check = |response| {
        let mut command = Command::new(COMMAND);
        for name in ["all_proxy", "http_proxy", "ALL_PROXY", "HTTP_PROXY"] {
            command.env_remove(name);
        }
        let output = command
            .args(["keys", "check", &serve(response)])
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        (code, text(output.stdout), text(output.stderr))
    };
    let (code, out, _) = check(response("200 OK", &set));
    assert_eq!(code, 0);
    assert!(out.contains("EC P-384, for ES384"), "{out}");
    let large = format!("{}{}", set, " ".repeat(70_000));
    for (response, problem) in [
        (
            response("302 Found\r\nlocation: /other", ""),
            "follows no redirects",
        ),
        (response("404 Not Found", &set), "status 404"),
        (response("200 OK", &large), "more than 65536 bytes"),
        (b"nonsense\r\n\r\n".to_vec(), "no response"),
    ] {
        let (code, out, error) = check(response);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_url_stands_in_for_the_key_server_of_an_issuer() {
    const ISSUER: &str = "https://edge.example.com";
    let folder = Folder::new();
    folder.write(
        "config.yaml",
        "claims:\n  issuers:\n  - {issuer: https://edge.example.com, audiences: [mesh], algorithms: [ES256], keys: \
         {remote: {url: https://keys.example.com/jwks.json, cluster: keys}}}\nrbac:\n  routes: [{name: me, path: /me, \
         allow: authenticated}]\n",
    );
    folder.run(&["keys", "new", "--alg", "ES256", "--out", "key.jwk"]);
    let set = folder.run(&["keys", "jwks", "key.jwk"]).stdout;
    let claims = ["--issuer", ISSUER, "--audience", "mesh", "--subject", "u"];
    let token = folder
        .run(&[&["mint", "--key", "key.jwk"][..], &claims].concat())
        .stdout;
    folder.write("token.txt", &token);
    let explain = |jwks: &str| {
        let mut command = Command::new(COMMAND);
        for name in ["all_proxy", "http_proxy", "ALL_PROXY", "HTTP_PROXY"] {
            command.env_remove(name);
        }
        let arguments = [
            "explain",
            "config.yaml",
            "/me",
            "--token",
            "token.txt",
            "--jwks",
        ];
        let output = command
            .args(arguments)
            .arg(format!("{ISSUER}={jwks}"))
            .current_dir(folder.path("."))
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, text) = explain(&serve(response("200 OK", &set)));
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("the token is valid: issuer https://edge.example.com"),
        "{text}"
    );
    assert!(text.contains("   ok           signature\n"), "{text}");
    folder.run(&["keys", "new", "--alg", "ES256", "--out", "other.jwk"]);
    folder.write(
        "other.json",
        &folder.run(&["keys", "jwks", "other.jwk"]).stdout,
    );
    let (code, text) = explain("other.json");
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("no key of the issuer fits the token: key_unknown"),
        "{text}"
    );
    assert!(
        text.contains("   ok           algorithm   ES256\n"),
        "{text}"
    );
    assert!(text.contains("   not reached  signature\n"), "{text}");
}
