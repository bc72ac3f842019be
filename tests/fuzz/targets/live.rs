//! Decode, verify, handle, on live replicas: one of four and one of two clients say what
//! the fuzzer likes, under true signatures of their own. The others must not panic, and
//! must agree.

#![no_main]

#[path = "../world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| world::World::new().play(data));
