//! Limits and times on the pages against the constants of the code, where no test of behavior has the figure.

use std::path::Path;

use crate::{path, read};

/// Page, what it says, and the constant.
const FIGURES: [(&str, &str, &str); 35] = [
    (
        "docs/config.md",
        "using at most 64 MiB",
        "CACHE_BYTES: usize = 64 << 20;",
    ),
    (
        "docs/config.md",
        "RSA keys shorter than 2048",
        "MIN_RSA_BITS: usize = 2048;",
    ),
    (
        "docs/config.md",
        "or longer than 4096 bits",
        "MAX_RSA_BITS: usize = 4096;",
    ),
    (
        "docs/config.md",
        "at most 64 KiB",
        "MAX_BYTES: usize = 65_536;",
    ),
    ("docs/config.md", "and 64 keys", "MAX_KEYS: usize = 64;"),
    (
        "docs/config.md",
        "up to 16 levels deep",
        "MAX_DEPTH: usize = 16;",
    ),
    (
        "docs/config.md",
        "longer than 4096 bytes",
        "MAX_VALUE: usize = 4096;",
    ),
    (
        "docs/config.md",
        "at most a minute in the future",
        "FUTURE_LEEWAY: i64 = 60;",
    ),
    (
        "docs/decisions.md",
        "at most a minute in the future",
        "FUTURE_LEEWAY: i64 = 60;",
    ),
    (
        "docs/keys.md",
        "shorter than 2048",
        "MIN_RSA_BITS: usize = 2048;",
    ),
    (
        "docs/keys.md",
        "longer than 4096 bits",
        "MAX_RSA_BITS: usize = 4096;",
    ),
    (
        "docs/keys.md",
        "at most 64 KiB",
        "MAX_BYTES: usize = 65_536;",
    ),
    ("docs/keys.md", "with 1 to 64 keys", "MAX_KEYS: usize = 64;"),
    (
        "docs/keys.md",
        "`timeout` and one second",
        "GRACE: u64 = 1_000;",
    ),
    ("docs/keys.md", "up to 30 s", "MAX_BACKOFF: u64 = 30_000;"),
    (
        "docs/keys.md",
        "`timeout` plus 1.5 s",
        "EXTRA_WAIT: u64 = 1_500;",
    ),
    (
        "docs/keys.md",
        "beyond 512 per issuer and worker",
        "MAX_REQUESTS: usize = 512;",
    ),
    ("docs/keys.md", "three fetches in a row", "BURST: u32 = 3;"),
    (
        "docs/keys.md",
        "one fetch every ten seconds",
        "REFILL: u64 = 10_000;",
    ),
    (
        "docs/keys.md",
        "Each entry takes 24 bytes",
        "ENTRY: usize = 24;",
    ),
    (
        "docs/keys.md",
        "every 15 minutes",
        "REMINDER: u64 = 15 * 60 * 1_000;",
    ),
    ("docs/metrics.md", "once per second", "TICK: u32 = 1_000;"),
    (
        "docs/metrics.md",
        "The first 200 routes",
        "COUNTED_ROUTES: usize = 200;",
    ),
    (
        "docs/metrics.md",
        "At most 64 key IDs",
        "MAX_KID_SERIES: usize = 64;",
    ),
    (
        "docs/metrics.md",
        "At most 256 samples",
        "MAX_DELAYS: usize = 256;",
    ),
    ("SECURITY.md", "512 requests", "MAX_REQUESTS: usize = 512;"),
    ("SECURITY.md", "64 KiB", "MAX_BODY: u64 = 64 << 10;"),
    ("SECURITY.md", "8 MiB", "MAX_BODIES: u64 = 8 << 20;"),
    (
        "docs/keys.md",
        "more than 64 KiB",
        "MAX_BODY: u64 = 64 << 10;",
    ),
    (
        "docs/keys.md",
        "more than 8 MiB",
        "MAX_BODIES: u64 = 8 << 20;",
    ),
    (
        "docs/keys.md",
        "more than 0.25 ms",
        "EXPENSIVE_MICROS: u64 = 250;",
    ),
    (
        "docs/keys.md",
        "a quarter of a worker's CPU time",
        "REFILL_MICROS_PER_MILLI: u64 = 250;",
    ),
    (
        "docs/keys.md",
        "a burst of 0.25 s",
        "CAPACITY_MICROS: u64 = 250_000;",
    ),
    (
        "docs/keys.md",
        "until 5 minutes after `exp`",
        "MAX_LEEWAY: u64 = 300;",
    ),
    (
        "docs/troubleshooting.md",
        "more than 0.25 ms",
        "EXPENSIVE_MICROS: u64 = 250;",
    ),
];

/// All code below a folder.
fn sources(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| match path.is_dir() {
            true => sources(&path),
            false => std::fs::read_to_string(&path).unwrap_or_default(),
        })
        .collect()
}

#[test]
fn each_figure_is_the_constant_of_the_code() {
    let code = sources(&path("src"));
    for (page, phrase, constant) in FIGURES {
        let text: Vec<String> = read(page).split_whitespace().map(str::to_owned).collect();
        let text = text.join(" ");
        assert!(text.contains(phrase), "{page} does not say {phrase:?}");
        assert!(
            code.contains(&format!("const {constant}")),
            "{page} says {phrase:?}, but the code has no `const {constant}`"
        );
    }
}
