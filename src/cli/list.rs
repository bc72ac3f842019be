//! `quorate list`: keys in order, and what is under them.

use super::Failure;
use super::access::{
    Age, Asking, Hex, Output, ReadFrom, bytes, hexadecimal, json_bytes, json_how, print,
    print_json, say_age, shown,
};
use crate::client::{Error, HowRead, KeyValueClient, ReadHow};
use crate::node::status::hex;
use crate::service::kv::{Item, MOST_LISTED};
use crate::wire::Blob;
use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use serde_json::{Value, json};
use std::ffi::OsString;

/// Lists the keys that begin with a prefix, in order, with their values. Longer lists are
/// read piece by piece: each piece is as of one moment, and the whole is not.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate list --config demo/config/client-0.toml
  quorate list --config demo/config/client-0.toml users/ --limit 20 -o json
  quorate list --config demo/config/client-0.toml users/ --from users/mary
  quorate list --config demo/config/client-0.toml --prefix-hex 00

Exit codes: 0 done, 2 usage, 3 no quorum, 6 not authorised, 7 local configuration or keys")]
pub struct List {
    /// What the keys begin with
    #[arg(default_value = "", conflicts_with = "prefix_hex")]
    prefix: OsString,
    /// The same in hexadecimal: for keys that are no text, or that no word can hold
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    prefix_hex: Option<Hex>,
    /// Begin with this key or the next there is, as a list says that there are more
    #[arg(long, value_name = "KEY", conflicts_with = "from_hex")]
    from: Option<OsString>,
    /// The same in hexadecimal
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    from_hex: Option<Hex>,
    /// The most keys wanted
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// From whom, and how fresh
    #[arg(long, value_enum, default_value_t = ReadFrom::Quorum)]
    read: ReadFrom,
    #[command(flatten)]
    age: Age,
    #[command(flatten)]
    asking: Asking,
}

impl List {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let how = self.age.how(self.read)?;
        let read = self.asking.run(async |client| self.read_all(client, how).await)?;
        let (items, next) = (read.items, read.next);
        match self.asking.output() {
            Output::Json => {
                let next = next.as_deref().map(json_bytes);
                let (next, next_hex) = next.unzip();
                let items: Vec<Value> = items.iter().map(in_json).collect();
                print_json(&json!({
                    "items": items,
                    "next": next,
                    "next_hex": next_hex,
                    "how": read.how.as_ref().map(json_how),
                }))
            }
            Output::Table => {
                read.how.iter().for_each(say_age);
                print(format!("{}\n", table(&items)).as_bytes())?;
                if let Some(next) = next {
                    let next = hex(&next);
                    note!("there are more: go on with --from-hex {next}, or raise --limit");
                }
                Ok(())
            }
        }
    }

    fn prefix(&self) -> Vec<u8> {
        self.prefix_hex.as_ref().map_or_else(|| bytes(&self.prefix), |hex| hex.0.clone())
    }

    fn from(&self) -> Option<Blob> {
        let hex = self.from_hex.as_ref().map(|hex| hex.0.clone());
        hex.or_else(|| self.from.as_ref().map(bytes)).map(Blob::from)
    }

    async fn read_all(&self, client: &KeyValueClient, how: ReadHow) -> Result<All, Error> {
        let prefix = self.prefix();
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut all = All { next: self.from(), ..All::default() };
        loop {
            let left = u32::try_from(wanted - all.items.len()).unwrap_or(u32::MAX);
            let from = all.next.as_deref();
            let read = client.list(&prefix, from, left.min(MOST_LISTED), how).await?;
            all.items.extend(read.found.items);
            all.next = read.found.next;
            // Later pieces are of no older states.
            all.how.get_or_insert(read.how);
            if all.next.is_none() || all.items.len() >= wanted {
                return Ok(all);
            }
        }
    }
}

/// What was read, piece by piece.
#[derive(Default)]
struct All {
    items: Vec<Item>,
    /// Where there is more.
    next: Option<Blob>,
    /// How the first piece was read.
    how: Option<HowRead>,
}

fn in_json(item: &Item) -> Value {
    let (key, key_hex) = json_bytes(&item.key);
    let (value, value_hex) = json_bytes(&item.found.value);
    json!({
        "key": key,
        "key_hex": key_hex,
        "value": value,
        "value_hex": value_hex,
        "written": item.found.written.0,
    })
}

fn table(items: &[Item]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["KEY", "WRITTEN", "VALUE"]);
    for item in items {
        let written = item.found.written.to_string();
        table.add_row([shown(&item.key), written, shown(&item.found.value)]);
    }
    table
}
