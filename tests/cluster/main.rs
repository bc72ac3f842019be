//! Whole clusters of real nodes: real files, sockets, threads and clocks.
//!
//! Nothing here waits for time to pass: each test waits for what must come, with a patience
//! that any machine meets.

mod cast;
mod clients;
mod disks;
#[cfg(target_os = "linux")]
mod floods;
mod leases;
mod operators;
mod processes;
mod processors;
mod replicas;
mod stalls;
mod strangers;
mod support;
mod timers;
mod torture;
mod twins;
