use super::*;

fn record() -> Record<'static> {
    Record {
        time: 1,
        verdict: Verdict::Deny(Reason::Role),
        route: Some("orders"),
        explanation: None,
        correlation_id: "c-1",
        correlation_source: Source::Signed,
        request_id: None,
        traceparent: None,
        method: b"GET",
        host: b"shop.example.com",
        path: b"/orders?token=secret",
        issuer: None,
        kid: None,
        subject: None,
    }
}

#[test]
fn a_record_is_one_line_of_json_without_the_query() {
    let line = record().to_line();
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["time"], "1970-01-01T00:00:00.001Z");
    assert_eq!(value["outcome"], "deny");
    assert_eq!(value["reason"], "role");
    assert_eq!(value["path"], "/orders");
    assert!(!line.contains("secret"));
}

#[test]
fn untrusted_bytes_are_escaped() {
    let untrusted = b"\"\\\n\r\t\x1b[31m\xff\x00\x7f";
    let line = Record {
        path: untrusted,
        host: untrusted,
        method: untrusted,
        ..record()
    }
    .to_line();
    assert!(line.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        value["path"].as_str().unwrap().chars().count(),
        untrusted.len()
    );
}

#[test]
fn escaped_characters_are_restored_by_a_json_parser() {
    let explanation = "role: has [Müller, 管理, 😀…], needs any of [a]";
    let line = Record {
        explanation: Some(explanation),
        ..record()
    }
    .to_line();
    assert!(line.is_ascii());
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["explanation"], explanation);
}

#[test]
fn the_size_of_a_record_is_limited() {
    let long = vec![0xff; 100_000];
    let text = "\u{7}".repeat(10_000);
    let line = Record {
        route: Some(&text),
        explanation: Some(&text),
        correlation_id: &text,
        request_id: Some(&long),
        traceparent: Some(&long),
        method: &long,
        host: &long,
        path: &long,
        issuer: Some(&text),
        kid: Some(&text),
        subject: Some(&text),
        ..record()
    }
    .to_line();
    assert!(line.len() < 3_000, "{}", line.len());
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
}

#[test]
fn every_time_of_the_hosts_clock_is_rfc_3339() {
    for (time, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_800_000_000_007, "2027-01-15T08:00:00.007Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "9999-12-31T23:59:59.999Z"),
        (u64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        let line = Record { time, ..record() }.to_line();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["time"], text);
    }
}

#[test]
fn a_path_in_an_access_log_is_printable_and_has_no_query() {
    assert_eq!(plain_path(b"/a/\"b\\\xff?token=x"), "/a/%22b%5C%FF");
    assert_eq!(plain_path(&[b'/'; 2_000]).len(), 512);
}

#[test]
fn only_a_well_formed_traceparent_gives_a_trace_id() {
    let good = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(
        trace_id(good),
        Some(b"4bf92f3577b34da6a3ce929d0e0e4736".as_slice())
    );
    let bad: [&[u8]; 4] = [
        b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        b"x",
    ];
    for text in bad {
        assert_eq!(trace_id(text), None);
    }
}

#[test]
fn verdict_text_has_verdict_reason_and_route() {
    assert_eq!(Verdict::Allow.text(Some("r")), "allow/r");
    assert_eq!(
        Verdict::Deny(Reason::RouteUnknown).text(None),
        "deny/route_unknown/-"
    );
    assert_eq!(
        Verdict::Shadow(Reason::Role).text(Some("r")),
        "shadow/role/r"
    );
}
