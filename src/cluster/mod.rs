//! Whole clusters on one machine, for tests, demonstrations and measurements.
//!
//! | what | where its replicas run |
//! | --- | --- |
//! | [`Processes`] | each in a process of its own, from files, to be killed |
//!
//! Replicas of these clusters may [lie](crate::node::lying). Nothing here is needed to run a real one.

pub mod admin;
pub mod ports;
pub mod processes;

pub use processes::{ProcessError, Processes};
