//! Quorate: Byzantine fault-tolerant replication.

pub mod types;
pub mod wire;
