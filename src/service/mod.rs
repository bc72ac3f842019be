//! The replicated state machine, and the state that it works on. Knows the protocol's
//! numbers and the encoding, and nothing else of the protocol.

pub mod tree;
