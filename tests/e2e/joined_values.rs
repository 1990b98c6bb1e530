//! A list goes to the upstream joined by commas: what splits it there must find the members that the
//! policy decided about, and no more.

use serde_json::{Value, json};

use crate::support::{CLAIMS, World};

fn format(format: &'static str) -> World {
    World::with(
        |policy| policy["rbac"]["roles"]["format"] = json!(format),
        |setup| setup,
    )
}

/// The roles that an upstream reads, where a token has this as its `roles`.
fn read(world: &World, roles: &Value) -> Vec<String> {
    let token = world.token(&json!({"roles": roles}));
    let seen = world.allowed(world.envoy.get("/me").header(CLAIMS, token));
    let header = seen.header("x-auth-roles");
    let split = |value: String| {
        value
            .split(',')
            .map(|role| role.trim().to_owned())
            .collect::<Vec<_>>()
    };
    header.map(split).unwrap_or_default()
}

#[test]
fn a_role_that_holds_a_comma_does_not_become_two() {
    let world = format("list");
    for roles in [
        json!("admin,editor"),
        json!("editor,admin"),
        json!("x, admin"),
        json!(",admin"),
        json!("admin,"),
        json!(["admin,editor"]),
        json!(["x,admin"]),
        json!(["x\u{2c}admin"]),
    ] {
        // It is no role of the policy, either.
        let token = world.token(&json!({"roles": roles}));
        world.denied(
            world.envoy.get("/admin/x").header(CLAIMS, token),
            403,
            "role",
        );
        let read = read(&world, &roles);
        assert!(read.len() <= 1, "{roles}: {read:?}");
        for name in ["admin", "editor"] {
            assert!(!read.iter().any(|role| role == name), "{roles}: {read:?}");
        }
    }
    // A list that the policy does not read as roles is none to the upstream either.
    for roles in [
        json!(["admin", 1]),
        json!([true, "admin"]),
        json!([]),
        json!(7),
    ] {
        assert_eq!(read(&world, &roles), [""; 0], "{roles}");
    }
    assert_eq!(read(&world, &json!("admin")), ["admin"]);
    assert_eq!(
        read(&world, &json!(["admin", "editor"])),
        ["admin", "editor"]
    );
}

#[test]
fn roles_that_are_separated_by_commas_stay_so() {
    let world = format("comma");
    let roles = json!("admin,editor");
    let token = world.token(&json!({"roles": roles}));
    world.allowed(world.envoy.get("/admin/x").header(CLAIMS, token));
    assert_eq!(read(&world, &roles), ["admin", "editor"]);
}
