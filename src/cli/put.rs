//! `quorate put`: puts a value under a key.

use super::Failure;
use super::access::{Asking, KeyAndValue, Output, print, print_json, value};
use crate::client::KeyValueClient;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Puts a value under a key, whatever was there. When it ends well, the value is on the
/// disks of a quorum of replicas.
#[derive(Args)]
#[command(override_usage = "quorate put [OPTIONS] --config <FILE> <KEY> <VALUE>
       quorate put [OPTIONS] --config <FILE> --key-hex <HEX> <VALUE>")]
#[command(after_help = "Examples:
  quorate put --config demo/config/client-0.toml greeting hello
  quorate put --config demo/config/client-0.toml picture - < picture.png
  quorate put --config demo/config/client-0.toml invoice/7 paid --receipt invoice-7.receipt
  quorate put --config demo/config/client-0.toml --key-hex 00ff - < picture.png

Exit codes: 0 done, 1 refused, 2 usage, 3 no quorum or unknown outcome (what was sent may
still be executed), 6 not authorised, 7 local configuration or keys")]
pub struct Put {
    #[command(flatten)]
    what: KeyAndValue,
    /// Keep a receipt in this new file, which proves to others what was done
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    asking: Asking,
}

impl Put {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let (key, word) = self.what.parts()?;
        let value = value(word)?;
        let ask = async |client: &KeyValueClient| client.put(&key, &value).await;
        let (written, kept) = self.asking.run_keeping(self.receipt.as_deref(), ask)?;
        let replaced = written.replaced.map(|seq| seq.0);
        let told = match self.asking.output() {
            Output::Json => print_json(&json!({ "seq": written.seq.0, "replaced": replaced })),
            Output::Table => print(format!("written at {}\n", written.seq).as_bytes()),
        };
        told.map_err(Failure::though_done)?;
        kept
    }
}
