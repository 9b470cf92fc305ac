//! The fuzz targets' bodies on inputs of a fixed random sequence: what `fuzz/run` does for minutes, for a
//! moment, on any Rust.
#![allow(unsafe_code, reason = "calls the C API")]

#[path = "../fuzz/bodies.rs"]
mod bodies;

const INPUTS: usize = 2000;

fn drive(body: fn(&[u8])) {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..INPUTS {
        let len = random() as usize % 900;
        let bytes: Vec<u8> = (0..len).map(|_| (random() >> 32) as u8).collect();
        body(&bytes);
    }
}

#[test]
fn init() {
    drive(bodies::init);
}

#[test]
fn verify() {
    drive(bodies::verify);
}

#[test]
fn roundtrip() {
    drive(bodies::roundtrip);
}

#[test]
fn stream() {
    drive(bodies::stream);
}
