use super::*;
use crate::config::path::ConfigPath;

fn source(text: &str) -> Rc<Source> {
    Source::new("test.yaml".to_owned(), text.to_owned())
}

fn all(text: &str) -> Result<Vec<FoundConfig>, String> {
    let source = source(text);
    documents(&source)
        .and_then(|documents| configs_in(documents, &source))
        .map_err(|error| CommandError::from(error).to_string())
}

fn one(text: &str) -> FoundConfig {
    let mut found = all(text).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn json(text: &str) -> Json {
    documents(&source(text)).unwrap().remove(0).json
}

/// The text that a path leads to.
fn text_at(config: &FoundConfig, path: &ConfigPath) -> String {
    let located = config.spans.locate(path);
    assert!(located.exact, "{path}");
    config.source.text[located.spans.value.clone()].to_owned()
}

fn issuer() -> ConfigPath {
    let issuers = ConfigPath::root().key("claims").key("issuers");
    issuers.index(0).key("issuer")
}

const CONFIGS: [(&str, &str); 8] = [
    (
        "",
        r#"{"claims": {"issuers": [{"issuer": "me"}]}, "rbac": {}}"#,
    ),
    (
        "",
        "# comment\nclaims:\n  issuers:\n  - issuer: \"me\"\nrbac: {}\n",
    ),
    (
        "WasmPlugin ns/one",
        "apiVersion: v1\nkind: WasmPlugin\nmetadata: {name: one, namespace: ns}\nspec:\n  pluginConfig:\n    \
         claims: {issuers: [{issuer: \"me\"}]}\n",
    ),
    (
        "TrafficExtension one",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: TrafficExtension\n  metadata: {name: one}\n  \
         spec: {wasm: {pluginConfig: {claims: {issuers: [{issuer: \"me\"}]}}}}\n",
    ),
    (
        "EnvoyExtensionPolicy one",
        "apiVersion: v1\nkind: EnvoyExtensionPolicy\nmetadata: {name: one}\nspec:\n  wasm:\n  - name: other\n    \
         config: {x: 1}\n  - config:\n      claims: {issuers: [{issuer: \"me\"}]}\n",
    ),
    (
        "Wasm filter main / edge",
        "static_resources:\n  listeners:\n  - name: main\n    filters:\n    - name: edge\n      typed_config:\n        \
         \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n        config:\n          \
         configuration:\n            \"@type\": type.googleapis.com/google.protobuf.StringValue\n            value: |\n              \
         {\n                \"claims\": {\"issuers\":\n\n                  [{\"issuer\": \"me\"}]}\n              }\n",
    ),
    (
        "Wasm filter edge",
        r#"{"configs": [{"name": "edge", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {"configuration": {"@type": "type.googleapis.com/google.protobuf.Struct",
              "value": {"claims": {"issuers": [{"issuer": "me"}]}}}}}}]}"#,
    ),
    (
        "Wasm filter edge",
        r#"{"resources": [{"name": "edge", "typed_config": {
            "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
            "type_url": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "value": {"config": {"configuration": {"@type": "type.googleapis.com/google.protobuf.Struct",
              "value": {"claims": {"issuers": [{"issuer": "me"}]}}}}}}}]}"#,
    ),
];

#[test]
fn configs_are_found_with_the_place_of_their_values() {
    for (owner, text) in CONFIGS {
        let config = one(text);
        assert_eq!(config.owner, owner, "{text}");
        assert_eq!(text_at(&config, &issuer()), "\"me\"", "{text}");
    }
}

#[test]
fn all_documents_of_a_stream_are_read() {
    let streams: Vec<&str> = CONFIGS
        .iter()
        .skip(1)
        .take(5)
        .map(|(_, text)| *text)
        .collect();
    let found = all(&format!("---\n# nothing\n---\n{}", streams.join("---\n"))).unwrap();
    assert_eq!(found.len(), 5);
    for config in &found {
        assert_eq!(text_at(config, &issuer()), "\"me\"", "{}", config.owner);
    }
}

#[test]
fn a_string_with_escapes_is_located_as_a_whole() {
    let text = r#"{"static_resources": {"typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {"configuration": {"value": "{\"claims\": {\"issuers\": [{\"issuer\": \"me\"}]}}"}}}}}"#;
    let config = one(text);
    let located = config.spans.locate(&issuer());
    assert!(config.source.text[located.spans.value.start..].starts_with(r#""{\"claims"#));
}

#[test]
fn a_config_that_is_not_ours_is_not_taken_for_one() {
    let error = all("apiVersion: v1\nkind: Service\nspec: {}\n").unwrap_err();
    assert!(
        error.contains("no plugin config in it (found Service)"),
        "{error}"
    );
    let error =
        all("apiVersion: v1\nkind: WasmPlugin\nspec: {pluginConfig: {x: 1}}\n").unwrap_err();
    assert!(error.contains("found WasmPlugin"), "{error}");
    let error = all("[]").unwrap_err();
    assert_eq!(
        error,
        "test.yaml:1:1: is a list, must be an object: a plugin config, or what holds one"
    );
}

#[test]
fn a_plugin_of_ours_without_a_config_is_found_as_empty() {
    let config =
        one("apiVersion: v1\nkind: WasmPlugin\nspec: {url: \"oci://example.com/edge-claims:1\"}\n");
    assert!(config.load().is_err());
}

#[test]
fn keys_are_those_that_kubectl_sends() {
    assert_eq!(
        json("{on: 1, 2: b, \"no\": c, 1.0: d}"),
        Json::parse(br#"{"true": 1, "2": "b", "no": "c", "1": "d"}"#).unwrap()
    );
}

#[test]
fn anchors_and_merge_keys_are_resolved() {
    let text = "base: &base {a: 1, b: 2}\nrest:\n  <<: *base\n  b: 3\n";
    assert_eq!(
        json(text),
        Json::parse(br#"{"base": {"a": 1, "b": 2}, "rest": {"a": 1, "b": 3}}"#).unwrap()
    );
    let list = "x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz:\n  <<: [*x, *y]\n";
    let z = json(list).as_object().unwrap().get("z").unwrap().clone();
    assert_eq!(z, Json::parse(br#"{"a": 1, "b": 2}"#).unwrap());
}

#[test]
fn duplicate_keys_are_kept_for_the_reader_of_the_config_to_refuse() {
    assert_eq!(json("{a: 1, a: 2}").as_object().unwrap().len(), 2);
}

#[test]
fn hostile_yaml_is_an_error_with_its_place() {
    let levels: Vec<String> = (1..10)
        .map(|level| {
            format!(
                "l{level}: &l{level} [{}]",
                vec![format!("*l{}", level - 1); 10].join(", ")
            )
        })
        .collect();
    let bomb = format!(
        "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n{}\n",
        levels.join("\n")
    );
    for (text, problem) in [
        (bomb.as_str(), "aliases repeat more than 1,000,000 values"),
        ("a: &a [*a]\n", "alias"),
        ("a: *b\n", "anchor"),
        (&"[".repeat(100_000), "recursion limit"),
        (&"- ".repeat(100_000), "deep"),
        ("claims: {issuers: [", "not YAML"),
        ("a: .inf\n", "a number that JSON does not have"),
        (
            "a: !!python/object x\n",
            "a tag that kubectl and Envoy do not know",
        ),
        ("a: !!int x\n", "not a value of the tag !!int"),
        ("? [a]\n: b\n", "a key that is not a string"),
        ("a: 1\n<<: {a: 2}\n", "readers disagree"),
        ("<<: 1\n", "needs an object"),
        ("a: b: c\n", "not YAML"),
        ("{\"claims\": 1,}x", "not JSON"),
    ] {
        let error = all(text).unwrap_err();
        let short: String = text.chars().take(60).collect();
        assert!(error.starts_with("test.yaml:"), "{short}: {error}");
        assert!(error.contains(problem), "{short}: {error}");
    }
}

#[test]
fn positions_count_lines_and_characters_from_one() {
    let source = source("aä\nbc\n");
    for (offset, position) in [
        (0, (1, 1)),
        (3, (1, 3)),
        (4, (2, 1)),
        (6, (2, 3)),
        (7, (3, 1)),
    ] {
        assert_eq!(source.position(offset), position, "{offset}");
    }
}
