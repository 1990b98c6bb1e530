//! `edge-claims init`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::run;

/// A folder in which `init` succeeded, and what it printed.
fn init(arguments: &[&str]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&folder, &[&["init"], arguments].concat(), "");
    assert_eq!((run.code, &*run.stderr), (0, ""));
    (folder, run.stdout)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn it_lists_what_it_wrote_and_says_what_to_do_next() {
    let (folder, printed) = init(&["envoy"]);
    assert_eq!(
        printed,
        "written:\n  edge-claims/envoy.yaml\n  edge-claims/README.md\nnext:\n  \
         edge-claims check edge-claims/envoy.yaml\n  read edge-claims/README.md: how to run it\n"
    );
    let written = names(&folder.path().join("edge-claims"));
    assert_eq!(written, ["README.md", "envoy.yaml"]);
}

#[test]
fn no_file_is_overwritten() {
    let (folder, _) = init(&["compose", "--out", "."]);
    let file = folder.path().join("envoy.yaml");
    fs::write(&file, "mine").unwrap();
    fs::remove_file(folder.path().join("README.md")).unwrap();
    let again = run(&folder, &["init", "compose", "--out", "."], "");
    assert_eq!((again.code, &*again.stdout), (2, ""));
    let message = again.stderr;
    assert!(message.contains("envoy.yaml: exists already"), "{message}");
    assert!(message.contains("--out"), "{message}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert!(!folder.path().join("README.md").exists());
}

/// As the API server and an editor check it.
#[test]
fn the_wasmplugin_fits_its_schema_which_lies_beside_it() {
    let (temporary, _) = init(&["istio", "--issuer", "https://login.example.com"]);
    let folder = temporary.path().join("edge-claims");
    let text = fs::read_to_string(folder.join("wasmplugin.yaml")).unwrap();
    let first = text.lines().next().unwrap();
    let name = first.split("$schema=").nth(1).unwrap();
    let schema = fs::read_to_string(folder.join(name)).unwrap();
    let printed = run(&temporary, &["schema", "--for", "wasmplugin"], "");
    assert_eq!(schema, printed.stdout);
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let plugin = yaml(&folder.join("wasmplugin.yaml"));
    let problems: Vec<String> = validator
        .iter_errors(&plugin)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(problems, Vec::<String>::new());
    let spec = &plugin["spec"];
    assert_eq!(spec["failStrategy"], "FAIL_RELOAD");
    assert_eq!(spec["phase"], "AUTHN");
    assert!(spec.get("match").is_none(), "a gateway counts as CLIENT");
    let remote = &spec["pluginConfig"]["claims"]["issuers"][0]["keys"]["remote"];
    assert_eq!(
        remote["url"],
        "https://login.example.com/.well-known/jwks.json"
    );
    assert_eq!(remote["cluster"], "outbound|443||login.example.com");
    // The access log of the mesh config is the one that Telemetry names.
    let telemetry = yaml(&folder.join("telemetry.yaml"));
    let provider = &telemetry["spec"]["accessLogging"][0]["providers"][0]["name"];
    let mesh = yaml(&folder.join("mesh-config.yaml"));
    assert_eq!(
        mesh["meshConfig"]["extensionProviders"][0]["name"],
        *provider
    );
}

/// A first try: a token of the new key is one that the config accepts, and the folder is complete.
#[test]
fn a_first_try_has_a_key_and_a_route() {
    let hash = "0123456789abcdef".repeat(4);
    let image = format!("registry.example.com/team/edge-claims:1.2.3@sha256:{hash}");
    let (temporary, _) = init(&["istio", "--try", "--image", &image, "--out", "first"]);
    let folder = temporary.path().join("first");
    let plugin = yaml(&folder.join("wasmplugin.yaml"));
    let url = "oci://registry.example.com/team/edge-claims:1.2.3";
    assert_eq!(plugin["spec"]["url"], url);
    assert_eq!(plugin["spec"]["sha256"], hash);
    let kustomization = yaml(&folder.join("kustomization.yaml"));
    for resource in kustomization["resources"].as_array().unwrap() {
        assert!(folder.join(resource.as_str().unwrap()).is_file());
    }
    let private = fs::read_to_string(folder.join("edge.jwk")).unwrap();
    let private: Value = serde_json::from_str(&private).unwrap();
    let text = fs::read_to_string(folder.join("wasmplugin.yaml")).unwrap();
    assert!(!text.contains(private["d"].as_str().unwrap()));
    // kubectl reads YAML 1.1, to which a bare `y` is a boolean.
    assert!(text.contains("\"y\":"), "{text}");
    let mint = "mint --key first/edge.jwk --config first/wasmplugin.yaml --subject alice";
    let mint: Vec<&str> = mint.split(' ').collect();
    let minted = run(&temporary, &mint, "");
    assert_eq!(minted.code, 0, "{}", minted.stderr);
    let header = format!("x-edge-claims: {}", minted.stdout.trim());
    for (headers, code, part) in [
        (&[][..], 1, "claims_missing"),
        (&["-H", &header], 0, "profile"),
    ] {
        let request = ["explain", "first/wasmplugin.yaml", "/me"];
        let explained = run(&temporary, &[&request, headers].concat(), "");
        assert_eq!(
            explained.code, code,
            "{}{}",
            explained.stdout, explained.stderr
        );
        assert!(explained.stdout.contains(part), "{}", explained.stdout);
    }
}

#[test]
fn what_compose_mounts_is_in_the_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let module = temporary.path().join("built.wasm");
    fs::write(&module, b"\0asm\x01\0\0\0").unwrap();
    for keys in [&[][..], &["--jwks-url", "https://keys.example.com/jwks"]] {
        let wasm = ["compose", "--wasm", module.to_str().unwrap()];
        let (folder, _) = init(&[&wasm, keys].concat());
        let folder = folder.path().join("edge-claims");
        let compose = yaml(&folder.join("docker-compose.yaml"));
        let services = &compose["services"];
        let mounts = services["envoy"]["volumes"].as_array().unwrap();
        assert_eq!(mounts.len(), 2);
        for mount in mounts {
            let file = mount.as_str().unwrap().split(':').next().unwrap();
            assert!(folder.join(file).is_file(), "{file}");
        }
        let copied = fs::read(folder.join("edge_claims.wasm")).unwrap();
        assert_eq!(copied, fs::read(&module).unwrap());
        // The secret is asked for only where it is used, and the upstream is a service.
        let envoy = fs::read_to_string(folder.join("envoy.yaml")).unwrap();
        let secret = services["envoy"]["environment"].get("EDGE_CLAIMS_SECRET");
        assert_eq!(secret.is_some(), keys.is_empty());
        assert_eq!(envoy.contains("EDGE_CLAIMS_SECRET"), keys.is_empty());
        assert!(envoy.contains("address: upstream"));
        assert!(services["upstream"].is_object());
    }
}

#[test]
fn wrong_values_are_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "text").unwrap();
    for (arguments, part) in [
        (&["gateway"][..], "envoy, istio, compose"),
        (&[], "<TARGET>"),
        (&["envoy", "--issuer", ""], "must not be empty"),
        (&["envoy", "--audience", "a b"], "without spaces"),
        (
            &["envoy", "--jwks-url", "keys.example.com"],
            "must be a URL like",
        ),
        (
            &["envoy", "--host", "*.example.com"],
            "write a name such as",
        ),
        (&["istio", "--issuer", "login"], "--jwks-url"),
        (&["istio", "--wasm", "text"], "from a registry"),
        (&["envoy", "--wasm", "text"], "no Wasm module"),
        (&["envoy", "--wasm", "missing"], "missing: No such file"),
        (&["envoy", "--out", "text"], "text: "),
        (&["envoy", "--try"], "are for istio"),
        (&["istio", "--image", "edge-claims:1"], "with its digest"),
        (
            &["istio", "--try", "--jwks-url", "https://keys.example.com/"],
            "cannot be used with",
        ),
    ] {
        let run = run(&folder, &[&["init"], arguments].concat(), "");
        assert_eq!((run.code, &*run.stdout), (2, ""), "{arguments:?}");
        let message = run.stderr;
        assert!(message.contains(part), "{arguments:?}: {message}");
        assert_eq!(names(folder.path()), ["text"], "{arguments:?}");
    }
}

#[test]
fn the_page_shows_what_is_printed_and_names_the_files() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/command/init.md");
    let page = fs::read_to_string(page).unwrap();
    let block = page.split("```console\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut commands = 0;
    for part in block.split("$ edge-claims ").skip(1) {
        let (command, expected) = part.split_once('\n').unwrap();
        let arguments: Vec<&str> = command.split_whitespace().collect();
        let run = run(&folder, &arguments, "");
        assert_eq!((run.code, &*run.stderr), (0, ""));
        assert_eq!(run.stdout, expected);
        commands += 1;
    }
    assert_eq!(commands, 2);
    for target in ["envoy", "istio", "compose"] {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{target}` |")));
        let named = row.unwrap().split('`').skip(3).step_by(2);
        let mut named: Vec<&str> = named.filter(|name| name.contains('.')).collect();
        named.push("README.md");
        named.sort_unstable();
        let (folder, _) = init(&[target]);
        assert_eq!(names(&folder.path().join("edge-claims")), named, "{target}");
    }
}
