//! Quorate: Byzantine fault-tolerant replication.

pub mod service;
pub mod types;
pub mod wire;
