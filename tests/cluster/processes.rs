//! The binary itself: processes that are killed, and the command line.

use crate::support::{Cluster, PATIENCE, brisk};
use quorate::message::Parameters;
use std::process::{Child, Command, Output, Stdio};

fn quorate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.env_remove("QUORATE_CONFIG");
    command
}

/// Replicas in processes of their own, killed when the test ends however it does.
struct Processes<'a> {
    cluster: &'a Cluster,
    children: Vec<Option<Child>>,
}

impl<'a> Processes<'a> {
    fn start(cluster: &'a Cluster) -> Processes<'a> {
        let mut processes = Processes { cluster, children: (0..4).map(|_| None).collect() };
        (0..4).for_each(|id| processes.up(id));
        processes
    }

    fn up(&mut self, id: usize) {
        let mut command = quorate();
        command.args(["node", "--config"]).arg(&self.cluster.layout.replicas[id]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.children[id] = Some(child.expect("the binary starts"));
    }

    fn kill(&mut self, id: usize) {
        if let Some(mut child) = self.children[id].take() {
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
        }
    }

    /// Tells a replica to stop, and waits for its end.
    fn terminate(&mut self, id: usize) -> Option<i32> {
        let mut child = self.children[id].take().expect("it runs");
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.expect("a process has a number");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is ours");
        child.wait().expect("it ends").code()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = quorate();
        command.args(arguments).arg("--config").arg(&self.cluster.layout.clients[0]);
        command.arg("--timeout").arg(format!("{}s", PATIENCE.as_secs()));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary starts")
    }
}

impl Drop for Processes<'_> {
    fn drop(&mut self) {
        (0..4).for_each(|id| self.kill(id));
    }
}

#[test]
fn the_command_line_writes_and_reads_and_says_by_its_code_how_it_went() {
    let cluster = Cluster::files(Parameters::default());
    let mut processes = Processes::start(&cluster);
    let ran = |arguments: &[&str]| {
        let output = processes.run(arguments);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(ran(&["put", "greeting", "hello"]), (Some(0), "written at 1\n".to_owned()));
    assert_eq!(ran(&["get", "greeting"]), (Some(0), "hello".to_owned()));
    assert_eq!(ran(&["get", "nothing"]).0, Some(1));
    assert_eq!(ran(&["cas", "greeting", "--absent", "x"]).0, Some(1));
    assert_eq!(ran(&["cas", "greeting", "--expect", "hello", "bye"]).0, Some(0));
    let (code, json) = ran(&["get", "greeting", "--read", "ordered", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!((code, &json["value"]), (Some(0), &"bye".into()));
    let (code, json) = ran(&["list", "gree", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!((code, &json["items"][0]["key"]), (Some(0), &"greeting".into()));
    assert_eq!(json["next_hex"], serde_json::Value::Null);
    assert_eq!(ran(&["put", "grey", "sky"]).0, Some(0));
    let (_, json) = ran(&["list", "gre", "--limit", "1", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("one object");
    let next = json["next_hex"].as_str().expect("there are more");
    let (code, json) = ran(&["list", "gre", "--from-hex", next, "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!((code, json["items"].as_array().map(Vec::len)), (Some(0), Some(1)));
    assert_eq!(json["items"][0]["key"], "grey");
    assert_eq!(ran(&["del", "greeting"]).0, Some(0));
    assert_eq!(ran(&["put", "", "value"]).0, Some(1));
    assert_eq!(processes.terminate(2), Some(0));
}

/// Neither a key nor a value needs to be text, and no byte of them is special.
#[test]
fn keys_and_values_of_any_bytes_are_named_and_swapped() {
    let cluster = Cluster::files(Parameters::default());
    let processes = Processes::start(&cluster);
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a disk");
        path.display().to_string()
    };
    let (old, new) = (file("old", b"\0old\xff"), file("new", b"\0new\xff"));
    let ran = |arguments: &[&str], input: &str| {
        let mut command = processes.command(arguments);
        let input = std::fs::File::open(input).expect("it is there");
        let output = command.stdin(input).output().expect("the binary starts");
        (output.status.code(), output.stdout)
    };
    assert_eq!(ran(&["put", "--key-hex", "00fe", "-"], &old).0, Some(0));
    assert_eq!(ran(&["get", "--key-hex", "00FE"], &old), (Some(0), b"\0old\xff".to_vec()));
    let swap = |expected: &str, value: &str, input: &str| {
        ran(&["cas", "--key-hex", "00fe", "--expect-file", expected, value], input).0
    };
    assert_eq!(swap(&new, "-", &new), Some(1));
    assert_eq!(swap(&old, "-", &new), Some(0));
    assert_eq!(swap("-", "text", &new), Some(0));
    assert_eq!(swap("-", "-", &new), Some(2), "one input for two values");
    assert_eq!(ran(&["cas", "key", "--expect", "-", "value"], &new).0, Some(2));
    let (code, json) = ran(&["list", "--prefix-hex", "00", "-o", "json"], &old);
    let json: serde_json::Value = serde_json::from_slice(&json).expect("one object");
    assert_eq!((code, &json["items"][0]["key_hex"]), (Some(0), &"00fe".into()));
    assert_eq!(ran(&["del", "--key-hex", "00fe"], &old).0, Some(0));
    assert_eq!(ran(&["get", "--key-hex", "00fe"], &old).0, Some(1));
}

#[test]
fn a_key_is_told_as_a_word_or_in_hexadecimal() {
    let refused = [
        &["put", "--key-hex", "00"][..],
        &["put", "key", "value", "--key-hex", "00"],
        &["put", "key"],
        &["put", "--key-hex", "0", "value"],
        &["get"],
        &["get", "key", "--key-hex", "00"],
        &["del", "--key-hex", "no"],
        &["cas", "key", "--absent"],
        &["cas", "--key-hex", "00", "--absent"],
        &["cas", "--key-hex", "00", "value"],
        &["cas", "key", "--expect", "old", "--expect-file", "old", "value"],
        &["list", "key", "--prefix-hex", "00"],
        &["list", "--from", "key", "--from-hex", "00"],
    ];
    refused.iter().for_each(|arguments| assert_usage(arguments));
}

/// An age is of proofs, and whoever looks again waits in between.
#[test]
fn an_age_of_what_has_none_and_no_pause_are_refused() {
    let refused = [
        &["get", "key", "--max-age", "5s"][..],
        &["list", "--read", "ordered", "--max-age", "5s"],
        &["status", "--watch", "--every", "0s"],
    ];
    refused.iter().for_each(|arguments| assert_usage(arguments));
}

fn assert_usage(arguments: &[&str]) {
    let mut command = quorate();
    let output = command.args(arguments).args(["--config", "/nowhere"]).output();
    assert_eq!(output.expect("it starts").status.code(), Some(2), "{arguments:?}");
}

/// S13: not one acknowledged write is lost, however often all are killed at once.
#[test]
fn nothing_acknowledged_is_lost_when_all_are_killed_at_once() {
    let cluster = Cluster::files(brisk());
    let mut processes = Processes::start(&cluster);
    for round in 0..3 {
        for number in 0..5 {
            let key = format!("key-{round}-{number}");
            let output = processes.run(&["put", &key, "value"]);
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{complaint}");
        }
        (0..4).for_each(|id| processes.kill(id));
        (0..4).for_each(|id| processes.up(id));
        for number in 0..5 {
            let key = format!("key-{round}-{number}");
            let output = processes.run(&["get", &key]);
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{complaint}");
        }
    }
}

#[test]
fn without_a_cluster_the_command_line_says_so_by_its_code() {
    let cluster = Cluster::files(Parameters::default());
    let mut command = quorate();
    command.args(["put", "key", "value", "--timeout", "300ms", "--config"]);
    let output = command.arg(&cluster.layout.clients[0]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(3));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("nothing was sent"), "{complaint}");
    let mut command = quorate();
    let output = command.args(["get", "key", "--config", "/nowhere"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn every_help_has_examples() {
    let commands = "init config config-check demo node byzantine-node put get del cas list status \
                    evidence evidence-list evidence-show evidence-verify receipt receipt-verify \
                    simulate bench completions";
    for words in std::iter::once("").chain(commands.split_whitespace()) {
        let words = match words {
            "byzantine-node" | "" => words.split_whitespace().collect(),
            words => words.split('-').collect::<Vec<_>>(),
        };
        let output = quorate().args(&words).arg("--help").output().expect("the binary starts");
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(told.contains("\nExamples:\n  quorate "), "{words:?}: {told}");
    }
}

/// What is named by mistake is told in one sentence that says what to do, and at once.
#[test]
fn a_name_that_leads_nowhere_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    let cluster = Cluster::files(Parameters::default());
    let cluster = cluster.layout.cluster.display().to_string();
    let pipe = pipe.display().to_string();
    let mistakes = [
        (&["init", "--dir", "/proc/x"][..], 7, "choose a --dir where there is room"),
        (&["init", "--dir", "x", "--host", ""], 2, "--host \"\" is no host"),
        (&["receipt", "verify", &pipe, "--cluster", &cluster], 7, "it is no regular file"),
        (&["receipt", "verify", "x", "--cluster", &pipe], 7, "it is no regular file"),
        (&["get", "key", "--config", "/dev/zero"], 7, "it is no regular file"),
    ];
    for (arguments, code, told) in mistakes {
        let output = quorate().current_dir(folder.path()).args(arguments).output();
        let output = output.expect("the binary starts");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{complaint}");
        assert!(complaint.contains(told), "{complaint}");
    }
}

#[test]
fn files_are_checked_for_people_and_for_programs() {
    let cluster = Cluster::files(Parameters::default());
    let check = |more: &[&str]| {
        let mut command = quorate();
        command.args(["config", "check"]).args(&cluster.layout.replicas).args(more);
        let output = command.output().expect("the binary starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, told) = check(&[]);
    assert_eq!((code, told.lines().count()), (Some(0), 4), "{told}");
    let (code, told) = check(&["/nowhere", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("one object");
    assert_eq!((code, &told["good"]), (Some(7), &false.into()));
    assert!(told["files"][0]["problem"].is_null() && told["files"][4]["problem"].is_string());
}

/// As with 'quorate init | head -0'.
#[test]
fn a_reader_that_goes_before_the_end_makes_no_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = quorate();
    command.args(["init", "--dir"]).arg(folder.path().join("cluster"));
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// K6: a log that finds no file to go on in ends the node, however many clients connect.
#[test]
fn a_node_takes_all_the_files_that_the_system_allows() {
    let cluster = Cluster::files(Parameters::default());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 256 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_quorate")]);
    command.args(["node", "--config"]).arg(&cluster.layout.replicas[0]);
    command.env_remove("QUORATE_CONFIG").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the binary starts");
    let limits = format!("/proc/{}/limits", child.id());
    let began = std::time::Instant::now();
    let is_raised = || {
        let limits = std::fs::read_to_string(&limits).expect("it runs");
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let files: Vec<&str> = files.expect("one of the limits").split_whitespace().collect();
        files[0] == files[1]
    };
    while !is_raised() && began.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    let is_raised = is_raised();
    child.kill().expect("it is ours");
    child.wait().expect("it ends");
    assert!(is_raised);
}
