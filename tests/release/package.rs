//! The crate as `cargo package` makes it.

use crate::{command, run};

#[test]
fn the_package_has_the_sources_and_nothing_of_the_workplace() {
    let list = run(command("cargo").args(["package", "--list", "--allow-dirty", "--locked"]));
    let files: Vec<&str> = list.lines().collect();
    for file in [
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "src/lib.rs",
        "src/bin/edge-claims.rs",
        "docs/config.schema.json",
    ] {
        assert!(files.contains(&file), "{file}");
    }
    for folder in [
        "tests/", "fuzz/", "benches/", "demo/", "xtask/", "scripts/", "target/", ".github/", ".ci/",
    ] {
        let inside: Vec<&&str> = files.iter().filter(|it| it.starts_with(folder)).collect();
        assert!(inside.is_empty(), "{inside:?}");
    }
}

/// cargo unpacks the package and builds the command from it alone.
#[test]
fn the_packaged_crate_builds() {
    run(command("cargo").args(["package", "--allow-dirty", "--locked", "--features", "cli"]));
}
