//! `quorate byzantine-node`: runs one replica that lies.

use super::access::print;
use super::serve::Serving;
use super::{Exit, Failure};
use crate::byzantine::{cast, role};
use crate::node::Options;
use crate::node::lying::Lying;
use clap::Args;
use comfy_table::{Table, presets::NOTHING};

/// Runs one replica that lies, with its own key and no other, to see what the others make
/// of it. Never in a cluster that matters: it counts among those that may fail, and what it
/// signs is kept as evidence against its key.
#[derive(Args)]
#[command(mut_arg("config", |config| config.required(false).required_unless_present("list")))]
#[command(after_help = "Examples:
  quorate byzantine-node --list
  quorate byzantine-node --config demo/config/replica-2.toml --behaviour equivocating

Exit codes: 0 told to stop, 2 usage, 4 the disk was lost or has gone back in time, 7 local
configuration, keys or disk")]
pub struct Lie {
    /// How it lies
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    behaviour: Option<String>,
    /// Say who lies how, and do nothing
    #[arg(long, conflicts_with = "behaviour")]
    list: bool,
    #[command(flatten)]
    serving: Option<Serving>,
}

impl Lie {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        if self.list {
            return print(format!("{}\n", all()).as_bytes());
        }
        let name = self.behaviour.as_deref().unwrap_or_default();
        let role = role(name).map_err(|error| Failure::new(Exit::Usage, error))?;
        let Some(serving) = &self.serving else {
            return Err(Failure::new(Exit::Usage, "which replica lies? Name its --config"));
        };
        let config = serving.config()?;
        let keys = config.keys().map_err(Failure::local)?;
        let outlet = Lying::new(
            &role,
            config.id,
            &config.directory,
            Box::new(keys.signer),
            Default::default(),
        );
        note!("*** REPLICA {} LIES: {} ({}) ***", config.id, role.name, role.about);
        serving.run(Options { outlet: Box::new(outlet), ..Options::default() })
    }
}

/// Everybody in the cast, as a table.
fn all() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["BEHAVIOUR", "WHAT IT DOES"]);
    for role in cast() {
        table.add_row([role.name, role.about]);
    }
    table
}
