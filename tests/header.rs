//! `include/liburing-ext.h` is what cbindgen makes of `src/capi/`, arranged by [`arrange`].
//! `BLESS=1 cargo test --test header` writes it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

const HEADER: &str = "include/liburing-ext.h";
/// What stands before and after the declarations.
const FRAME: [&str; 2] = [include_str!("header/top.h"), include_str!("header/bottom.h")];
const WIDTH: usize = 100;

#[test]
fn header_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = arrange(root, &generate(root));
    if std::env::var_os("BLESS").is_some() {
        fs::write(root.join(HEADER), &fresh).expect("write the header");
    }
    let checked_in = fs::read_to_string(root.join(HEADER)).unwrap_or_default();
    assert!(checked_in == fresh, "{HEADER} is stale: BLESS=1 cargo test --test header");
}

fn generate(root: &Path) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let builder = cbindgen::Builder::new().with_crate(root).with_config(config);
    let mut header = Vec::new();
    builder.generate().expect("cbindgen understands src/capi/").write(&mut header);
    String::from_utf8(header).expect("text")
}

/// One declaration of cbindgen's: its comment lines and its code lines.
#[derive(Debug, Default, Clone)]
struct Item {
    comment: Vec<String>,
    code: Vec<String>,
    conditional: bool,
}

/// cbindgen prints all constants, then all structs, then all functions, and every comment above. A
/// reader wants families: each declaration moves to where it stands in `src/capi/`, whose files
/// follow one another as in `mod.rs`; short comments go behind what they are about.
fn arrange(root: &Path, generated: &str) -> String {
    let mut items: HashMap<String, Item> =
        parse(generated).into_iter().map(|item| (item.name(), item)).collect();
    let mut header = FRAME[0].to_owned();
    for file in source_files(root) {
        let source = fs::read_to_string(root.join("src/capi").join(&file)).expect(&file);
        let title = source.lines().next().and_then(|l| l.strip_prefix("//! ")).expect("a title");
        header += &format!("/* {} {title} */\n", "-".repeat(66));
        let mut conditional = false;
        let mut before = "";
        for name in source.lines().filter_map(defined_name) {
            let Some(item) = items.remove(name) else {
                continue;
            };
            let kind = item.kind();
            let kind = if kind == "constant" { family(name) } else { kind };
            if kind != before || kind == "block" {
                header += "\n";
            }
            if item.conditional != conditional {
                header += if item.conditional { "#ifndef URX_NO_LIBURING_NAMES\n" } else { "" };
            }
            conditional = item.conditional;
            before = kind;
            header += &item.print();
        }
        header += if conditional { "#endif\n\n" } else { "\n" };
    }
    items.retain(|name, _| name.to_lowercase().starts_with("urx_"));
    assert!(items.is_empty(), "declared, but not found in src/capi: {items:?}");
    header + FRAME[1]
}

fn parse(generated: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut item = Item::default();
    let mut inside = false;
    for line in generated.lines().filter(|l| !l.contains("extern \"C\"")) {
        match line {
            l if l.starts_with("#if") => item.conditional = l.contains("URX_NO_LIBURING_NAMES"),
            l if l.starts_with("#endif") || l.trim().is_empty() => {}
            l if l.starts_with("//") => item.comment.push(l[2..].trim().to_owned()),
            l => {
                item.code.push(l.to_owned());
                inside |= l.ends_with('{');
                inside &= !l.starts_with('}');
                if !inside && (l.ends_with(';') || l.starts_with("#define")) {
                    items.push(std::mem::take(&mut item));
                }
            }
        }
    }
    items
}

impl Item {
    fn name(&self) -> String {
        let first = &self.code[0];
        let words = first.split(|c: char| !c.is_alphanumeric() && c != '_');
        let words: Vec<&str> = words.filter(|w| !w.is_empty()).collect();
        let called = first.split_once('(').filter(|_| !first.starts_with('#'));
        match called {
            Some((before, _)) => before.rsplit([' ', '*']).next().unwrap_or_default().to_owned(),
            None => words[1].to_owned(),
        }
    }

    /// "line" for what needs no blank line around it.
    fn kind(&self) -> &'static str {
        match self.code[0].as_str() {
            l if l.starts_with("#define") => "constant",
            l if l.starts_with("struct") && l.ends_with(';') => "opaque",
            _ if self.conditional => "alias",
            _ => "block",
        }
    }

    fn print(&self) -> String {
        match self.kind() {
            "constant" => with_comment(&format!("{}u", self.code[0]), &self.comment, ""),
            "opaque" => with_comment(&self.code[0], &self.comment, ""),
            _ if self.code[0].ends_with('{') => self.print_struct(),
            _ => above(&self.comment, "") + &self.print_function(),
        }
    }

    fn print_struct(&self) -> String {
        let mut out = above(&self.comment, "") + &self.code[0] + "\n";
        let mut comment = Vec::new();
        for line in &self.code[1..] {
            match line.trim().strip_prefix("//") {
                Some(text) => comment.push(text.trim().to_owned()),
                None if line.starts_with('}') => out += &format!("{line}\n"),
                None => {
                    out += &with_comment(&format!("\t{}", line.trim()), &comment, "\t");
                    comment.clear();
                }
            }
        }
        out
    }

    /// Parameters in as few lines as they take.
    fn print_function(&self) -> String {
        let one_line = self.code.iter().map(|l| l.trim()).collect::<Vec<_>>().join(" ");
        let one_line = one_line.replace("unsigned int", "unsigned");
        let (mut out, mut column) = (String::new(), 0);
        for word in one_line.split_inclusive(", ") {
            if column + word.trim_end().len() > WIDTH {
                out = out.trim_end().to_owned() + "\n\t\t";
                column = 16;
            }
            out += word;
            column += word.len();
        }
        out + "\n"
    }
}

/// Code with its comment behind it where both fit in a line, else below it.
fn with_comment(code: &str, comment: &[String], indent: &str) -> String {
    let text = comment.join(" ");
    let columns = code.replace('\t', "        ").len();
    match text.as_str() {
        "" => format!("{code}\n"),
        _ if columns + text.len() + 7 <= WIDTH => format!("{code} /* {text} */\n"),
        _ => above(comment, indent) + code + "\n",
    }
}

fn above(comment: &[String], indent: &str) -> String {
    let text = comment.join(" ");
    if text.is_empty() {
        return String::new();
    }
    if indent.len() * 8 + text.len() + 7 <= WIDTH {
        return format!("{indent}/** {text} */\n");
    }
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && indent.len() * 8 + 3 + line.len() + 1 + word.len() > WIDTH {
            lines += &format!("{indent} * {line}\n");
            line.clear();
        }
        line += if line.is_empty() { "" } else { " " };
        line += word;
    }
    format!("{indent}/**\n{lines}{indent} * {line}\n{indent} */\n")
}

/// Files of `src/capi/mod.rs` in its order.
fn source_files(root: &Path) -> Vec<String> {
    let modules = fs::read_to_string(root.join("src/capi/mod.rs")).expect("mod.rs");
    let name = |l: &str| Some(format!("{}.rs", l.strip_prefix("pub mod ")?.strip_suffix(';')?));
    modules.lines().filter_map(name).collect()
}

/// `URX_CHECK` of `URX_CHECK_APP`.
fn family(name: &str) -> &str {
    name.match_indices('_').nth(1).map_or(name, |(at, _)| &name[..at])
}

/// The name that a line of a source file defines.
fn defined_name(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("pub const ")
        .or_else(|| line.strip_prefix("pub struct "))
        .or_else(|| line.split_once("extern \"C\" fn ").map(|(_, rest)| rest))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}
