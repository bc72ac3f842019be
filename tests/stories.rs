//! Stories: what a small cluster does, step by step, as text that can be read and
//! reviewed. Each file in `scenarios/` is one: commands, a line of dashes, and what
//! must come of them. At the end of each, agreement and honesty are checked.
//!
//! `QUORATE_STORY=name` tells only stories whose name holds that;
//! `QUORATE_REWRITE=1` writes what happened into the files, to be read as a diff.

#![allow(unreachable_pub, reason = "nobody reaches into a test")]

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use world::story::Story;

/// A piece of a story's file.
enum Piece {
    /// A comment, or an empty line.
    Prose(String),
    /// Commands, and what must come of them.
    Scene { commands: Vec<String>, expected: Vec<String> },
}

const RULE: &str = "----";

fn parse(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            pieces.push(Piece::Prose(line.to_string()));
            continue;
        }
        let mut commands = vec![line.to_string()];
        while let Some(line) = lines.next_if(|line| *line != RULE && !line.is_empty()) {
            commands.push(line.to_string());
        }
        lines.next_if_eq(&RULE);
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.is_empty()) {
            expected.push(line.to_string());
        }
        pieces.push(Piece::Scene { commands, expected });
    }
    pieces
}

/// What happens, scene by scene.
fn tell(commands: &[String], story: &mut Story) -> Vec<String> {
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let lines = story.tell(&commands);
    if lines.is_empty() { vec!["ok".to_string()] } else { lines }
}

/// Tells one story: the file as it should be, and whether what must hold held.
fn run(pieces: &[Piece]) -> (String, Result<(), String>) {
    let mut story = Story::default();
    let mut text = String::new();
    let mut outcome = Ok(());
    for piece in pieces {
        match piece {
            Piece::Prose(line) => text += &format!("{line}\n"),
            Piece::Scene { commands, .. } if outcome.is_err() => {
                text += &format!("{}\n{RULE}\n", commands.join("\n"));
            }
            Piece::Scene { commands, expected } => {
                let told = catch_unwind(AssertUnwindSafe(|| tell(commands, &mut story)));
                let lines = told.unwrap_or_else(|panic| {
                    outcome = Err(format!("{}: {}", commands.join(" / "), reason(&*panic)));
                    expected.clone()
                });
                text += &format!("{}\n{RULE}\n{}\n", commands.join("\n"), lines.join("\n"));
            }
        }
    }
    if outcome.is_ok() {
        outcome = story.agreement().map(drop);
    }
    (text, outcome)
}

fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
    text.unwrap_or_else(|| "panicked".to_string())
}

/// The first lines in which two texts differ.
fn difference(expected: &str, found: &str) -> String {
    let (mut left, mut right) = (expected.lines(), found.lines());
    for number in 1.. {
        match (left.next(), right.next()) {
            (Some(one), Some(other)) if one == other => {}
            (one, other) => {
                let show = |line: Option<&str>| line.unwrap_or("(the end)").to_string();
                return format!(
                    "line {number}\n    expected: {}\n    found:    {}",
                    show(one),
                    show(other)
                );
            }
        }
    }
    unreachable!("the texts differ")
}

fn check(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).expect("a story's file can be read");
    if !text.starts_with('#') {
        return Err("a story opens with a comment that says what it shows".to_string());
    }
    let (found, outcome) = run(&parse(&text));
    if found != text && std::env::var_os("QUORATE_REWRITE").is_some() {
        std::fs::write(path, &found).expect("a story's file can be written");
    } else if found != text && outcome.is_ok() {
        return Err(difference(&text, &found));
    }
    outcome
}

fn stories() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let filter = std::env::var("QUORATE_STORY").unwrap_or_default();
    let entries = std::fs::read_dir(directory).expect("the stories' directory");
    let paths = entries.map(|entry| entry.expect("its entries can be read").path());
    let mut stories: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "story"))
        .filter(|path| {
            path.file_stem().is_some_and(|name| name.to_string_lossy().contains(&filter))
        })
        .collect();
    stories.sort();
    stories
}

#[test]
fn every_story_ends_as_it_should() {
    let stories = stories();
    assert!(!stories.is_empty(), "no story has that name");
    let failures: Vec<String> = stories
        .iter()
        .filter_map(|path| {
            let wrong = check(path).err()?;
            Some(format!("{}: {wrong}", path.file_name()?.to_string_lossy()))
        })
        .collect();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
