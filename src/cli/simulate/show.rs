//! What is printed: for people as tables and stories, for programs as one JSON object
//! whose fields keep their names.

use super::expected;
use super::runs::{Failure, Sum};
use crate::sim::Report;
use crate::sim::shrink::Shrunk;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

/// The groups of what is covered, by how their names begin.
const GROUPS: [(&str, &str); 7] = [
    ("behaviour ", "liars"),
    ("hostile client ", "hostile clients"),
    ("fault ", "faults"),
    ("event ", "events"),
    ("shown ", "shown"),
    ("reject ", "refused by honest replicas"),
    ("", "clients"),
];

/// The numbers of all runs.
pub fn totals(sum: &Sum) -> String {
    format!(
        "{} schedules, {} steps, {:.2} simulated hours; median of {} messages and {} requests",
        sum.runs,
        sum.steps,
        hours(sum),
        sum.median_messages(),
        sum.median_requests(),
    )
}

fn hours(sum: &Sum) -> f64 {
    sum.simulated as f64 / 3.6e9
}

/// What was covered, group by group.
pub fn coverage(sum: &Sum) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["what", "covered", "times"]);
    let group_of = |what: &str| GROUPS.iter().position(|(prefix, _)| what.starts_with(prefix));
    for (index, (prefix, group)) in GROUPS.iter().enumerate() {
        let mut name = *group;
        for (what, count) in &sum.coverage.0 {
            if group_of(what) == Some(index) {
                table.add_row([
                    name,
                    what.strip_prefix(prefix).unwrap_or(what),
                    &count.to_string(),
                ]);
                name = "";
            }
        }
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// A failed run as a story: what happened last, and what that breaks.
pub fn failure(failure: &Failure, again: &str) -> String {
    match failure {
        Failure::Panic(seed, text) => {
            format!("seed {seed}: a replica panics: {text}\nsee it again: {again}")
        }
        Failure::Violation(report) => {
            format!("{}\nsee it again: {again}", story(report, &format!("seed {}", report.seed)))
        }
    }
}

fn story(report: &Report, what: &str) -> String {
    let broken = report.violation.as_ref().map(ToString::to_string).unwrap_or_default();
    format!(
        "the last events:\n{}\n\nthe plan: {:#?}\n\n{what} breaks {broken}",
        report.story.join("\n"),
        report.plan
    )
}

/// What is left of a failed run.
pub fn shrunk(shrunk: &Shrunk) -> String {
    let story = match &shrunk.report {
        Some(report) => story(report, "what is left of it"),
        None => format!("the plan: {:#?}\n\nit still panics", shrunk.plan),
    };
    format!("\nafter {} smaller runs, what is left:\n{story}", shrunk.runs)
}

/// All of it for programs.
pub fn as_json(sum: &Sum, shrunk: Option<&Shrunk>, never: &[String], again: &str) -> Value {
    let failure = sum.failure.as_ref().map(|failure| {
        let (invariant, what, story, plan) = match failure {
            Failure::Panic(_, text) => (None, text.clone(), vec![], None),
            Failure::Violation(report) => (
                report.violation.as_ref().map(|one| format!("{:?}", one.invariant)),
                report.violation.as_ref().map(|one| one.what.clone()).unwrap_or_default(),
                report.story.clone(),
                Some(format!("{:?}", report.plan)),
            ),
        };
        json!({
            "seed": failure.seed(),
            "invariant": invariant,
            "what": what,
            "again": again,
            "story": story,
            "plan": plan,
            "shrunk_plan": shrunk.map(|one| format!("{:?}", one.plan)),
            "shrunk_story": shrunk.and_then(|one| one.report.as_ref()).map(|one| &one.story),
        })
    });
    json!({
        "schedules": sum.runs,
        "steps": sum.steps,
        "simulated_hours": hours(sum),
        "messages_median": sum.median_messages(),
        "requests_median": sum.median_requests(),
        "coverage": sum.coverage.0,
        "never_fired": never,
        "failure": failure,
    })
}

/// What enough seeds should have covered and did not.
pub fn never_fired(never: &[String]) -> String {
    format!(
        "never fired in at least {} seeds, so nothing is known about it: {}",
        expected::ENOUGH_SEEDS,
        never.join(", ")
    )
}
