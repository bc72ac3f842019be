//! The message layer from outside: signatures, bytes, and every rule of the verifier.

mod golden;
mod new_view;
mod properties;
mod samples;
mod signatures;
#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/mod.rs"]
mod support;
mod tally;
mod verifier;
