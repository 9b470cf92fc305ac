//! The manual is sound roff, its examples compile, and it has the sentences that a call may answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What stands around an example program in a page.
const EXAMPLE: [&str; 2] = [".\\\" example: ", ".\\\" end of example\n"];

#[test]
fn mandoc_has_no_warnings() {
    for page in pages() {
        let mut mandoc = Command::new("mandoc");
        succeed(mandoc.args(["-T", "lint", "-W", "warning"]).arg(page), "mandoc");
    }
}

#[test]
fn examples_compile() {
    let library = std::env::current_exe().expect("a test is a file");
    let library = library.parent().expect("a directory");
    // Commands have examples for a shell.
    for page in pages().into_iter().filter(|page| page.extension().is_some_and(|e| e != "1")) {
        let text = read(&page);
        assert!(text.contains(EXAMPLE[0]), "{page:?} has no example");
        for example in text.split(EXAMPLE[0]).skip(1) {
            let (name, code) = example.split_once('\n').expect("a name");
            let code = code.split_once(EXAMPLE[1]).expect("an end of the example").0;
            let source = scratch("examples").join(format!("{name}.c"));
            fs::write(&source, unescape(code)).expect("a file");
            let mut cc = Command::new("cc");
            cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I", "include", "-o"]);
            cc.arg(source.with_extension("")).arg(&source);
            match code.contains("int main(") {
                true => cc.arg("-L").arg(library).args(["-luring_ext", "-luring"]),
                false => cc.arg("-c"),
            };
            succeed(cc.current_dir(env!("CARGO_MANIFEST_DIR")), "cc");
        }
    }
}

#[test]
fn sentences_are_in_the_manual() {
    let manual: String = pages().iter().map(|page| read(page)).collect();
    for source in ["src/geometry.rs", "src/command.rs", "src/path.rs", "src/capi/rw.rs"] {
        let source = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(source));
        let code = source.split("#[cfg(test)]").next().expect("text");
        for sentence in code.split("c\"").skip(1) {
            let sentence = sentence.split('"').next().expect("text");
            assert!(manual.contains(sentence), "not in the manual: {sentence}");
        }
    }
}

/// An example as C: pages escape what roff or a terminal would change.
fn unescape(code: &str) -> String {
    let escapes = [("\\&", ""), ("\\-", "-"), ("\\(aq", "'"), ("\\(ha", "^"), ("\\(ti", "~")];
    let code = escapes.iter().fold(code.to_owned(), |code, (from, to)| code.replace(from, to));
    code.replace("\\e", "\\")
}

/// Pages with text: tests/exports.rs looks after the others, which only name one of these.
fn pages() -> Vec<PathBuf> {
    let man = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let files = fs::read_dir(man).expect("man/ is there");
    let pages = files.map(|file| file.expect("readable").path());
    pages.filter(|page| !read(page).starts_with(".so ")).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// A directory for what this test makes.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).expect("a directory");
    directory
}

/// Runs a tool that must be there and must not complain.
fn succeed(command: &mut Command, package: &str) {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{package} is needed: {error}"));
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(status.success() && said.is_empty(), "{command:?}: {status}\n{said}");
}
