//! Two live copies of one replica, each with a disk of its own.

use crate::support::{Cluster, Programs, brisk, copy, edited, programs, until};
use quorate::client::KeyValueClient;
use quorate::cluster::{ProcessError, admin, ports};
use quorate::node::Status;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The replica that runs twice.
const TWIN: u16 = 3;

/// The others.
const HONEST: [u16; 3] = [0, 1, 2];

/// What shows that others hold what this replica lacks.
const NOT_VERIFIED: Option<i32> = Some(4);

/// How long what carries the bytes stays with one of the two.
const TURN: Duration = Duration::from_millis(700);

/// The second of the two.
struct Second {
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
}

impl Second {
    /// Starts it, with the first one's files but for this disk, and listening there.
    fn start(cluster: &Cluster, first: SocketAddr, data: &Path, listen: u16) -> Second {
        let config = &cluster.layout.replicas[usize::from(TWIN)];
        let second = config.with_file_name("second.toml");
        let admin = SocketAddr::from(([127, 0, 0, 1], ports::free(1)[0].1));
        let text = fs::read_to_string(config).expect("it is there");
        let lines = text.lines().map(|line| match line.split(" = ").next() {
            Some("data") => format!("data = \"{}\"\n", data.display()),
            Some("listen") => String::new(),
            Some("[log]") => format!("listen = \"127.0.0.1:{listen}\"\n\n[log]\n"),
            _ => format!("{line}\n"),
        });
        let text: String = lines.collect();
        let own = format!("\"{first}\"");
        assert_eq!(text.matches(&own).count(), 1, "{text}");
        fs::write(&second, text.replace(&own, &format!("\"{admin}\""))).expect("a disk");
        let log = second.with_extension("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.args(["node", "--until-stdin-closes", "--config"]).arg(&second);
        command.stdin(Stdio::piped()).stderr(File::create(&log).expect("a disk"));
        Second { child: command.spawn().expect("it starts"), admin, log }
    }

    /// Whether it has ended, which it does only where it finds that it must not vote.
    fn has_ended(&mut self) -> bool {
        let ended = self.child.try_wait().expect("our own child");
        ended.inspect(|status| assert_eq!(status.code(), NOT_VERIFIED)).is_some()
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// Carries what comes to one address to these, for a while to each; to one alone for ever.
async fn share(listen: SocketAddr, targets: Vec<SocketAddr>) -> JoinSet<()> {
    let listener = TcpListener::bind(listen).await.expect("a free port");
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut carrying = JoinSet::new();
        for target in targets.iter().copied().cycle() {
            let turn = tokio::time::sleep(TURN);
            tokio::pin!(turn);
            loop {
                let near = tokio::select! {
                    () = &mut turn, if targets.len() > 1 => break,
                    near = listener.accept() => near,
                };
                let Ok((mut near, _)) = near else { continue };
                carrying.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        // However it ends, it ends for both.
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
            carrying.abort_all();
        }
    });
    task
}

fn told(admin: SocketAddr) -> Option<Status> {
    tokio::task::block_in_place(|| admin::status(admin)).ok()
}

/// Writes meanwhile, and all that is written is there.
async fn serves(client: &KeyValueClient, what: &str) -> u64 {
    let mut last = 0;
    for number in 0..20u8 {
        let key = format!("{what} {number}");
        last = client.put(key.as_bytes(), &[number]).await.expect("written").seq.0;
    }
    for number in 0..20u8 {
        let key = format!("{what} {number}");
        let found = client.get(key.as_bytes()).await.expect("read").found;
        assert_eq!(found.map(|found| found.value), Some([number].as_slice().into()));
    }
    last
}

/// Those that run once vote, have all, and accuse nobody who does.
async fn is_sound(processes: &Programs, executed: u64) {
    is_sound_but_for(processes, executed, None).await;
}

/// The same while this one is down.
async fn is_sound_but_for(processes: &Programs, executed: u64, down: Option<u16>) {
    until("those that run once are well", async || {
        HONEST.into_iter().filter(|id| Some(*id) != down).all(|id| {
            told(processes.admin(id)).is_some_and(|one| {
                let accused: Vec<u16> = one.evidence.iter().map(|lie| lie.replica).collect();
                assert!(accused.iter().all(|id| *id == TWIN), "{accused:?}");
                assert!(!one.diverged, "{one:?}");
                one.is_voting() && one.executed >= executed
            })
        })
    })
    .await;
}

/// S11, X5: whichever of the two others reach, and though each is primary for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_runs_twice_harms_nobody_else() {
    let cluster = Cluster::files(brisk());
    let config = cluster.config(usize::from(TWIN));
    let listed = config.cluster.replicas[usize::from(TWIN)].address.parse().expect("an address");
    let [(first, _), (second, _)] = ports::free(2)[..] else { panic!("no free ports") };
    let own = format!("listen = \"127.0.0.1:{first}\"\n\n[log]");
    edited(&cluster.layout.replicas[usize::from(TWIN)], "[log]", &own);
    for replica in &cluster.layout.replicas {
        edited(replica, "[settings]", "[settings]\npatience = \"400ms\"");
    }
    let targets = [first, second].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut sharing = share(listed, targets.to_vec()).await;
    let mut processes = programs(&cluster);
    (0..4).for_each(|id| processes.start(id).expect("it starts"));
    let client = cluster.client(0).await;
    let last = serves(&client, "before").await;
    is_sound(&processes, last).await;
    let first = processes.admin(TWIN);
    until("it has executed all", async || {
        told(first).is_some_and(|one| one.is_voting() && one.executed >= last)
    })
    .await;

    processes.terminate(TWIN);
    let copied = config.data.with_extension("copy");
    copy(&config.data, &copied);
    let mut twin = Second::start(&cluster, first, &copied, second);
    processes.start(TWIN).expect("it starts");
    // Both vote before there is anything new to vote on, or one has found the other out.
    let (mut first_ends, mut second_ends) = (false, false);
    until("both vote, or end", async || {
        first_ends = first_ends || processes.require_alive(TWIN).is_err();
        second_ends = second_ends || twin.has_ended();
        let votes = |admin| told(admin).is_some_and(|one| one.is_voting());
        (first_ends || votes(first)) && (second_ends || votes(twin.admin))
    })
    .await;
    println!("ended by itself: first {first_ends}, second {second_ends}");
    is_sound(&processes, serves(&client, "twice").await).await;
    for round in 0..6 {
        // Those that run once leave the primary's place one after the other, and so each of
        // the two has it for a while.
        let primary = told(processes.admin(round % 3)).map(|one| one.primary);
        if let Some(id) = primary.filter(|id| HONEST.contains(id)) {
            processes.kill(id);
            processes.start(id).expect("it starts");
        }
        is_sound(&processes, serves(&client, &format!("round {round}")).await).await;
    }
    // Chance decides whether they contradict each other before everybody's eyes.
    println!("{:?}", told(processes.admin(0)).map(|one| (one.view, one.evidence)));

    // Its operator finds the second, and ends it. What it signed is missing on the disk of
    // the first.
    drop(twin);
    sharing.shutdown().await;
    let sharing = share(listed, vec![targets[0]]).await;
    processes.terminate(TWIN);
    is_sound(&processes, serves(&client, "without it").await).await;
    processes.start(TWIN).expect("it starts");
    let mut ended = None;
    until("it votes, or ends", async || {
        ended = processes.require_alive(TWIN).err();
        ended.is_some() || told(first).is_some_and(|one| one.is_voting())
    })
    .await;
    if let Some(ended) = ended {
        let ProcessError::Ended { status, tail, .. } = ended else { panic!("{ended}") };
        println!("{tail}");
        assert_eq!(status.code(), NOT_VERIFIED, "{tail}");
        for word in ["gone back in time", "runs twice", "quorate node --recover"] {
            assert!(tail.contains(word), "{word}: {tail}");
        }
        processes.start_with(TWIN, &["--recover"]).expect("it starts");
    }
    until("it votes", async || {
        processes.require_alive(TWIN).expect("it runs");
        let executed = client.put(b"more", b"value").await.expect("written").seq.0;
        told(first).is_some_and(|one| one.is_voting() && one.executed + 8 >= executed)
    })
    .await;
    // A quorum needs it.
    processes.kill(0);
    is_sound_but_for(&processes, serves(&client, "with it").await, Some(0)).await;
    drop(sharing);
}
