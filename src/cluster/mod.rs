//! Whole clusters on one machine, for tests, demonstrations and measurements.
//!
//! | what | where its replicas run |
//! | --- | --- |
//! | [`Cluster`] | all in this process, from files of its own |
//! | [`Processes`] | each in a process of its own, from files, to be killed |
//!
//! Replicas of these clusters may [lie](crate::node::lying). Nothing here is needed to run a
//! real one.
//!
//! ```
//! use quorate::cluster::Cluster;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut cluster = Cluster::builder().start().await?;
//! let client = cluster.key_value().await?;
//! client.put(b"greeting", b"hello").await?;
//! cluster.stop(0).await?; // the primary of view 0
//! client.put(b"greeting", b"goodbye").await?;
//! assert!(cluster.status(1).is_some_and(|status| status.executed >= 1));
//! cluster.shutdown().await?;
//! # Ok(())
//! # }
//! ```

pub mod admin;
mod folder;
pub mod local;
pub mod ports;
pub mod processes;

pub use local::{Builder, Cluster, ClusterError};
pub use processes::{ProcessError, Processes};
