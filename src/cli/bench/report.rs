//! The figures of all runs, as a table and as one JSON object whose names stay.

use super::Bench;
use super::tally::{Tally, micros};
use super::usage::{Usage, Usages};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All that was measured, and how.
#[derive(Serialize)]
pub(super) struct Report {
    version: &'static str,
    workload: super::Workload,
    distribution: super::Distribution,
    keys: u32,
    value_bytes: u32,
    in_flight: u32,
    rate: Option<u32>,
    /// How many there are.
    replicas: usize,
    /// Which of them lie, and how.
    byzantine: Vec<String>,
    /// Whether all keys were written before.
    filled: bool,
    pub(super) runs: Vec<Run>,
}

/// One measurement.
#[derive(Serialize)]
pub(super) struct Run {
    pub(super) clients: u32,
    seconds: f64,
    operations: u64,
    /// Operations in a second.
    pub(super) throughput: f64,
    pub(super) latency_us: Latency,
    /// The longest time in which nothing was answered.
    longest_pause_us: u64,
    errors: BTreeMap<&'static str, u64>,
    /// How many views there were after the first; 0 too if no replica tells.
    view_changes: u64,
    replicas: Vec<Process>,
    /// All of them, which are one process.
    client_process: Process,
    /// Of all processes together, in microseconds.
    cpu_us_per_operation: Option<f64>,
    /// What all replicas sent each other and the clients, before encryption.
    sent_bytes_per_operation: Option<f64>,
}

/// How long answers took, in microseconds.
#[derive(Serialize)]
pub(super) struct Latency {
    pub(super) p50: u64,
    p90: u64,
    pub(super) p99: u64,
    p999: u64,
    max: u64,
    mean: f64,
}

/// What one process took.
#[derive(Serialize)]
struct Process {
    id: Option<u16>,
    /// Of one core.
    cpu_percent: f64,
    cpu_us_per_operation: f64,
    peak_memory_bytes: u64,
    /// What it wrote to disks.
    written_bytes_per_operation: f64,
    /// What it sent, before encryption; none for the clients.
    sent_bytes_per_operation: Option<f64>,
}

impl Process {
    fn new(id: Option<u16>, usage: Usage, seconds: f64, operations: u64) -> Process {
        let cpu = usage.cpu.as_secs_f64();
        Process {
            id,
            cpu_percent: 100.0 * cpu / seconds,
            cpu_us_per_operation: 1e6 * cpu / operations as f64,
            peak_memory_bytes: usage.peak_memory,
            written_bytes_per_operation: usage.written as f64 / operations as f64,
            sent_bytes_per_operation: usage.sent.map(|sent| sent as f64 / operations as f64),
        }
    }
}

impl Run {
    /// Of a measurement in which something was answered.
    pub(super) fn new(clients: u32, tally: Tally, seconds: f64, usages: Usages) -> Run {
        let times = &tally.times;
        let operations = times.len();
        let at = |quantile| times.value_at_quantile(quantile);
        let process = |id, usage| Process::new(id, usage, seconds, operations);
        let replicas: Vec<Process> =
            usages.replicas.into_iter().map(|(id, usage)| process(Some(id), usage)).collect();
        let client_process = process(None, usages.clients);
        let all = replicas.iter().map(|one| one.cpu_us_per_operation).sum::<f64>();
        // Replicas elsewhere take what nobody sees from here.
        let is_known = !replicas.is_empty();
        Run {
            clients,
            seconds,
            operations,
            throughput: operations as f64 / seconds,
            latency_us: Latency {
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p999: at(0.999),
                max: times.max(),
                mean: times.mean(),
            },
            longest_pause_us: micros(tally.longest_pause),
            errors: tally.errors.iter().map(|(kind, (count, _))| (*kind, *count)).collect(),
            view_changes: usages.view,
            cpu_us_per_operation: is_known.then_some(all + client_process.cpu_us_per_operation),
            sent_bytes_per_operation: is_known
                .then(|| replicas.iter().map(|one| one.sent_bytes_per_operation).sum())
                .flatten(),
            replicas,
            client_process,
        }
    }
}

impl Report {
    pub(super) fn new(bench: &Bench, replicas: usize, runs: Vec<Run>) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION"),
            workload: bench.workload,
            distribution: bench.distribution,
            keys: bench.keys,
            value_bytes: bench.value_bytes,
            in_flight: bench.in_flight,
            rate: bench.rate,
            replicas,
            byzantine: bench.local.liars().collect(),
            filled: bench.fill || bench.workload != super::Workload::Put,
            runs,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!(self)
    }

    /// What was measured, in a line.
    pub(super) fn title(&self) -> String {
        let what = match self.workload {
            super::Workload::Put => "put",
            super::Workload::Get => "get",
            super::Workload::Mixed => "put and get",
        };
        let pace = match self.rate {
            Some(rate) => format!("{rate} requests/s asked for"),
            None => format!("closed loop, {} in flight each", self.in_flight),
        };
        format!("{what} of {} bytes, {pace}", self.value_bytes)
    }

    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header([
            "clients",
            "per s",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "pause ms",
            "errors",
            "CPU µs each",
            "of clients",
            "bytes sent each",
            "replicas' CPU",
            "memory",
        ]);
        for run in &self.runs {
            table.add_row(run.row());
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let errors = self.runs.iter().flat_map(|run| {
            let clients = run.clients;
            run.errors
                .iter()
                .map(move |(kind, count)| format!("\n{clients} clients, {count} errors: {kind}"))
        });
        let changed = self.runs.iter().filter(|run| run.view_changes > 0).map(|run| {
            format!(
                "\n{} clients, {} view changes meanwhile: a primary failed, or this machine is too \
                 slow for the replicas' patience (settings.patience)",
                run.clients, run.view_changes
            )
        });
        let notes: String = errors.chain(changed).collect();
        format!("{}\n{table}{notes}", self.title())
    }
}

impl Run {
    fn row(&self) -> Vec<String> {
        let ms = |micros: u64| format!("{:.2}", micros as f64 / 1e3);
        let Latency { p50, p90, p99, p999, max, .. } = self.latency_us;
        let peak = self.replicas.iter().map(|one| one.peak_memory_bytes).max();
        let shares: Vec<String> =
            self.replicas.iter().map(|one| format!("{:.0}%", one.cpu_percent)).collect();
        vec![
            self.clients.to_string(),
            format!("{:.0}", self.throughput),
            ms(p50),
            ms(p90),
            ms(p99),
            ms(p999),
            ms(max),
            ms(self.longest_pause_us),
            self.errors.values().sum::<u64>().to_string(),
            self.cpu_us_per_operation.map_or("-".to_owned(), |cpu| format!("{cpu:.0}")),
            format!("{:.0}", self.client_process.cpu_us_per_operation),
            self.sent_bytes_per_operation.map_or("-".to_owned(), |bytes| format!("{bytes:.0}")),
            shares.join(" "),
            peak.map_or("-".to_owned(), |bytes| format!("{} MiB", bytes >> 20)),
        ]
    }
}
