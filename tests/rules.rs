//! The shape of the code, read off its sources: who may know whom, and what the pure
//! rooms never see. Unit tests within the sources are free.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, each knowing those before it.
const LAYERS: [&str; 5] = ["types", "wire", "crypto", "message", "replica"];

/// What the state machine may know beside itself.
const SERVICE_KNOWS: [&str; 2] = ["types", "wire"];

/// The rooms that are functions of their inputs: no clock, no chance, no outside world.
const PURE: [&str; 13] = [
    "replica/",
    "message/",
    "service/",
    "byzantine/",
    "client/alike",
    "client/outcome",
    "client/proved",
    "client/reads",
    "client/receipt",
    "client/requests",
    "client/resume",
    "client/session",
    "client/views",
];

/// What no pure room mentions. Most of these would let two replicas differ.
const OUTSIDE: [&str; 17] = [
    "std::net",
    "std::fs",
    "std::time",
    "std::thread",
    "std::process",
    "std::env",
    "tokio",
    "rand",
    "getrandom",
    "HashMap",
    "HashSet",
    "Instant::now",
    "SystemTime",
    "thread_rng",
    "println!",
    "eprintln!",
    "dbg!",
];

/// Messages carry what a service shows of itself: parts of its tree, proofs from it, and
/// its refusals. So this one file names the service's types; it calls none of its rules.
const CARRIES_THE_SERVICE: &str = "message/travel.rs";

/// One place where a rule is broken.
#[derive(PartialEq, Eq, Debug)]
struct Breach {
    file: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "src/{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// A source's lines with strings, comments and test modules blanked out, so that what is
/// left is code and stands where it stood.
fn code_of(source: &str) -> String {
    blank_tests(&blank_words(source))
}

/// Blanks comments, strings and character literals.
fn blank_words(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = word_length(rest);
        let (word, after) = rest.split_at(length.max(first.len_utf8()));
        let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
        match length {
            0 => out.push(first),
            _ => out.extend(word.chars().map(blank)),
        }
        rest = after;
    }
    out
}

/// The length of the comment, string or character that begins here; 0 if none does.
fn word_length(text: &str) -> usize {
    let until = |begin: usize, end: &str| {
        text[begin..].find(end).map_or(text.len(), |at| begin + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until(2, "*/");
    }
    if text.starts_with("r\"") {
        return until(2, "\"");
    }
    if text.starts_with("r#\"") {
        return until(3, "\"#");
    }
    let quoted = |quote: char| {
        let mut is_escaped = false;
        let end = text[1..].find(|c: char| {
            let is_end = c == quote && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        });
        end.map_or(text.len(), |at| at + 2)
    };
    if text.starts_with('"') {
        return quoted('"');
    }
    // 'x' and '\n' are characters; 'a followed by anything else is a lifetime.
    let mut chars = text.chars();
    let is_character = chars.next() == Some('\'')
        && match chars.next() {
            Some('\\') => true,
            Some(_) => chars.next() == Some('\''),
            None => false,
        };
    if is_character { quoted('\'') } else { 0 }
}

/// Blanks every item under `#[cfg(test)]`, from the attribute to its end.
fn blank_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = item_end(item);
        out.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

/// Where an item ends: at a semicolon before any brace, or where its braces close.
fn item_end(item: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in item.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    item.len()
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a word stands in code, and not only within a longer one.
fn places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let begins = !before.is_some_and(is_part_of_name);
        let ends = word.ends_with('!') || !after.is_some_and(is_part_of_name);
        begins && ends
    })
}

/// The names right after a path's beginning: one, or those of a group in braces.
fn names_after(code: &str, at: usize) -> Vec<&str> {
    let rest = &code[at..];
    let Some(group) = rest.strip_prefix('{') else { return first_name(rest).into_iter().collect() };
    let mut depth = 1usize;
    let mut names = Vec::new();
    let mut is_start = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => is_start = true,
            c if is_start && depth == 1 && !c.is_whitespace() => {
                is_start = false;
                names.extend(first_name(&group[at..]));
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn first_name(text: &str) -> Option<&str> {
    let end = text.find(|c| !is_part_of_name(c)).unwrap_or(text.len());
    Some(&text[..end]).filter(|name| !name.is_empty())
}

/// The room that a file is in: `wire` for `wire.rs`, `message` for `message/batch.rs`.
fn room_of(file: &str) -> &str {
    let end = file.find(['/', '.']).unwrap_or(file.len());
    &file[..end]
}

/// Whether one room may know another. Rooms that no rule names may know all.
fn may_know(file: &str, other: &str) -> bool {
    let room = room_of(file);
    if room == other || (file == CARRIES_THE_SERVICE && other == "service") {
        return true;
    }
    if room == "service" {
        return SERVICE_KNOWS.contains(&other);
    }
    match LAYERS.iter().position(|layer| *layer == room) {
        Some(own) => LAYERS[..own].contains(&other) || (room == "replica" && other == "service"),
        None => true,
    }
}

/// Every place in a file where a rule is broken.
fn breaches(file: &str, source: &str) -> Vec<Breach> {
    let code = code_of(source);
    let mut found = Vec::new();
    let mut complain = |at: usize, rule: String| {
        let line = code[..at].matches('\n').count() + 1;
        found.push(Breach { file: file.to_owned(), line, rule });
    };
    for beginning in ["crate", "quorate"] {
        for at in places(&code, beginning) {
            let after = at + beginning.len();
            let Some(path) = code[after..].strip_prefix("::") else { continue };
            let begin = code.len() - path.len();
            for name in names_after(&code, begin) {
                if !may_know(file, name) {
                    complain(at, format!("{} must not know {name}", room_of(file)));
                }
            }
        }
    }
    if PURE.iter().any(|room| file.starts_with(room)) {
        for word in OUTSIDE {
            for at in places(&code, word) {
                complain(at, format!("{word} is not for a room that only computes"));
            }
        }
        for at in places(&code, "std") {
            let Some(path) = code[at..].strip_prefix("std::{") else { continue };
            let begin = code.len() - path.len() - 1;
            for name in names_after(&code, begin) {
                if OUTSIDE.contains(&format!("std::{name}").as_str()) {
                    complain(at, format!("std::{name} is not for a room that only computes"));
                }
            }
        }
    }
    found
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("a readable directory").path();
        match path.extension() {
            _ if path.is_dir() => sources(&path, found),
            Some(extension) if extension == "rs" => found.push(path),
            _ => {}
        }
    }
}

/// Whether a file holds a module of unit tests, by its name.
fn is_tests(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

#[test]
fn rooms_know_only_whom_they_may_and_the_pure_ones_only_compute() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    let mut complaints = Vec::new();
    let mut seen = Vec::new();
    for path in &files {
        let file = path.strip_prefix(&root).expect("below it").to_string_lossy().replace('\\', "/");
        if is_tests(&file) {
            continue;
        }
        let source = fs::read_to_string(path).expect("a readable source");
        complaints.extend(breaches(&file, &source).iter().map(Breach::to_string));
        seen.push(room_of(&file).to_owned());
    }
    for room in LAYERS.iter().chain(&["service"]) {
        assert!(seen.iter().any(|one| one == room), "there is no room {room} any more");
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The exception is used; should it not be needed any more, it goes.
#[test]
fn the_file_that_may_name_the_service_still_does() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src").join(CARRIES_THE_SERVICE);
    let source = fs::read_to_string(file).expect("the file of the exception");
    assert!(places(&code_of(&source), "service").next().is_some());
}

/// No file and no flag of an operator makes a node lie: what starts one knows no liar, and
/// the ways out but the honest one are named by nobody in the sources.
#[test]
fn an_operators_node_cannot_be_made_to_lie() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let code = |file: &str| code_of(&fs::read_to_string(root.join(file)).expect("a source"));
    for file in ["cli/node.rs", "config/replica.rs", "node/mod.rs", "node/start.rs"] {
        for word in ["byzantine", "Lying", "Liar", "cast"] {
            assert_eq!(places(&code(file), word).count(), 0, "{file} names {word}");
        }
    }
    assert_eq!(places(&code("cli/node.rs"), "outlet").count(), 0);
}

#[cfg(test)]
mod checker {
    use super::*;

    fn lines(file: &str, source: &str) -> Vec<(usize, String)> {
        breaches(file, source).into_iter().map(|one| (one.line, one.rule)).collect()
    }

    #[test]
    fn a_bad_snippet_is_found_with_its_line() {
        let bad = "use crate::types::Seq;\n\
                   use crate::replica::Replica;\n\
                   use std::collections::HashMap;\n\
                   fn now() -> u64 {\n    \
                       std::time::Instant::now().elapsed()\n\
                   }\n";
        assert_eq!(
            lines("message/bad.rs", bad),
            [
                (2, "message must not know replica".to_owned()),
                (5, "std::time is not for a room that only computes".to_owned()),
                (3, "HashMap is not for a room that only computes".to_owned()),
                (5, "Instant::now is not for a room that only computes".to_owned()),
            ]
        );
        let shown = breaches("message/bad.rs", bad)[0].to_string();
        assert_eq!(shown, "src/message/bad.rs:2: message must not know replica");
    }

    #[test]
    fn groups_and_nested_groups_are_read() {
        let bad = "use crate::{types::{Seq, View}, crypto, wire::{self, Blob}};\n\
                   use std::{fmt, thread, sync::Arc};\n\
                   use std::{\n    collections::{BTreeMap, HashSet},\n    fs,\n};\n";
        assert_eq!(
            lines("service/bad.rs", bad),
            [
                (1, "service must not know crypto".to_owned()),
                (4, "HashSet is not for a room that only computes".to_owned()),
                (2, "std::thread is not for a room that only computes".to_owned()),
                (3, "std::fs is not for a room that only computes".to_owned()),
            ]
        );
    }

    #[test]
    fn paths_within_code_count_like_imports() {
        let bad = "fn f() {\n    let x = crate::service::kv();\n    tokio::spawn(x);\n    rand::random();\n}";
        assert_eq!(lines("replica/fine.rs", bad).len(), 2);
        assert_eq!(lines("message/bad.rs", bad).len(), 3);
        assert_eq!(lines("message/travel.rs", bad).len(), 2);
        assert_eq!(lines("node/mod.rs", bad).len(), 0, "a room that no rule names");
        assert_eq!(lines("crypto.rs", "use crate::message::Body;").len(), 1);
        assert_eq!(lines("types.rs", "use crate::wire::List;").len(), 1);
        assert_eq!(lines("client/session.rs", "use std::net::TcpStream;").len(), 1);
        assert_eq!(lines("client/driver.rs", "use std::net::TcpStream;").len(), 0);
    }

    #[test]
    fn words_comments_and_tests_are_no_code() {
        let fine = "//! Nothing of tokio or crate::replica here.\n\
                    /* std::fs */\n\
                    const TEXT: &str = \"rand \\\" println! {\";\n\
                    const RAW: &str = r#\"HashMap \" {\"#;\n\
                    fn brand<'a>(operand: &'a str, c: char) -> bool { c == '\"' || c == '{' }\n\
                    #[cfg(test)]\n\
                    mod tests {\n    use std::collections::HashMap;\n    mod deep { use std::fs; }\n}\n\
                    #[cfg(test)]\n\
                    mod elsewhere;\n";
        assert_eq!(lines("message/fine.rs", fine), []);
        let after = format!("{fine}use std::env;\n");
        let last = after.matches('\n').count();
        let expected = [(last, "std::env is not for a room that only computes".to_owned())];
        assert_eq!(lines("message/fine.rs", &after), expected);
    }
}
