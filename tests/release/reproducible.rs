//! Anybody who builds the sources gets the bytes of the released module.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use edge_claims_harness::tools::{self, root};

use crate::{command, run};

/// A user without rights, `nobody` on most systems.
const OTHER_USER: &str = "65534";

fn as_root() -> bool {
    run(Command::new("id").arg("-u")) == "0"
}

fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cargo"),
        PathBuf::from,
    )
}

/// The sources as git knows them, with the changes that are not committed.
fn copy_sources(folder: &Path) {
    let script = "git ls-files -z --cached --others --exclude-standard | \
        while IFS= read -r -d '' file; do [ ! -e \"$file\" ] || printf '%s\\0' \"$file\"; done | \
        xargs -0 cp --parents -t \"$0\"";
    run(command("bash").args(["-c", script]).arg(folder));
}

/// What cargo has downloaded: a copy of its own, which cargo checks against Cargo.lock.
fn copy_downloads(home: &Path) {
    let registry = home.join("registry");
    fs::create_dir_all(&registry).unwrap();
    for part in ["cache", "index"] {
        let from = cargo_home().join("registry").join(part);
        if from.is_dir() {
            run(Command::new("cp").arg("-r").arg(from).arg(&registry));
        }
    }
}

/// The compiler at another place, because another user may not read it where it is.
fn copy_toolchain(folder: &Path) {
    let sysroot = run(command("rustc").args(["--print", "sysroot"]));
    fs::create_dir_all(folder).unwrap();
    for part in ["bin", "lib"] {
        // Links to the same files where the file system is the same.
        let script = "cp -al \"$0\" \"$1\" 2>/dev/null || { rm -rf \"$1\"; cp -a \"$0\" \"$1\"; }";
        let (from, to) = (Path::new(&sysroot).join(part), folder.join(part));
        run(Command::new("bash").args(["-c", script]).arg(from).arg(to));
    }
}

/// A clean build elsewhere: another folder, another home of cargo, another place of the compiler and, where this
/// runs as root, another user. `make release` has built the module here.
#[test]
fn the_module_is_the_same_for_every_builder() {
    let folder = tempfile::Builder::new()
        .prefix("another-builder-")
        .tempdir()
        .unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::create_dir(place("sources")).unwrap();
    copy_sources(&place("sources"));
    copy_downloads(&place("cargo"));
    copy_toolchain(&place("toolchain"));
    let mut build = if as_root() {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for owned in ["sources", "cargo"] {
            run(Command::new("chown")
                .args(["-R", &format!("{OTHER_USER}:{OTHER_USER}")])
                .arg(place(owned)));
        }
        let mut build = Command::new("setpriv");
        let (user, group) = (
            format!("--reuid={OTHER_USER}"),
            format!("--regid={OTHER_USER}"),
        );
        build.args([&user, &group, "--clear-groups", "make", "wasm"]);
        build
    } else {
        println!("the same user: only root can build as another one");
        let mut build = Command::new("make");
        build.arg("wasm");
        build
    };
    let path = std::env::var("PATH").expect("PATH");
    build
        .current_dir(place("sources"))
        .env_clear()
        .env(
            "PATH",
            format!("{}:{path}", place("toolchain/bin").display()),
        )
        .env("HOME", place("sources"))
        .env("CARGO_HOME", place("cargo"));
    println!("{}", run(&mut build));

    let here = fs::read(tools::module()).unwrap();
    let there = fs::read(place("sources/target/edge_claims.wasm")).unwrap();
    let digest = |bytes: &[u8]| hmac_sha256::Hash::hash(bytes);
    println!("{} bytes, sha256 {:02x?}", here.len(), digest(&here));
    assert!(
        here == there,
        "the modules differ: {} bytes {:02x?}, elsewhere {} bytes {:02x?}",
        here.len(),
        digest(&here),
        there.len(),
        digest(&there)
    );
}

/// No file name of the module begins with a folder of the builder.
#[test]
fn the_module_names_no_folder_of_the_builder() {
    let module = fs::read(tools::module()).unwrap();
    let sysroot = run(command("rustc").args(["--print", "sysroot"]));
    for folder in [
        cargo_home().display().to_string(),
        root().display().to_string(),
        sysroot,
    ] {
        assert!(
            !module
                .windows(folder.len())
                .any(|window| window == folder.as_bytes()),
            "the module contains {folder}; was it built by `make wasm`?"
        );
    }
    // Panics still name their source.
    assert!(
        module
            .windows(b"/registry/".len())
            .any(|window| window == b"/registry/")
    );
}
