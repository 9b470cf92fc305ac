//! Compiles the C tests of this directory against the freshly built shared object and runs them on
//! this host. `vm/check` runs the same binaries in a guest: they and the library lie in
//! `target/capi-tests`. With `URX_BUILD_ONLY` set nothing is run.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const WARNINGS: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-D_GNU_SOURCE"];
const TIMEOUT: Duration = Duration::from_secs(60);
const SKIP: i32 = 77;

enum Outcome {
    Ok,
    Skipped(String),
    Failed(String),
}

/// One thing to do that ends in a line of its own.
enum Job {
    /// A test: NAME.c of this directory.
    Test(String),
    /// The public header alone and among others, for one compiler and one standard.
    Header(&'static str, &'static str),
}

impl Job {
    fn name(&self) -> String {
        match self {
            Job::Test(name) => name.clone(),
            Job::Header(compiler, standard) => format!("header-{compiler}-{standard}"),
        }
    }
}

fn main() -> ExitCode {
    let filter = filter();
    let wanted = |job: &Job| filter.as_deref().is_none_or(|part| job.name().contains(part));
    let places = Places::new().expect("target/capi-tests");
    let jobs: Vec<Job> = all(&places).expect("capi-tests").into_iter().filter(wanted).collect();
    let only_build = std::env::var_os("URX_BUILD_ONLY").is_some();
    let mut failed = 0;
    for (job, built) in jobs.iter().zip(build(&places, &jobs)) {
        let outcome = match (job, built) {
            (Job::Test(_), Ok(Outcome::Ok)) if only_build => continue,
            (Job::Test(name), Ok(Outcome::Ok)) => run(&places.binaries.join(name)),
            (_, other) => other,
        };
        let name = job.name();
        match outcome.unwrap_or_else(|e| Outcome::Failed(format!("cannot start: {e}"))) {
            Outcome::Ok => println!("ok host/{name}"),
            Outcome::Skipped(why) => println!("skipped host/{name}: {why}"),
            Outcome::Failed(output) => {
                output.lines().for_each(|line| println!("    {line}"));
                println!("FAILED host/{name}");
                failed += 1;
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The test filter among libtest's arguments, of which the others mean nothing here.
fn filter() -> Option<String> {
    const WITH_VALUE: [&str; 5] = ["--test-threads", "--skip", "--format", "--color", "-Z"];
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if WITH_VALUE.contains(&arg.as_str()) {
            args.next();
        } else if !arg.starts_with('-') {
            return Some(arg);
        }
    }
    None
}

struct Places {
    sources: PathBuf,
    include: PathBuf,
    binaries: PathBuf,
    library: PathBuf,
}

impl Places {
    /// Also puts the library where the binaries look for it: beside them, and not executable.
    fn new() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let binaries = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("capi-tests");
        let built = std::env::current_exe()?.with_file_name("liburing_ext.so");
        let soname = concat!("liburing-ext.so.", env!("CARGO_PKG_VERSION_MAJOR"));
        let library = binaries.join("lib").join(soname);
        fs::create_dir_all(binaries.join("lib"))?;
        if !is_newer(&library, &[&built]) {
            fs::write(&library, fs::read(&built)?)?;
        }
        let link = library.with_file_name("liburing-ext.so");
        if !link.exists() {
            std::os::unix::fs::symlink(soname, link)?;
        }
        let (sources, include) = (root.join("capi-tests"), root.join("include"));
        Ok(Places { sources, include, binaries, library })
    }
}

/// Everything that there is; binaries of tests that are gone are removed.
fn all(places: &Places) -> io::Result<Vec<Job>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(&places.sources)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "c") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    for entry in fs::read_dir(&places.binaries)? {
        let entry = entry?;
        let known = names.iter().any(|name| **name == *entry.file_name());
        if entry.file_type()?.is_file() && !known {
            fs::remove_file(entry.path())?;
        }
    }
    let mut jobs: Vec<Job> = names.into_iter().map(Job::Test).collect();
    for compiler in ["gcc", "clang"] {
        jobs.extend(["c11", "c++17", "c++20"].map(|standard| Job::Header(compiler, standard)));
    }
    Ok(jobs)
}

/// Builds every job, two at a time; the outcomes in the order of the jobs.
fn build(places: &Places, jobs: &[Job]) -> Vec<io::Result<Outcome>> {
    let queue = Mutex::new(jobs.iter().enumerate());
    let next = || queue.lock().ok()?.next();
    let work = || {
        let mut done = Vec::new();
        while let Some((n, job)) = next() {
            let outcome = match job {
                Job::Test(name) => compile(places, name),
                Job::Header(compiler, standard) => header(places, compiler, standard),
            };
            done.push((n, outcome));
        }
        done
    };
    let mut all = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut all = work();
        all.extend(other.join().expect("a compiling thread"));
        all
    });
    all.sort_by_key(|(n, _)| *n);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

fn compile(places: &Places, name: &str) -> io::Result<Outcome> {
    let source = places.sources.join(name).with_extension("c");
    let binary = places.binaries.join(name);
    let helpers = [
        "urx_test.h",
        "urx_ladder.h",
        "zones.h",
        "ublk.h",
        "../examples/ublk_pi.c",
        "../examples/ublk_server.h",
    ];
    let helpers = helpers.map(|helper| places.sources.join(helper));
    let header = places.include.join("liburing-ext.h");
    let runner = std::env::current_exe()?;
    let mut parts: Vec<&Path> = helpers.iter().map(PathBuf::as_path).collect();
    parts.extend([&source, &header, &places.library, &runner].map(PathBuf::as_path));
    if is_newer(&binary, &parts) {
        return Ok(Outcome::Ok);
    }
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let compiler = cc::Build::new()
        .target(&host)
        .host(&host)
        .opt_level(1)
        .debug(true)
        .cargo_metadata(false)
        .get_compiler();
    let mut command = compiler.to_command();
    command.arg("-std=c11").args(WARNINGS).arg("-pthread").arg(source).arg("-o").arg(binary);
    command.arg("-I").arg(&places.include).arg("-L").arg(places.binaries.join("lib"));
    command.args(["-Wl,-rpath,$ORIGIN/lib", "-luring-ext", "-luring"]);
    judge(&command.output()?)
}

/// Whether `file` exists and is newer than each of `others`.
fn is_newer(file: &Path, others: &[&Path]) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    time(file).is_some_and(|mine| others.iter().all(|o| time(o).is_some_and(|t| t < mine)))
}

fn header(places: &Places, compiler: &str, standard: &str) -> io::Result<Outcome> {
    const OURS: &str = "liburing-ext.h";
    const COMPANY: [&str; 4] =
        ["liburing.h", "linux/io_uring.h", "linux/fs.h", "linux/nvme_ioctl.h"];
    let mut sources = vec![vec![OURS], vec![OURS, OURS], [&COMPANY[..], &[OURS]].concat()];
    sources.extend(COMPANY.iter().flat_map(|other| [vec![OURS, other], vec![other, OURS]]));
    let language = if standard.starts_with("c++") { "c++" } else { "c" };
    for (includes, names) in sources.iter().flat_map(|s| [(s, ""), (s, "-DURX_NO_LIBURING_NAMES")])
    {
        let mut command = Command::new(compiler);
        command.args(["-x", language, "-fsyntax-only"]).arg(format!("-std={standard}"));
        command.args(WARNINGS).args(names.split_whitespace()).arg("-I").arg(&places.include);
        command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(Outcome::Skipped(format!("no {compiler} here")));
            }
            spawned => spawned?,
        };
        let text: String = includes.iter().map(|name| format!("#include <{name}>\n")).collect();
        let end =
            "extern const unsigned long size;\nconst unsigned long size = sizeof(struct urx_rw);\n";
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes())?;
            stdin.write_all(end.as_bytes())?;
        }
        if let Outcome::Failed(output) = judge(&child.wait_with_output()?)? {
            return Ok(Outcome::Failed(format!("{names}\n{text}{output}")));
        }
    }
    Ok(Outcome::Ok)
}

/// What a compiler said.
fn judge(output: &std::process::Output) -> io::Result<Outcome> {
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(if output.status.success() { Outcome::Ok } else { Outcome::Failed(said()) })
}

fn run(binary: &Path) -> io::Result<Outcome> {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi-output");
    let file = File::create(&output)?;
    let mut child =
        Command::new(binary).stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file).spawn()?;
    let end = Instant::now() + TIMEOUT;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if Instant::now() > end => break None,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.is_none() {
        child.kill()?;
        child.wait()?;
    }
    let said = String::from_utf8_lossy(&fs::read(&output)?).into_owned();
    Ok(match status {
        Some(status) if status.success() => Outcome::Ok,
        Some(status) if status.code() == Some(SKIP) => {
            Outcome::Skipped(said.lines().last().unwrap_or("no reason given").to_owned())
        }
        Some(status) => Outcome::Failed(format!("{said}{status}")),
        None => Outcome::Failed(format!("{said}timed out after {} s", TIMEOUT.as_secs())),
    })
}
