//! `quorate get`: reads the value under a key.

use super::access::{
    Age, Asking, Key, Output, ReadFrom, json_bytes, json_how, print_json, print_value, say_age,
};
use super::{Exit, Failure, files};
use crate::client::proved::Kept;
use crate::client::{Got, HowRead, KeyValueClient};
use crate::service::kv::KvOperation;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Reads the value under a key, and writes its bytes as they are. How old a proved one is
/// goes to standard error.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate get --config demo/config/client-0.toml greeting
  quorate get --config demo/config/client-0.toml greeting --read proved -o json
  quorate get --config demo/config/client-0.toml greeting --read proved --max-age 1m
  quorate get --config demo/config/client-0.toml picture > picture.png
  quorate get --config demo/config/client-0.toml greeting --receipt greeting.receipt
  quorate get --config demo/config/client-0.toml --key-hex 00ff -o json

Exit codes: 0 done, 1 nothing is under the key, 2 usage, 3 no quorum, 6 not authorised,
7 local configuration or keys")]
pub struct Get {
    #[command(flatten)]
    key: Key,
    /// From whom, and how fresh; by quorum if nothing is said, and by order for a receipt
    #[arg(long, value_enum)]
    read: Option<ReadFrom>,
    #[command(flatten)]
    age: Age,
    /// Keep a receipt of an ordered read, or the proof of a proved one, in this new file
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    asking: Asking,
}

impl Get {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let key = self.key.bytes();
        let (got, kept) = self.ask(&key)?;
        let (key_text, key_hex) = json_bytes(&key);
        if self.asking.output() == Output::Json {
            let value = got.found.as_ref().map(|found| json_bytes(&found.value));
            let (value, value_hex) = value.unzip();
            print_json(&json!({
                "key": key_text,
                "key_hex": key_hex,
                "found": got.found.is_some(),
                "value": value,
                "value_hex": value_hex,
                "written": got.found.as_ref().map(|found| found.written.0),
                "how": json_how(&got.how),
            }))?;
        }
        kept?;
        if self.asking.output() == Output::Table {
            say_age(&got.how);
        }
        let Some(found) = got.found else {
            let key = String::from_utf8_lossy(&key);
            let message = match &got.how {
                HowRead::Proved(proved) => format!(
                    "there was nothing under {key:?} at checkpoint {}; --read quorum tells the latest",
                    proved.seq()
                ),
                HowRead::Quorum { .. } | HowRead::Ordered { .. } => {
                    format!("there is nothing under {key:?}")
                }
            };
            return Err(Failure::new(Exit::Refused, message).beside_answer());
        };
        match self.asking.output() {
            Output::Json => Ok(()),
            Output::Table => print_value(&found.value),
        }
    }

    /// Reads, and keeps what is to be kept.
    fn ask(&self, key: &[u8]) -> Result<(Got, Result<(), Failure>), Failure> {
        let usual = if self.receipt.is_some() { ReadFrom::Ordered } else { ReadFrom::Quorum };
        let from = self.read.unwrap_or(usual);
        let how = self.age.how(from)?;
        let ask = async |client: &KeyValueClient| client.get_as(key, how).await;
        match (from, &self.receipt) {
            (ReadFrom::Quorum, Some(_)) => Err(Failure::new(
                Exit::Usage,
                "what a quorum tells leaves nothing to show to others: read with --read ordered \
                 or --read proved for a --receipt",
            )),
            (ReadFrom::Proved, Some(file)) => {
                files::require_new(file)?;
                let client = self.asking.access()?.client;
                let got = self.asking.run(ask)?;
                let HowRead::Proved(proved) = &got.how else { return Ok((got, Ok(()))) };
                let operation = KvOperation::Get { key: key.into() }.to_bytes();
                let bytes = Kept::of(client, operation.into(), proved).to_bytes();
                Ok((got, files::write_new(file, &bytes).map_err(Failure::beside_answer)))
            }
            (_, file) => self.asking.run_keeping(file.as_deref(), ask),
        }
    }
}
