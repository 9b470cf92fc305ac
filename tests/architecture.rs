//! The house rules of docs/architecture.md that a program can hold: who may import whom, and where
//! `unsafe` may live.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by floor, from the top down. One imports from floors below its own, or from itself.
const FLOORS: &[&[&str]] = &[
    &["capi", "api"],
    &["queue"],
    &["target"],
    &["fused", "store", "zone"],
    &["path"],
    &["passthru"],
    &["probe"],
    &["completion", "ublk", "worker"],
    &["sqe"],
    &["command"],
    &["sys"],
    &["pi", "memory"],
    &["geometry", "abi"],
    &["error"],
];

/// Files that may hold `unsafe`.
const ROOMS: &[&str] = &[
    "src/sys/",
    "src/memory.rs",
    "src/passthru/issue.rs",
    "src/capi/",
    "src/api/memory.rs",
    "src/api/request.rs",
    "src/api/queue.rs",
    "src/api/ring.rs",
    "src/api/tests.rs",
    "src/pi/crc/cpu.rs",
    "src/pi/crc/x86/",
    "src/pi/crc/aarch64/",
];

fn sources() -> BTreeMap<PathBuf, String> {
    fn walk(dir: &Path, into: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, into);
            } else {
                let text = fs::read_to_string(&path).expect("text");
                // Unit tests come last in a file and may import anything.
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("").to_owned();
                into.insert(path, code);
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    all
}

/// `src/probe/lbmd.rs` and `src/probe/mod.rs` belong to `probe`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let first = below.expect("in src").components().next().expect("a name");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

#[test]
fn imports_run_downwards() {
    for (path, code) in sources() {
        let importer = module(&path);
        if importer == "lib" {
            continue;
        }
        let from = floor(&importer).unwrap_or_else(|| panic!("{importer} has no floor"));
        for imported in code.split("crate::").skip(1) {
            let name = imported.split(|c: char| !c.is_alphanumeric() && c != '_').next();
            let Some(to) = name.and_then(floor) else {
                continue;
            };
            assert!(to > from || name == Some(&importer), "{path:?} imports {name:?} upwards");
        }
    }
}

#[test]
fn unsafe_stays_in_its_rooms() {
    for (path, code) in sources() {
        let place = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("in the crate");
        let place = place.to_string_lossy();
        let allowed = ROOMS.iter().any(|room| place.starts_with(room));
        let words = code.lines().filter(|l| !l.trim_start().starts_with("//"));
        let holds = words.flat_map(str::split_whitespace).any(|word| word == "unsafe");
        assert!(allowed || !holds, "{place} holds unsafe code");
    }
}

#[test]
fn every_module_has_a_floor_and_every_floor_a_module() {
    let modules: Vec<String> = sources().keys().map(|p| module(p)).collect();
    for name in FLOORS.iter().flat_map(|floor| *floor) {
        assert!(modules.iter().any(|m| m == name), "no module {name}");
    }
}
