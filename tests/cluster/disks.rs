//! What an operator sees of a disk that was torn, has rotted, is another's, has gone back
//! in time, or is full: by the end of the process and its words.

use crate::support::{Cluster, PATIENCE, Programs, brisk, copy, edited, programs, until};
use quorate::client::KeyValueClient;
use quorate::cluster::{ProcessError, Processes, admin};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The replica whose disk it is.
const ODD: u16 = 3;

/// What asks an operator for a decision.
const LOCAL: Option<i32> = Some(7);

/// What shows that others hold what this replica lost.
const NOT_VERIFIED: Option<i32> = Some(4);

struct Story {
    cluster: Cluster,
    processes: Programs,
    client: KeyValueClient,
}

impl Story {
    /// Four replicas, and what is on their disks is worth something.
    async fn begin() -> Story {
        let cluster = Cluster::files(brisk());
        for replica in &cluster.layout.replicas {
            edited(replica, "[storage]", "[storage]\nsegment_bytes = 65536");
        }
        Story::begin_with(cluster, programs).await
    }

    async fn begin_with(cluster: Cluster, programs: impl Fn(&Cluster) -> Programs) -> Story {
        let processes = programs(&cluster);
        let client = cluster.client(0).await;
        let mut story = Story { cluster, processes, client };
        for id in 0..4 {
            story.processes.start(id).expect("it starts");
        }
        story.write(30).await;
        story.serves().await;
        story
    }

    async fn write(&self, count: u32) {
        for number in 0..count {
            let key = format!("key {number}");
            self.client.put(key.as_bytes(), b"value").await.expect("written");
        }
    }

    fn data(&self) -> PathBuf {
        self.cluster.config(usize::from(ODD)).data
    }

    fn segments(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.data().join("log")).expect("a log");
        let paths = names.map(|name| name.expect("a name").path());
        let mut segments: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
        segments.sort();
        segments
    }

    fn said(&self) -> String {
        fs::read_to_string(self.processes.log(ODD)).expect("it wrote one")
    }

    /// Starts the odd one, which must end by itself: how, and what it said.
    async fn refused(&mut self) -> (Option<i32>, String) {
        self.processes.start(ODD).expect("it starts");
        let mut ended = None;
        let processes = &mut self.processes;
        until("it ends", async || {
            ended = processes.require_alive(ODD).err();
            ended.is_some()
        })
        .await;
        match ended {
            Some(ProcessError::Ended { status, tail, .. }) => (status.code(), tail),
            other => panic!("{other:?}"),
        }
    }

    /// The odd one votes, and has all that the others have.
    async fn serves(&mut self) {
        let last = self.client.put(b"last", b"value").await.expect("written").seq.0;
        let processes = &mut self.processes;
        until("it serves", async || {
            processes.require_alive(ODD).expect("it runs");
            let status = tokio::task::block_in_place(|| admin::status(processes.admin(ODD)));
            status.is_ok_and(|status| status.is_voting() && status.executed >= last)
        })
        .await;
    }

    /// What the operator is told to do helps.
    async fn recovers(&mut self) {
        self.processes.start_with(ODD, &["--recover"]).expect("it starts");
        self.serves().await;
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[at] ^= 0x55;
    fs::write(path, bytes).expect("a disk");
}

/// S1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_end_of_the_log_is_cut_and_told() {
    let mut story = Story::begin().await;
    story.processes.terminate(ODD);
    let last = story.segments().pop().expect("there is one");
    let mut bytes = fs::read(&last).expect("it is there");
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let end = used.next_multiple_of(16);
    bytes[end..end + 5].copy_from_slice(&[1, 2, 3, 4, 5]);
    fs::write(&last, bytes).expect("a disk");
    story.processes.start(ODD).expect("it starts");
    story.serves().await;
    assert!(story.said().contains("cut_bytes=5"), "{}", story.said());
}

/// S2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotten_or_missing_log_is_refused_and_the_replica_recovers() {
    let mut story = Story::begin().await;
    story.processes.terminate(ODD);
    let segment = story.segments().remove(0);
    flip(&segment, 540);
    let (code, said) = story.refused().await;
    assert_eq!(code, LOCAL, "{said}");
    let name = segment.display().to_string();
    for word in [name.as_str(), "is damaged at byte 512", "quorate node --recover"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    story.recovers().await;
    let aside = fs::read_dir(story.data()).expect("it is there").flatten();
    let is_aside = |name: &str| name.starts_with("lost-");
    assert_eq!(aside.filter(|entry| is_aside(&entry.file_name().to_string_lossy())).count(), 1);

    story.write(8).await;
    story.serves().await;
    story.processes.terminate(ODD);
    let segment = story.segments().pop().expect("there is one");
    fs::remove_file(&segment).expect("it was there");
    let (code, said) = story.refused().await;
    assert_eq!(code, LOCAL, "{said}");
    let name = segment.display().to_string();
    for word in [name.as_str(), "is missing", "quorate node --recover"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    story.recovers().await;
}

/// S3: wherever the store of states has rotted, the replica serves, or says what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotten_state_is_replaced_or_refused_with_what_to_do() {
    let mut story = Story::begin().await;
    story.processes.terminate(ODD);
    let (data, whole) = (story.data(), story.data().with_extension("whole"));
    copy(&data, &whole);
    let length = fs::read(data.join("states.redb")).expect("it is there").len();
    for part in 0..6 {
        fs::remove_dir_all(&data).expect("it was there");
        copy(&whole, &data);
        let mut bytes = fs::read(data.join("states.redb")).expect("it is there");
        let from = length / 6 * part;
        bytes[from..from + length / 6].fill(0x5a);
        fs::write(data.join("states.redb"), bytes).expect("a disk");
        story.processes.start(ODD).expect("it starts");
        let processes = &mut story.processes;
        until("it votes or ends", async || {
            let status = tokio::task::block_in_place(|| admin::status(processes.admin(ODD)));
            match processes.require_alive(ODD) {
                Ok(()) => status.is_ok_and(|status| status.is_voting()),
                Err(ProcessError::Ended { status, tail, .. }) => {
                    assert_eq!(status.code(), LOCAL, "part {part}: {tail}");
                    assert!(tail.contains("quorate node --recover"), "part {part}: {tail}");
                    true
                }
                Err(other) => panic!("{other}"),
            }
        })
        .await;
        story.processes.kill(ODD);
    }
    story.recovers().await;
}

/// S10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_or_an_empty_disk_is_found_out() {
    let mut story = Story::begin().await;
    story.processes.terminate(ODD);
    let (data, backup) = (story.data(), story.data().with_extension("backup"));
    copy(&data, &backup);
    story.processes.start(ODD).expect("it starts");
    story.serves().await;
    story.write(3).await;
    story.serves().await;
    story.processes.kill(ODD);
    fs::remove_dir_all(&data).expect("it was there");
    copy(&backup, &data);
    let (code, said) = story.refused().await;
    assert_eq!(code, NOT_VERIFIED, "{said}");
    assert!(said.contains("gone back in time"), "{said}");
    assert!(said.contains("quorate node --recover"), "{said}");

    fs::remove_dir_all(&data).expect("it was there");
    let (code, said) = story.refused().await;
    assert_eq!(code, NOT_VERIFIED, "{said}");
    assert!(said.contains("quorate node --recover"), "{said}");
    story.recovers().await;
}

/// S12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_disk_is_refused_and_named() {
    let mut story = Story::begin().await;
    story.processes.terminate(ODD);
    let (data, own) = (story.data(), story.data().with_extension("own"));
    fs::rename(&data, &own).expect("it was there");
    story.processes.terminate(2);
    copy(&story.cluster.config(2).data, &data);
    let (code, said) = story.refused().await;
    assert_eq!(code, LOCAL, "{said}");
    assert!(said.contains("belongs to replica 2"), "{said}");
    fs::remove_dir_all(&data).expect("it was there");
    story.processes.start(2).expect("it starts");

    // The same replica of another cluster, which ran once.
    let mut other = Cluster::files(brisk());
    other.up(usize::from(ODD)).await;
    other.down(usize::from(ODD)).await;
    copy(&other.config(usize::from(ODD)).data, &data);
    let (code, said) = story.refused().await;
    assert_eq!(code, LOCAL, "{said}");
    let named = format!("replica {ODD} of the cluster {}", &other.layout.id.0.to_string()[..6]);
    assert!(said.contains(&named), "{named}: {said}");
    fs::remove_dir_all(&data).expect("it was there");
    fs::rename(&own, &data).expect("it was there");
    story.processes.start(ODD).expect("it starts");
    story.serves().await;
}

/// S11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_one_disk_is_refused_and_named() {
    let mut story = Story::begin().await;
    let config = &story.cluster.layout.replicas[usize::from(ODD)];
    let (listen, admin) = quorate::cluster::ports::free(1)[0];
    let second = config.with_file_name("second.toml");
    let text = fs::read_to_string(config).expect("it is there");
    let own = format!("\"127.0.0.1:{}\"", story.processes.admin(ODD).port());
    let text = text.replace(&own, &format!("\"127.0.0.1:{admin}\""));
    let text = text.replace("[log]", &format!("listen = \"127.0.0.1:{listen}\"\n[log]"));
    fs::write(&second, text).expect("a disk");
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    let output = command.args(["node", "--config"]).arg(&second).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), LOCAL, "{said}");
    let holder = story.processes.process(ODD).expect("it runs");
    assert!(said.contains(&format!("is in use by process {holder}")), "{said}");
    story.serves().await;
}

/// The replicas of these files as processes, begun by a script of this name.
fn begun_by(cluster: &Cluster, name: &str, script: &str) -> Programs {
    let data = cluster.config(usize::from(ODD)).data;
    let script = script
        .replace("DATA", &data.display().to_string())
        .replace("PROGRAM", env!("CARGO_BIN_EXE_quorate"));
    let program = cluster.layout.directory.join(name);
    fs::write(&program, script).expect("a disk");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("our own");
    Programs(Processes::new(program, cluster.layout.clone()).expect("the files are good"))
}

/// Runs replica 3 with a data directory on a file system of its own, and the others
/// as they are.
const ON_A_SMALL_DISK: &str = r#"#!/bin/sh
case "$*" in
*replica-3.toml*)
    exec unshare -rm sh -c '
        mkdir -p "$0" && mount -t tmpfs -o size=24m none "$0" && exec "$@"
    ' DATA PROGRAM "$@" ;;
*) exec PROGRAM "$@" ;;
esac
"#;

/// S7, on a disk that is really full. Where no file system can be mounted, the storage's
/// own tests on a medium that is as full as they like must do.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_one_replica_until_there_is_room() {
    let mounts = ["-rm", "sh", "-c", "mount -t tmpfs none /mnt"];
    if !Command::new("unshare").args(mounts).output().is_ok_and(|ran| ran.status.success()) {
        println!("nothing can be mounted here");
        return;
    }
    let cluster = Cluster::files(brisk());
    for replica in &cluster.layout.replicas {
        edited(replica, "[storage]", "[storage]\nsegment_bytes = 65536");
    }
    let mut story =
        Story::begin_with(cluster, |cluster| begun_by(cluster, "on-a-small-disk", ON_A_SMALL_DISK))
            .await;

    let process = story.processes.process(ODD).expect("it runs");
    let root = PathBuf::from(format!("/proc/{process}/root"));
    let data = root.join(story.data().strip_prefix("/").expect("it is absolute"));
    assert!(data.join("log").exists(), "{}", data.display());
    let filler = data.join("filler");
    let mut filled = fs::File::create(&filler).expect("room for a name");
    let mut filling = Ok(());
    while filling.is_ok() {
        filling = std::io::Write::write_all(&mut filled, &[1; 4096]);
    }
    drop(filled);

    // The others go on, and this one says why it does not.
    let processes = &story.processes;
    let mut number = 0u32;
    let client = &story.client;
    until("it is full", async || {
        number += 1;
        let key = (number % 4).to_be_bytes();
        client.put(&key, &[7; 100_000]).await.expect("three are enough");
        let status = tokio::task::block_in_place(|| admin::status(processes.admin(ODD)));
        status.is_ok_and(|status| status.running == "disk full")
    })
    .await;
    for number in 0..5u32 {
        client.put(&number.to_be_bytes(), b"small").await.expect("three are enough");
    }
    let ready = admin::get(processes.admin(ODD), "/readyz?verbose").expect("it answers");
    assert_eq!(ready.0, 503);
    assert!(ready.1.contains("disk full"), "{}", ready.1);
    assert!(story.said().contains("no room to write"), "{}", story.said());

    fs::remove_file(&filler).expect("it was there");
    story.serves().await;
    assert!(story.said().contains("there is room on the disk again"), "{}", story.said());
    // Its states are written again too: a restart of the others needs its vote.
    story.write(30).await;
    story.processes.kill(0);
    story.serves().await;
}

/// Syncs of a file whose path ends as `fail` says go wrong, once: taking that file away is
/// what only one of them can do. Those of the same file that come after it are told.
const FAILING_SYNCS: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ends(const char *path, const char *end) {
    size_t length = strlen(path), wanted = strlen(end);
    return wanted > 0 && length >= wanted && strcmp(path + length - wanted, end) == 0;
}

static int fails(int file) {
    static char failed[4096];
    char link[64], path[4096] = "", end[64] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) < 0) return 0;
    if (failed[0] && strcmp(path, failed) == 0)
        close(open("FOLDER/again", O_CREAT | O_WRONLY, 0600));
    int trigger = open("FOLDER/fail", O_RDONLY);
    if (trigger < 0) return 0;
    ssize_t count = read(trigger, end, sizeof end - 1);
    close(trigger);
    if (count < 0 || !ends(path, end) || unlink("FOLDER/fail") != 0) return 0;
    strcpy(failed, path);
    errno = EIO;
    return 1;
}

int fsync(int file) { return fails(file) ? -1 : (int)syscall(SYS_fsync, file); }
int fdatasync(int file) { return fails(file) ? -1 : (int)syscall(SYS_fdatasync, file); }
"#;

/// Runs replica 3 with what is built of that, and the others as they are.
const WITH_FAILING_SYNCS: &str = r#"#!/bin/sh
case "$*" in
*replica-3.toml*) LD_PRELOAD=FOLDER/failing-syncs.so exec PROGRAM "$@" ;;
*) exec PROGRAM "$@" ;;
esac
"#;

/// S5, of the log and of the store of states. What links Rust compiles the C.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_once_ends_one_replica_until_it_is_started_again() {
    let cluster = Cluster::files(brisk());
    for replica in &cluster.layout.replicas {
        edited(replica, "[storage]", "[storage]\nsegment_bytes = 65536");
    }
    let folder = cluster.layout.directory.clone();
    let in_folder = |text: &str| text.replace("FOLDER", &folder.display().to_string());
    let source = folder.join("failing-syncs.c");
    fs::write(&source, in_folder(FAILING_SYNCS)).expect("a disk");
    let library = source.with_extension("so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    assert!(cc.status().is_ok_and(|status| status.success()), "it is good C");

    let script = in_folder(WITH_FAILING_SYNCS);
    let mut story =
        Story::begin_with(cluster, |cluster| begun_by(cluster, "with-failing-syncs", &script))
            .await;
    for what in [".log", "/states.redb"] {
        fs::write(folder.join("fail"), what).expect("a disk");
        // The others go on, and this one ends.
        let (client, processes) = (&story.client, &mut story.processes);
        let mut ended = None;
        until("it ends", async || {
            client.put(b"key", &[7; 10_000]).await.expect("three are enough");
            ended = processes.require_alive(ODD).err();
            ended.is_some()
        })
        .await;
        let Some(ProcessError::Ended { status, tail, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(status.code(), LOCAL, "{what}: {tail}");
        let data = story.data().display().to_string();
        for word in [data.as_str(), "the disk may be failing", "then start the node again"] {
            assert!(tail.contains(word), "{what}: {word}: {tail}");
        }
        assert!(!folder.join("fail").exists(), "{what}: it failed");
        assert!(!folder.join("again").exists(), "{what}: it was tried again");
        story.write(8).await;

        story.processes.start(ODD).expect("it starts");
        story.serves().await;
        // A quorum needs it.
        story.processes.kill(0);
        story.write(8).await;
        story.serves().await;
        story.processes.start(0).expect("it starts");
        for id in 0..4 {
            story.processes.wait_ready(id, PATIENCE).expect("it serves");
            let status = admin::status(story.processes.admin(id)).expect("it answers");
            assert!(status.evidence.is_empty(), "{what}: {:?}", status.evidence);
        }
    }
}
