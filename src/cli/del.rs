//! `quorate del`: removes a key.

use super::Failure;
use super::access::{Asking, Key, Output, print, print_json};
use crate::client::KeyValueClient;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Removes a key and what is under it. That there was nothing is no failure.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate del --config demo/config/client-0.toml greeting
  quorate del --config demo/config/client-0.toml --key-hex 00ff

Exit codes: 0 done, 1 refused, 2 usage, 3 no quorum or unknown outcome (what was sent may
still be executed), 6 not authorised, 7 local configuration or keys")]
pub struct Del {
    #[command(flatten)]
    key: Key,
    /// Keep a receipt in this new file, which proves to others what was done
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    asking: Asking,
}

impl Del {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let key = self.key.bytes();
        let ask = async |client: &KeyValueClient| client.delete(&key).await;
        let (removed, kept) = self.asking.run_keeping(self.receipt.as_deref(), ask)?;
        let (seq, was) = (removed.seq, removed.replaced);
        let told = match self.asking.output() {
            Output::Json => print_json(&json!({ "seq": seq.0, "removed": was.map(|seq| seq.0) })),
            Output::Table => match was {
                Some(_) => print(format!("removed at {seq}\n").as_bytes()),
                None => print(format!("nothing was there at {seq}\n").as_bytes()),
            },
        };
        told.map_err(Failure::though_done)?;
        kept
    }
}
