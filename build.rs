//! Gives the shared object the name under which the dynamic loader will look for it.

fn main() {
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,liburing-ext.so.{major}");
    println!("cargo::rerun-if-changed=build.rs");
}
