use super::*;

fn get(line: &str, field: &str) -> Option<String> {
    let fields = Fields::new([(Field::Id, field)]);
    let record = Record::parse(line.as_bytes(), &fields).unwrap();
    record.get(Field::Id).map(Cow::into_owned)
}

#[test]
fn a_field_is_found_by_name_or_by_its_parts() {
    assert_eq!(get(r#"{"a": "x"}"#, "a").as_deref(), Some("x"));
    assert_eq!(get(r#"{"\u0061": "x\n"}"#, "a").as_deref(), Some("x\n"));
    assert_eq!(get(r#"{"a": {"b": 7}}"#, "a.b").as_deref(), Some("7"));
    for line in [
        r#"{"a.b": "flat", "a": {"b": 7}}"#,
        r#"{"a": {"b": 7}, "a.b": "flat"}"#,
    ] {
        assert_eq!(get(line, "a.b").as_deref(), Some("flat"));
    }
    assert_eq!(get(r#"{"a": "x"}"#, "a.b"), None);
}

#[test]
fn one_member_can_be_several_fields() {
    let fields = [(Field::Id, "a"), (Field::Reason, "a"), (Field::Path, "a.b")];
    let fields = Fields::new(fields);
    for (line, text, nested) in [
        (r#"{"a": "x"}"#, Some("x"), None),
        (r#"{"a": {"b": "y"}}"#, None, Some("y")),
    ] {
        let record = Record::parse(line.as_bytes(), &fields).unwrap();
        assert_eq!(record.get(Field::Id).as_deref(), text);
        assert_eq!(record.get(Field::Reason).as_deref(), text);
        assert_eq!(record.get(Field::Path).as_deref(), nested);
    }
}

#[test]
fn the_first_of_duplicate_members_counts() {
    assert_eq!(get(r#"{"a": 1, "a": 2}"#, "a").as_deref(), Some("1"));
    assert_eq!(get(r#"{"a": null, "a": 2}"#, "a"), None);
    assert_eq!(get(r#"{"a": 1, "a": {"b": 2}}"#, "a.b"), None);
}

#[test]
fn empty_values_count_as_missing() {
    for value in ["null", "\"\"", "\"-\"", "[]", "{}", "[1, {}]"] {
        assert_eq!(get(&format!(r#"{{"a": {value}}}"#), "a"), None, "{value}");
    }
    assert_eq!(get("{}", "a"), None);
}

#[test]
fn text_before_the_object_is_ignored() {
    assert_eq!(get(r#"edge_log :: {"a": 1}"#, "a").as_deref(), Some("1"));
    assert_eq!(
        get(r#"2026-11-21T02:41:04.1Z stdout F {"a": 1}"#, "a").as_deref(),
        Some("1")
    );
}

#[test]
fn a_line_without_one_object_is_broken() {
    let broken = |line: &[u8]| {
        let fields = Fields::new([(Field::Id, "a")]);
        Record::parse(line, &fields).unwrap_err()
    };
    for (line, why) in [
        (&b"text"[..], Broken::NotAnObject),
        (b"[1]", Broken::NotAnObject),
        (b"{\"a\": 1", Broken::NotJson),
        (b"{\"a\": 1} {\"a\": 2}", Broken::NotJson),
        (b"{\"b\": [1, }", Broken::NotJson),
        (b"{\"a\": \"\xff\"}", Broken::NotUtf8),
    ] {
        assert_eq!(broken(line), why);
    }
}

#[test]
fn a_line_that_is_nested_a_million_times_overflows_no_stack() {
    let deep = format!(
        r#"{}1{}"#,
        "{\"a\":".repeat(1_000_000),
        "}".repeat(1_000_000)
    );
    assert_eq!(get(&deep, "b"), None);
    let fields = Fields::new([(Field::Id, "a.b")]);
    assert_eq!(
        Record::parse(deep.as_bytes(), &fields).unwrap_err(),
        Broken::NotJson
    );
}

#[test]
fn a_duration_has_the_unit_of_its_name() {
    let micros = |name: &str, value: &str| {
        let fields = Fields::new([(Field::Duration, name)]);
        let line = format!(r#"{{"{name}": {value}}}"#);
        let record = Record::parse(line.as_bytes(), &fields).unwrap();
        record.micros(Field::Duration, &fields)
    };
    assert_eq!(micros("duration", "7"), Some(7000));
    assert_eq!(micros("duration_ms", "\"7\""), Some(7000));
    assert_eq!(micros("duration_ms", "4.1"), Some(4100));
    assert_eq!(micros("edge_us", "250"), Some(250));
    assert_eq!(micros("edge_ns", "2500"), Some(2));
    assert_eq!(micros("request_s", "\"0.25\""), Some(250_000));
    for value in [
        "-1", "null", "\"-\"", "\"\"", "\"soon\"", "1e300", "\"NaN\"", "true",
    ] {
        assert_eq!(micros("edge_ms", value), None, "{value}");
    }
}
