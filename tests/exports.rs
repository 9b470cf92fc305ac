//! The symbols of the shared object, the functions of the header and the entries of the manual are
//! the same, and the manual mentions every constant and struct.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Names = BTreeSet<String>;

#[test]
fn symbols_are_the_functions_of_the_header() {
    let header: Names = prototypes().into_keys().collect();
    let ours = |name: &String| name.starts_with("urx_") || name.starts_with("io_uring_prep_");
    assert_eq!(header.iter().find(|name| !ours(name)), None, "a foreign name");
    same("symbols", &symbols(), "header", &header);
}

#[test]
fn each_function_has_its_man_page() {
    let header: Names = prototypes().into_keys().collect();
    same("man", &pages().into_keys().collect(), "header", &header);
}

#[test]
fn each_page_names_the_functions_that_lead_to_it() {
    let mut entries = BTreeMap::<String, Names>::new();
    for (function, page) in pages() {
        entries.entry(page).or_default().insert(function);
    }
    for (page, functions) in entries {
        let name = section(&page_text(&page), "NAME").join(" ");
        let list = name.split(" \\- ").next().expect("text");
        let listed = list.split(", ").map(str::to_owned).collect();
        same(&format!("NAME of {page}"), &listed, "aliases", &functions);
    }
}

#[test]
fn each_synopsis_is_that_of_the_header() {
    let mut header = prototypes();
    for page in pages().into_values().collect::<Names>() {
        let lines = section(&page_text(&page), "SYNOPSIS");
        let text: Vec<String> = lines.iter().map(|line| plain(line)).collect();
        for prototype in text.join(" ").trim_end().split_inclusive(");") {
            let prototype = squeeze(prototype.rsplit(['>', '/']).next().expect("text"));
            let name = function_name(&prototype);
            assert_eq!(header.remove(&name), Some(prototype), "{page}: SYNOPSIS of {name}");
        }
    }
    assert!(header.is_empty(), "in no SYNOPSIS: {header:?}");
}

#[test]
fn the_manual_mentions_what_the_header_has_and_nothing_else() {
    let header = read("include/liburing-ext.h");
    let manual: String = files().iter().map(|page| page_text(page)).collect();
    let (declared, mut mentioned) = (words(&header), words(&manual.replace("\\fB", " ")));
    let defined = header.lines().filter_map(|line| {
        let constant = line.strip_prefix("#define ").filter(|l| l.starts_with("URX_"));
        constant.or(line.strip_prefix("struct urx_")).map(|_| line.split([' ', ';', '(']).nth(1))
    });
    let mut defined: Names = defined.flatten().map(str::to_owned).collect();
    defined.remove("URX_NOEXCEPT");
    assert_eq!(defined.difference(&mentioned).next(), None, "not in the manual");
    mentioned.remove("URX_CPU"); // an environment variable
    let entries: Names = files().iter().map(|file| stem(file)).collect();
    let is_ours = |word: &&String| word.to_lowercase().starts_with("urx_") && !word.ends_with('_');
    let unknown = |word: &&String| !declared.contains(*word) && !entries.contains(*word);
    assert_eq!(mentioned.iter().filter(is_ours).find(unknown), None, "not in the header");
}

/// Defined dynamic symbols of the shared object that cargo has built for this test.
fn symbols() -> Names {
    let test = std::env::current_exe().expect("a test is a file");
    let library = test.with_file_name("liburing_ext.so");
    let nm = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output();
    let nm = nm.expect("nm (binutils) is needed");
    assert!(nm.status.success(), "nm {library:?}: {}", String::from_utf8_lossy(&nm.stderr));
    let text = String::from_utf8(nm.stdout).expect("text");
    text.lines().filter_map(|line| line.split(' ').nth(2)).map(str::to_owned).collect()
}

/// Prototypes of the header by function, in one line, without URX_NOEXCEPT.
fn prototypes() -> BTreeMap<String, String> {
    let header = read("include/liburing-ext.h");
    let code: Vec<&str> = header.split("/*").map(|s| s.split("*/").last().expect("text")).collect();
    let code: Vec<String> = code.concat().lines().map(|l| l.to_owned() + "\n").collect();
    let code: String = code.into_iter().filter(|line| !line.starts_with('#')).collect();
    let functions = code.split(';').filter_map(|item| item.trim_end().strip_suffix("URX_NOEXCEPT"));
    let prototype = |item: &str| squeeze(item.rsplit(['{', '}']).next().expect("text")) + ";";
    functions.map(prototype).map(|p| (function_name(&p), p)).collect()
}

/// The page of every function that has an entry in section 3.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for file in files().iter().filter(|file| file.ends_with(".3")) {
        let name = stem(file);
        match page_text(file).strip_prefix(".so man3/") {
            Some(page) => pages.insert(name, page.trim_end().to_owned()),
            // A page may have the name of its family, which is no function.
            None if section(&page_text(file), "SYNOPSIS")
                .concat()
                .contains(&format!(" {name}(")) =>
            {
                pages.insert(name, file.clone())
            }
            None => None,
        };
    }
    pages
}

/// Lines of a section of a page.
fn section(page: &str, title: &str) -> Vec<String> {
    let lines = page.lines().skip_while(|line| line.strip_prefix(".SH ") != Some(title)).skip(1);
    lines.take_while(|line| !line.starts_with(".SH ")).map(str::to_owned).collect()
}

/// A line of roff as text: of a font macro its arguments, of any other macro nothing.
fn plain(line: &str) -> String {
    let line = line.replace("\\-", "-");
    match line.strip_prefix('.').map(|l| l.split_once(' ').unwrap_or((l, ""))) {
        None => line,
        Some(("B", words)) => words.replace('"', ""),
        Some(("BI", words)) => {
            let quoted = words.split('"').enumerate();
            quoted
                .map(|(n, word)| if n % 2 == 0 { word.replace(' ', "") } else { word.into() })
                .collect()
        }
        Some(_) => String::new(),
    }
}

fn function_name(prototype: &str) -> String {
    let before = prototype.split('(').next().expect("text");
    before.rsplit([' ', '*']).next().expect("text").to_owned()
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn words(text: &str) -> Names {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
}

/// Names of the files of the manual.
fn files() -> Vec<String> {
    let files = fs::read_dir(root().join("man")).expect("man/ is there");
    files.map(|file| file.expect("readable").file_name().into_string().expect("UTF-8")).collect()
}

fn page_text(file: &str) -> String {
    read(&format!("man/{file}"))
}

fn stem(file: &str) -> String {
    file.rsplit_once('.').expect("a section").0.to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn same(left: &str, a: &Names, right: &str, b: &Names) {
    let only = |a: &Names, b: &Names| a.difference(b).cloned().collect::<Vec<_>>();
    let (a, b) = (only(a, b), only(b, a));
    assert!(a.is_empty() && b.is_empty(), "only {left}: {a:?}, only {right}: {b:?}");
}
