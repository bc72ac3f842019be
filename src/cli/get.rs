//! `quorate get`: reads the value under a key.

use super::access::{
    Asking, Output, ReadFrom, bytes, json_bytes, json_how, print_json, print_value,
};
use super::{Exit, Failure};
use clap::Args;
use serde_json::json;
use std::ffi::OsString;

/// Reads the value under a key, and writes its bytes as they are.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate get --config demo/config/client-0.toml greeting
  quorate get --config demo/config/client-0.toml greeting --read proved -o json
  quorate get --config demo/config/client-0.toml picture > picture.png

Exit codes: 0 done, 1 nothing is under the key, 2 usage, 3 no quorum, 6 not authorised,
7 local configuration or keys")]
pub struct Get {
    /// The key
    key: OsString,
    /// From whom, and how fresh
    #[arg(long, value_enum, default_value_t = ReadFrom::Quorum)]
    read: ReadFrom,
    #[command(flatten)]
    asking: Asking,
}

impl Get {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let (key, how) = (bytes(&self.key), self.read.how());
        let got = self.asking.run(async |client| client.get_as(&key, how).await)?;
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
        let Some(found) = got.found else {
            let key = String::from_utf8_lossy(&key);
            return Err(Failure::new(Exit::Refused, format!("there is nothing under {key:?}")));
        };
        match self.asking.output() {
            Output::Json => Ok(()),
            Output::Table => print_value(&found.value),
        }
    }
}
