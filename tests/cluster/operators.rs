//! What operators do with the binary: the demonstration, status, evidence, receipts.

use crate::support::{PATIENCE, brisk};
use quorate::cluster::{Cluster, Processes, ports};
use quorate::config::{self, InitOptions, Ports};
use serde_json::Value;
use std::fs::File;
use std::io::PipeWriter;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_quorate");

fn quorate(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder.path()).env_remove("QUORATE_CONFIG").args(arguments);
    command.stdin(Stdio::null()).output().expect("the binary starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Four processes of which some lie, ready to serve.
fn processes(folder: &TempDir, liars: &[(u16, &str)]) -> Processes {
    let options = InitOptions {
        directory: folder.path().join("cluster"),
        ports: Ports::Given(ports::free(4)),
        parameters: brisk(),
        ..InitOptions::default()
    };
    let layout = config::init(&options).expect("a new folder");
    let mut processes = Processes::new(PROGRAM.into(), layout).expect("good files");
    for (id, behaviour) in liars {
        processes.corrupt(*id, behaviour);
    }
    for id in processes.ids() {
        processes.start(id).expect("it starts");
    }
    for id in processes.ids() {
        processes.wait_ready(id, PATIENCE).expect("it serves");
    }
    processes
}

fn asked(folder: &TempDir, arguments: &[&str]) -> Output {
    let client = ["--config", "cluster/config/client-0.toml"];
    quorate(folder, &[arguments, &client].concat())
}

/// Asks again until the answer is as wanted: replicas tell operators a little later.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
    }
}

#[test]
fn the_demonstration_survives_the_death_of_the_primary_and_leaves_nothing_running() {
    let folder = folder();
    let output = quorate(&folder, &["demo", "--once", "--kill", "0"]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("Replica 0, a primary, is killed"), "{told}");
    assert!(told.contains("writes went on"), "{told}");
    assert!(told.contains("Started again"), "{told}");
    let locks = (0..4).map(|id| folder.path().join(format!("quorate-demo/data/replica-{id}")));
    assert!(locks.into_iter().all(|path| path.is_dir()), "each has its data");
    let again = text(&quorate(&folder, &["demo", "--once"]));
    assert!(again.contains("made before, and used again"), "{again}");
}

#[test]
fn the_demonstration_shows_that_a_liar_was_outvoted() {
    let folder = folder();
    let output = quorate(&folder, &["demo", "--once", "--byzantine", "2=client-liar"]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("Replica 2 was outvoted."), "{told}");
    assert!(told.contains("colour is \"green\""), "{told}");
}

/// The replicas of another would be taken for its own.
#[test]
fn a_demonstration_of_a_cluster_that_runs_is_refused() {
    let folder = folder();
    let _processes = processes(&folder, &[]);
    let output = quorate(&folder, &["demo", "--once", "--dir", "cluster"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert!(told.contains("run already? End it, or choose another --dir"), "{told}");
}

#[test]
fn a_demonstration_of_more_faults_than_are_borne_is_refused() {
    let folder = folder();
    let faults = ["demo", "--once", "--kill", "1", "--byzantine", "2=silent"];
    assert_eq!(quorate(&folder, &faults).status.code(), Some(2));
    assert_eq!(quorate(&folder, &["demo", "--kill", "9"]).status.code(), Some(2));
    assert_eq!(quorate(&folder, &["demo", "--byzantine", "2=nobody"]).status.code(), Some(2));
}

#[test]
fn status_counts_what_can_be_lost_and_evidence_convicts() {
    let folder = folder();
    let mut processes = processes(&folder, &[(1, "double-voter")]);
    for number in 0..10 {
        let key = format!("key {number}");
        assert_eq!(asked(&folder, &["put", &key, "value"]).status.code(), Some(0));
    }
    let listed = until("evidence is listed", || {
        let listed = asked(&folder, &["evidence", "list", "-o", "json"]);
        (listed.status.code() == Some(4)).then_some(listed)
    });
    let listed: Value = serde_json::from_str(&text(&listed)).expect("one object");
    assert_eq!(listed["records"][0]["replica"], 1);
    let id = listed["records"][0]["id"].as_str().expect("an id");
    let shown = asked(&folder, &["evidence", "show", id, "--save", "lie"]);
    assert_eq!(shown.status.code(), Some(0));
    assert_eq!(text(&shown).matches("signed by replica 1, in its life 0: ").count(), 2);
    let verify = ["evidence", "verify", "lie", "--cluster", "cluster/config/cluster.toml"];
    assert_eq!(quorate(&folder, &verify).status.code(), Some(0));

    let status = |expected| {
        let output = asked(&folder, &["status", "-o", "json"]);
        assert_eq!(output.status.code(), Some(expected), "{}", text(&output));
        serde_json::from_str::<Value>(&text(&output)).expect("one object")
    };
    let before = until("a checkpoint is proved", || {
        let before = status(0);
        let proved = before["rows"][0]["proved"]["stable"].as_u64();
        (proved >= Some(8)).then_some(before)
    });
    assert_eq!((&before["verdict"], &before["can_lose"]), (&"reduced".into(), &0.into()));
    assert_eq!(before["rows"][1]["trouble"], "caught lying");
    processes.kill(3);
    let after = status(3);
    assert_eq!((&after["serves"], &after["rows"][3]["reached"]), (&false.into(), &false.into()));
    assert!(after["rows"][0]["claims"]["age_ms"].is_u64(), "{after}");
    let missing = "2 replicas take part, and 3 are needed; missing: replica 1 (caught lying), \
                   replica 3 (not reached)";
    assert_eq!(after["waits"][0], missing);
    assert!(after["advice"].as_array().is_some_and(|advice| advice.len() == 2), "{after}");
}

#[test]
fn receipts_and_proofs_are_checked_by_the_clusters_file_alone() {
    let folder = folder();
    let processes = processes(&folder, &[]);
    let ran = |arguments: &[&str]| asked(&folder, arguments).status.code();
    for number in 0..9 {
        assert_eq!(ran(&["put", &format!("key {number}"), "value"]), Some(0));
    }
    assert_eq!(ran(&["put", "invoice", "paid", "--receipt", "put"]), Some(0));
    assert_eq!(ran(&["put", "invoice", "paid", "--receipt", "put"]), Some(7));
    let unkept = asked(&folder, &["put", "invoice", "late", "--receipt", "nowhere/put"]);
    let told = String::from_utf8_lossy(&unkept.stderr);
    assert_eq!(unkept.status.code(), Some(7), "{told}");
    assert!(told.contains("nothing was sent"), "{told}");
    assert_eq!(ran(&["get", "invoice", "--receipt", "get"]), Some(0));
    assert_eq!(ran(&["get", "invoice", "--read", "quorum", "--receipt", "none"]), Some(2));
    assert_eq!(ran(&["cas", "invoice", "--absent", "x", "--receipt", "cas"]), Some(1));
    until("a checkpoint is stable", || {
        let code = ran(&["get", "key 0", "--read", "proved", "--receipt", "proof"]);
        (code == Some(0)).then_some(())
    });
    let proved = asked(&folder, &["get", "key 0", "--read", "proved"]);
    let age = String::from_utf8_lossy(&proved.stderr);
    assert!(age.contains("proved as of checkpoint") && age.contains(" ago"), "{age}");
    assert_eq!(text(&proved), "value");
    drop(processes);
    let verify = |file: &str| {
        let cluster = "cluster/config/cluster.toml";
        quorate(&folder, &["receipt", "verify", file, "--cluster", cluster, "-o", "json"])
    };
    for (file, result) in [("put", "written"), ("get", "the value \"paid\""), ("proof", "value")] {
        let output = verify(file);
        assert_eq!(output.status.code(), Some(0), "{file}");
        let told: Value = serde_json::from_str(&text(&output)).expect("one object");
        assert!(told["result"].as_str().is_some_and(|told| told.contains(result)), "{told}");
    }
    for file in ["put", "proof"] {
        let path = folder.path().join(file);
        let mut bytes = std::fs::read(&path).expect("it was kept");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).expect("a disk");
        assert_eq!(verify(file).status.code(), Some(4), "{file}");
    }
    assert_eq!(verify("cluster/config/client-0.toml").status.code(), Some(4));
    assert_eq!(verify("nothing").status.code(), Some(7));
}

/// How a node ends whose standard input is closed at once, and whose log goes there.
fn node_until_stdin_closes(log: Stdio) -> Option<i32> {
    let folder = folder();
    let options = InitOptions {
        directory: folder.path().join("cluster"),
        ports: Ports::Given(ports::free(4)),
        ..InitOptions::default()
    };
    let layout = config::init(&options).expect("a new folder");
    let mut command = Command::new(PROGRAM);
    command.args(["node", "--until-stdin-closes", "--config"]).arg(&layout.replicas[0]);
    command.stdin(Stdio::piped()).stderr(log);
    let mut child = command.spawn().expect("the binary starts");
    drop(child.stdin.take());
    child.wait().expect("it ends").code()
}

/// A child ends when its parent is gone, however that went.
#[test]
fn a_node_that_is_told_so_ends_with_its_standard_input() {
    assert_eq!(node_until_stdin_closes(Stdio::null()), Some(0));
}

/// A pipe that nobody reads: what is written to it fails.
fn unread() -> PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer
}

/// Whoever read its log has gone, or the disk that the log goes to is full.
#[test]
fn a_node_whose_log_cannot_be_written_goes_on() {
    assert_eq!(node_until_stdin_closes(unread().into()), Some(0));
}

#[test]
fn a_command_whose_complaint_nobody_reads_ends_with_its_own_code() {
    let folder = folder();
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder.path()).args(["get", "key", "--config", "nothing"]).stderr(unread());
    assert_eq!(command.status().expect("the binary starts").code(), Some(7));
}

#[test]
fn a_reader_that_has_gone_has_had_enough() {
    let folder = folder();
    let _processes = processes(&folder, &[]);
    assert_eq!(asked(&folder, &["put", "key", "value"]).status.code(), Some(0));
    let commands = [
        &["get", "key"][..],
        &["list", "-o", "json"],
        &["put", "key", "other"],
        &["status", "--watch"],
        &["status", "--watch", "-o", "json"],
    ];
    let client = ["--config", "cluster/config/client-0.toml"];
    let commands = commands.into_iter().map(|command| [command, &client].concat());
    for command in commands.chain([vec!["completions", "bash"]]) {
        let mut program = Command::new(PROGRAM);
        program.current_dir(folder.path()).args(&command).stdout(unread());
        let output = program.stderr(Stdio::piped()).output().expect("the binary starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*told), (Some(0), ""), "{command:?}");
    }
}

/// Whoever took it for a failure would do it again.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_cannot_be_told_of_is_said_to_be_done() {
    let folder = folder();
    let _processes = processes(&folder, &[]);
    for command in
        [&["put", "key", "1"][..], &["cas", "key", "2", "--expect", "1"], &["del", "key"]]
    {
        let full = File::options().write(true).open("/dev/full").expect("it is there");
        let mut program = Command::new(PROGRAM);
        program.current_dir(folder.path()).args(command);
        program.args(["--config", "cluster/config/client-0.toml"]).stdout(full);
        let output = program.stderr(Stdio::piped()).output().expect("the binary starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{command:?}: {told}");
        assert!(told.contains("it is done, but standard output"), "{command:?}: {told}");
    }
}

/// The one object on standard output, and the exit code.
fn object(output: &Output) -> (Value, Option<i32>) {
    let told = text(output);
    let object = serde_json::from_str(&told);
    (object.unwrap_or_else(|error| panic!("{error}: {told}")), output.status.code())
}

#[test]
fn programs_get_one_object_whatever_comes_of_a_command() {
    let folder = folder();
    let mut processes = processes(&folder, &[]);
    let json = |arguments: &[&str]| {
        let output = asked(&folder, &[arguments, &["--timeout", "2s", "-o", "json"]].concat());
        let (object, code) = object(&output);
        let error = object["error"].as_str().map(str::to_owned);
        let in_words = String::from_utf8_lossy(&output.stderr).into_owned();
        let message = object["message"].as_str().unwrap_or_default();
        assert!(in_words.contains(message), "{object} {in_words}");
        (error, code)
    };
    let named = |name: &str, code| (Some(name.to_owned()), Some(code));
    assert_eq!(json(&["put", "key", "1"]), (None, Some(0)));
    let answers_that_fail = [&["get", "nothing"][..], &["cas", "key", "1", "--absent"]];
    for answer in answers_that_fail {
        assert_eq!(json(answer), (None, Some(1)), "{answer:?}");
    }
    assert_eq!(json(&["put", "", "1"]), named("refused", 1));
    assert_eq!(json(&["get", "key", "--read", "quorum", "--receipt", "r"]), named("usage", 2));
    processes.kill(2);
    processes.kill(3);
    assert_eq!(json(&["put", "key", "2"]), named("unknown_outcome", 3));
    assert_eq!(json(&["get", "key"]), named("no_quorum", 3));
    assert_eq!(json(&["status"]), (None, Some(3)));
    processes.kill(0);
    processes.kill(1);
    assert_eq!(json(&["put", "key", "3"]), named("not_sent", 3));
    assert_eq!(json(&["evidence", "list"]), named("no_quorum", 3));
}

#[test]
fn programs_get_one_object_of_what_is_wrong_with_files() {
    let folder = folder();
    let json = |arguments: &[&str]| {
        let (object, code) = object(&quorate(&folder, &[arguments, &["-o", "json"]].concat()));
        (object["error"].as_str().map(str::to_owned), code)
    };
    let local = (Some("local".to_owned()), Some(7));
    assert_eq!(json(&["get", "key", "--config", "nothing"]), local);
    assert_eq!(json(&["receipt", "verify", "nothing", "--cluster", "nothing"]), local);
    assert_eq!(json(&["evidence", "verify", "nothing", "--cluster", "nothing"]), local);
    assert_eq!(json(&["bench", "--cluster", "nothing"]), local);
    assert_eq!(json(&["config", "check", "nothing"]), (None, Some(7)));
    let usage = (Some("usage".to_owned()), Some(2));
    assert_eq!(json(&["simulate", "--behaviour", "nothing"]), usage);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_in_one_process_serves_though_a_replica_stops_and_another_conspires() {
    let builder = Cluster::builder().replicas(7).byzantine(5, "two-faced").parameters(brisk());
    let mut cluster = builder.start().await.expect("it starts");
    let client = cluster.key_value().await.expect("good files");
    client.put(b"greeting", b"hello").await.expect("written");
    cluster.stop(0).await.expect("in order");
    client.put(b"greeting", b"goodbye").await.expect("written without its primary");
    cluster.start(0).await.expect("again");
    cluster.wait_ready(0).await.expect("it comes back");
    let liar = cluster.status(5).expect("it runs");
    assert_eq!(liar.malicious.as_deref(), Some("two-faced"));
    assert!(cluster.status(1).is_some_and(|status| status.malicious.is_none()));
    let place = cluster.layout().directory.clone();
    cluster.shutdown().await.expect("in order");
    assert!(!Path::new(&place).exists(), "its files are gone");
}

/// Whoever holds the file of another cluster is told so, and by the exit code.
#[test]
fn the_client_of_another_cluster_is_not_authorised() {
    let folder = folder();
    let mut processes = processes(&folder, &[]);
    let ports = ports::free(4);
    let options = InitOptions {
        directory: folder.path().join("other"),
        ports: Ports::Given(ports),
        ..InitOptions::default()
    };
    let other = config::init(&options).expect("a new folder");
    let text = std::fs::read_to_string(&other.cluster).expect("it is there");
    let theirs = folder.path().join("cluster/config/cluster.toml");
    let theirs = std::fs::read_to_string(theirs).expect("it is there");
    let addresses = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("address")).map(str::to_owned).collect()
    };
    let moved = addresses(&text).into_iter().zip(addresses(&theirs));
    let text = moved.fold(text, |text, (from, to)| text.replace(&from, &to));
    std::fs::write(&other.cluster, text).expect("a disk");
    let client = ["--config", "other/config/client-0.toml"];
    let commands = [&["status"][..], &["evidence", "list"], &["get", "key"], &["put", "key", "1"]];
    let are_refused = || {
        for command in commands {
            let output = quorate(&folder, &[command, &client].concat());
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(6), "{command:?}: {told}");
        }
    };
    are_refused();
    // That one is down as well changes nothing.
    processes.kill(3);
    are_refused();
    let replica = ["get", "key", "--config", "other/config/replica-0.toml"];
    let output = quorate(&folder, &replica);
    assert_eq!(output.status.code(), Some(7));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("is the file of a replica"), "{told}");
}
