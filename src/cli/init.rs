//! `quorate init`: the files of a new cluster.

use super::{Exit, Failure};
use crate::config::{self, InitError, InitOptions, Ports};
use crate::types::Committee;
use clap::Args;
use std::path::PathBuf;

/// Writes `cluster.toml`, and for each replica and client its own file and its private
/// keys. Nothing is written over.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate init --dir demo
  quorate init --dir demo --replicas 7 --clients 20 --name payments
  quorate init --dir demo --host 10.0.0.5 --base-port 9000

Replica N listens at the base port and N, and for operators a hundred above. For replicas
on several hosts, correct the addresses in cluster.toml: they are no part of the cluster's
identity.

Exit codes: 0 done, 2 usage, 7 something is in the way")]
pub struct Init {
    /// Where the files go
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many replicas, N; (N-1)/3 of them, rounded down, may fail or lie
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(4..=100))]
    replicas: u16,
    /// How many clients
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(0..=100_000))]
    clients: u32,
    /// The host of all replicas
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port of replica 0
    #[arg(long, value_name = "PORT", default_value_t = 7100,
          value_parser = clap::value_parser!(u16).range(1..))]
    base_port: u16,
    /// Tells the cluster from others, for people
    #[arg(long, default_value = "demo")]
    name: String,
}

impl Init {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let options = InitOptions {
            directory: self.dir.clone(),
            name: self.name.clone(),
            replicas: self.replicas,
            clients: self.clients,
            host: self.host.clone(),
            ports: Ports::From(self.base_port),
            ..InitOptions::default()
        };
        let layout = config::init(&options).map_err(|error| match error {
            InitError::Host(_) | InitError::Ports(_) | InitError::Config(_) => {
                Failure::new(Exit::Usage, error)
            }
            other => Failure::local(other),
        })?;
        let committee = Committee::new(self.replicas).expect("the range was checked above");
        say!(
            "Wrote cluster {} ({}): {} replicas, of which {} may fail or lie, and {} clients.",
            layout.id.0.short(),
            self.name,
            self.replicas,
            committee.faults(),
            self.clients,
        );
        say!("\nNext:");
        let dir = layout.directory.display();
        say!("  quorate config check {dir}/config/*.toml");
        for replica in &layout.replicas {
            say!("  quorate node --config {}", replica.display());
        }
        if let Some(client) = layout.clients.first() {
            say!("  quorate put --config {} greeting hello", client.display());
        }
        say!(
            "\nTo run on several hosts: correct the addresses in cluster.toml, give every host that\n\
             file, and each only its own replica's file and keys."
        );
        Ok(())
    }
}
