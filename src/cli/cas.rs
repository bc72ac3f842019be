//! `quorate cas`: compares, and sets.

use super::access::{
    Asking, KeyAndValue, Output, bytes, json_bytes, print, print_json, quoted, value,
};
use super::{Exit, Failure, files};
use crate::client::{KeyValueClient, Swapped};
use crate::service::kv::Found;
use clap::{ArgGroup, Args};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Puts a value under a key if what is there is what was expected, and else changes
/// nothing.
#[derive(Args)]
#[command(group = ArgGroup::new("what must be there").args(["expect", "expect_file", "absent"]).required(true))]
#[command(override_usage = "quorate cas [OPTIONS] --config <FILE> <KEY> <EXPECTATION> <VALUE>
       quorate cas [OPTIONS] --config <FILE> --key-hex <HEX> <EXPECTATION> <VALUE>

Expectation: --expect <OLD>, --expect-file <FILE> or --absent")]
#[command(after_help = "Examples:
  quorate cas --config demo/config/client-0.toml leader --absent host-1
  quorate cas --config demo/config/client-0.toml leader --expect host-1 host-2
  quorate cas --config demo/config/client-0.toml picture --expect-file old.png - < new.png
  quorate cas --config demo/config/client-0.toml --key-hex 00ff --absent host-1

Exit codes: 0 done, 1 something else is there, or refused, 2 usage, 3 no quorum or unknown
outcome (what was sent may still be executed), 6 not authorised, 7 local configuration or
keys")]
pub struct Cas {
    #[command(flatten)]
    what: KeyAndValue,
    /// What must be there
    #[arg(long, value_name = "OLD", allow_hyphen_values = true)]
    expect: Option<OsString>,
    /// The file that holds what must be there; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    expect_file: Option<PathBuf>,
    /// Nothing may be there
    #[arg(long)]
    absent: bool,
    /// Keep a receipt in this new file, which proves to others what was done
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    asking: Asking,
}

impl Cas {
    /// What must be there; nothing, if nothing may be.
    fn expected(&self, new: &OsStr) -> Result<Option<Vec<u8>>, Failure> {
        match (&self.expect, &self.expect_file) {
            // Elsewhere it is standard input: who means either is asked to say which.
            (Some(old), _) if old == "-" => Err(Failure::new(
                Exit::Usage,
                "--expect takes the value itself: write --expect-file - to read it from standard \
                 input, or --expect-file FILE for one that is no more than a -",
            )),
            (Some(old), _) => Ok(Some(bytes(old))),
            (None, Some(file)) if file.as_os_str() == "-" && new == "-" => Err(Failure::new(
                Exit::Usage,
                "standard input cannot be both the old value and the new one: put one of them in \
                 a file for --expect-file",
            )),
            (None, Some(file)) if file.as_os_str() == "-" => value(file.as_os_str()).map(Some),
            (None, Some(file)) => files::read(file).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let (key, word) = self.what.parts()?;
        let expected = self.expected(word)?;
        let new = value(word)?;
        let ask = async |client: &KeyValueClient| {
            client.compare_and_set(&key, expected.as_deref(), &new).await
        };
        let (swapped, kept) = self.asking.run_keeping(self.receipt.as_deref(), ask)?;
        match swapped {
            Swapped::Yes(written) => {
                let told = match self.asking.output() {
                    Output::Table => print(format!("written at {}\n", written.seq).as_bytes()),
                    Output::Json => print_json(&json!({
                        "swapped": true,
                        "seq": written.seq.0,
                        "replaced": written.replaced.map(|seq| seq.0),
                    })),
                };
                told.map_err(Failure::though_done)?;
                kept
            }
            Swapped::No { found, seq } => {
                if self.asking.output() == Output::Json {
                    let value = found.as_ref().map(|found| json_bytes(&found.value));
                    let (value, value_hex) = value.unzip();
                    print_json(&json!({
                        "swapped": false,
                        "seq": seq.0,
                        "value": value,
                        "value_hex": value_hex,
                        "written": found.as_ref().map(|found| found.written.0),
                    }))?;
                }
                kept?;
                Err(Failure::new(Exit::Refused, mismatch(found.as_ref())).beside_answer())
            }
        }
    }
}

fn mismatch(found: Option<&Found>) -> String {
    match found {
        None => "nothing was changed: there is nothing under the key".to_owned(),
        Some(found) => {
            format!("nothing was changed: under the key is {}", quoted(&found.value))
        }
    }
}
