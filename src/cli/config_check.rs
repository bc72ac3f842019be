//! `quorate config check`: what files are, and what is wrong with them.

use super::Failure;
use super::access::{HOW_WRITTEN, Output, print, print_json};
use crate::config::{AnyFile, ClientConfig, ClusterFile, ReplicaConfig};
use crate::crypto::ClusterId;
use crate::types::Committee;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Loads each file with all that it names, private keys included, and starts nothing.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate config check demo/config/cluster.toml
  quorate config check demo/config/*.toml
  quorate config check demo/config/*.toml -o json | jq .good

Exit codes: 0 all are good, 2 usage, 7 something is wrong")]
pub struct Check {
    /// Files of clusters, replicas and clients
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How results are written
    #[arg(short, long, value_enum, default_value_t = Output::Table, long_help = HOW_WRITTEN)]
    output: Output,
}

impl Check {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let mut problems = 0;
        let (mut lines, mut rows) = (String::new(), Vec::new());
        let mut clusters: Vec<(ClusterId, &PathBuf)> = Vec::new();
        for path in &self.files {
            let told = match AnyFile::load(path) {
                Ok(AnyFile::Cluster(file)) => Ok((file.id(), of_cluster(&file))),
                Ok(AnyFile::Replica(config)) => of_replica(&config),
                Ok(AnyFile::Client(config)) => of_client(&config),
                Err(error) => Err(error.to_string()),
            };
            let file = path.display().to_string();
            match told {
                Ok((id, text)) => {
                    lines += &format!("{file}: {text}\n");
                    let cluster = id.0.to_string();
                    rows.push(
                        json!({ "file": file, "cluster": cluster, "is": text, "problem": null }),
                    );
                    clusters.push((id, path));
                }
                Err(problem) => {
                    lines += &match problem.starts_with(&file) {
                        true => format!("NOT GOOD: {problem}\n"),
                        false => format!("NOT GOOD: {file}: {problem}\n"),
                    };
                    rows.push(
                        json!({ "file": file, "cluster": null, "is": null, "problem": problem }),
                    );
                    problems += 1;
                }
            }
        }
        let mut mixed = None;
        if let [(first, first_path), rest @ ..] = clusters.as_slice()
            && let Some((_, other_path)) = rest.iter().find(|(id, _)| id != first)
        {
            let text = format!(
                "{} and {} are of different clusters: their members will refuse each other",
                first_path.display(),
                other_path.display()
            );
            lines += &format!("{text}\n");
            mixed = Some(text);
            problems += 1;
        }
        match self.output {
            Output::Table => print(lines.as_bytes())?,
            Output::Json => {
                print_json(&json!({ "good": problems == 0, "files": rows, "problem": mixed }))?;
            }
        }
        match problems {
            0 => Ok(()),
            1 => Err(Failure::local("there is a problem, told above").beside_answer()),
            some => {
                let message = format!("there are {some} problems, told above");
                Err(Failure::local(message).beside_answer())
            }
        }
    }
}

fn of_cluster(file: &ClusterFile) -> String {
    let committee = u16::try_from(file.replicas.len()).ok().and_then(Committee::new);
    let faults = committee.map_or(0, Committee::faults);
    format!(
        "cluster {} ({}): {} replicas, of which {faults} may fail or lie, {} clients",
        file.id().0,
        file.name,
        file.replicas.len(),
        file.clients.len(),
    )
}

fn of_replica(config: &ReplicaConfig) -> Result<(ClusterId, String), String> {
    config.keys().map_err(|error| error.to_string())?;
    let listen = config.listen_address().map_err(|error| error.to_string())?;
    let id = config.directory.cluster();
    let text = format!(
        "replica {} of cluster {}: listens at {listen}, for operators at {}, data in {}",
        config.id,
        id.0.short(),
        config.admin,
        config.data.display(),
    );
    Ok((id, text))
}

fn of_client(config: &ClientConfig) -> Result<(ClusterId, String), String> {
    config.keys().map_err(|error| error.to_string())?;
    let id = config.directory.cluster();
    let text = format!("client {} of cluster {}", config.id, id.0.short());
    Ok((id, text))
}
