//! One correlation ID, from the response through Envoy's access log to the service's log, in the documented fields.

use serde_json::{Value, json};

use crate::chain::Chain;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn correlation(response: &edge_claims_harness::Response) -> String {
    let value = response
        .headers
        .iter()
        .find(|(name, _)| name == b"x-correlation-id");
    String::from_utf8(value.expect("the header").1.clone()).unwrap()
}

#[test]
fn one_id_is_in_the_response_and_in_both_logs() {
    let chain = Chain::start();
    let schema =
        std::fs::read_to_string(edge_claims_harness::tools::root().join("docs/log.schema.json"))
            .unwrap();
    let schema = serde_json::from_str(&schema).unwrap();
    let validators = jsonschema::validator_map_for(&schema).expect("a schema");
    let app = validators.get("#/$defs/app").expect("of the application");
    let traced = |request: edge_claims_harness::Request| {
        request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
    };
    let tea = json!({"item": "tea"});
    let cases = [
        (
            traced(chain.get("/me?q=hidden", &json!({"cid": "signed-1"}))),
            200,
            None,
        ),
        (traced(chain.order(&json!({}), &tea)), 201, None),
        (
            traced(chain.order(&json!({"roles": ["reader"]}), &tea)),
            403,
            Some("role"),
        ),
        (
            traced(chain.order(&json!({}), &json!({"item": ""}))),
            422,
            Some("invalid"),
        ),
        (
            traced(
                chain
                    .client()
                    .get("/public/none")
                    .header("connection", "close"),
            ),
            404,
            Some("not_found"),
        ),
    ];
    for (request, status, reason) in cases {
        let response = request.send();
        assert_eq!(response.status, status, "{response:?}");
        let id = correlation(&response);
        let line = chain.service.record(&id);
        assert!(app.is_valid(&line), "{:?}", app.validate(&line));
        assert_eq!(line["status"], status);
        assert_eq!(line["reason"].as_str(), reason);
        assert_eq!(line["trace_id"], TRACE);
        assert!(!line.to_string().contains("hidden"), "{line}");
        let mesh = edge_claims_harness::envoy::wait("Envoy's line", || {
            chain
                .envoy
                .log()
                .lines()
                .filter(|line| line.starts_with('{'))
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .find(|line| line["correlation_id"] == id)
        })
        .unwrap();
        for field in ["method", "path", "host", "status"] {
            assert_eq!(line[field], mesh[field], "{field}: {line} {mesh}");
        }
        if status >= 400 {
            let problem: Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!(problem["correlation_id"], id);
            assert_eq!(problem["code"].as_str(), reason);
        }
    }
    // Every line of the log, also uvicorn's own at the start, is JSON (`records` would fail), and none has a token.
    assert!(chain.service.records().len() > 5);
    assert!(!chain.service.text().contains("eyJ"));
    // An ID that the edge signed goes all the way.
    assert_eq!(chain.service.record("signed-1")["path"], "/me");
}
