//! Quorate: Byzantine fault-tolerant replication.

pub mod client;
pub mod crypto;
pub mod message;
pub mod replica;
pub mod service;
pub mod types;
pub mod wire;
