//! Reserved request trailers.

use serde_json::json;

use super::edge::{Edge, policy};
use super::fake_host::{Call, FakeHost};
use super::support::{CLAIMS, Rig, get, values};

const PUBLIC: &str = "/public/x";

const COUNTER: &str = "edge_claims_reserved_trailers_total";

const RESERVED: [&str; 6] = [
    "x-auth-subject",
    "X_Auth.Roles",
    CLAIMS,
    "x-correlation-id",
    "x-original-url",
    "x_http_method_override",
];

#[test]
fn reserved_trailers_are_removed_and_counted() {
    let mut rig = Rig::with(&policy(&Edge::new(1)));
    for name in RESERVED {
        let stream = rig.send(&get(PUBLIC, &[]), true);
        let sent = [
            ("grpc-status", b"0".as_slice()),
            (name, b"root"),
            (name, b"admin"),
        ];
        let left = rig.send_trailers(stream, &sent).unwrap();
        assert_eq!(left.len(), 1, "{name}");
        assert_eq!(values(&left, "grpc-status"), ["0"], "{name}");
        rig.outcome(stream).passed();
    }
    rig.flush();
    let expected = i128::try_from(RESERVED.len()).unwrap();
    assert_eq!(rig.metric(COUNTER), expected);
}

#[test]
fn other_trailers_are_forwarded_unchanged() {
    let mut rig = Rig::with(&policy(&Edge::new(1)));
    let stream = rig.send(&get(PUBLIC, &[]), true);
    let before = rig.host.state().made.get(&Call::Edit).copied();
    let sent = [("grpc-status", b"0".as_slice()), ("x-checksum", b"\xff")];
    assert_eq!(rig.send_trailers(stream, &sent).unwrap().len(), 2);
    assert_eq!(rig.host.state().made.get(&Call::Edit).copied(), before);
    rig.flush();
    assert_eq!(rig.metric(COUNTER), 0);
}

#[test]
fn reserved_trailers_are_rejected_if_spoofing_is() {
    let mut config = policy(&Edge::new(1));
    config["identity"]["on_spoof"] = json!("reject");
    let mut rig = Rig::with(&config);
    for name in RESERVED {
        let stream = rig.send(&get(PUBLIC, &[]), true);
        let id = rig.logged_id(stream).unwrap();
        assert!(
            rig.send_trailers(stream, &[(name, b"root")]).is_none(),
            "{name}"
        );
        let reply = rig.outcome(stream).denied(400, "spoofed_header");
        assert_eq!(reply.header("x-correlation-id"), Some(id.as_str()));
        assert_eq!(rig.logged_id(stream), Some(id));
        assert_eq!(
            rig.verdict(stream).as_deref(),
            Some("deny/spoofed_header/-")
        );
        let left = rig.host.state().streams[&stream].trailers.clone().unwrap();
        assert!(left.is_empty(), "{name}");
    }
    rig.flush();
    let expected = i128::try_from(RESERVED.len()).unwrap();
    assert_eq!(rig.metric(COUNTER), expected);
}

#[test]
fn trailers_that_cannot_be_read_or_removed_are_denied() {
    let sent = [("x-auth-subject", b"root".as_slice())];
    for call in [Call::Headers, Call::Edit] {
        let mut rig = Rig::with(&policy(&Edge::new(1)));
        let stream = rig.send(&get(PUBLIC, &[]), true);
        rig.host.break_call(call);
        assert!(rig.send_trailers(stream, &sent).is_none(), "{call:?}");
        rig.outcome(stream).denied(503, "internal");
        assert_eq!(
            rig.verdict(stream).as_deref(),
            Some("deny/internal/-"),
            "{call:?}"
        );
        rig.host.repair();
        rig.flush();
        assert_eq!(rig.requests("deny", "internal"), 1, "{call:?}");
    }
    let mut rig = Rig::new(FakeHost::new());
    let stream = rig.send(&get(PUBLIC, &[]), true);
    rig.host
        .state()
        .streams
        .get_mut(&stream)
        .unwrap()
        .replies
        .clear();
    assert!(rig.send_trailers(stream, &sent).is_none());
    rig.outcome(stream).denied(503, "internal");
}
