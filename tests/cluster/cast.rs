//! Everybody of the malicious cast, once, as a process beside three honest ones: as a
//! backup, in a change of views, and as the primary of the next.

use crate::support::{Cluster, brisk, edited, programs, states, until};
use quorate::byzantine::cast;
use quorate::client::KeyValueClient;
use quorate::cluster::{ProcessError, Processes, admin};
use quorate::node::Status;

/// Who lies: the primary of view 1.
const LIAR: u16 = 1;

const HONEST: [u16; 3] = [0, 2, 3];

fn status(processes: &Processes, id: u16) -> Option<Status> {
    tokio::task::block_in_place(|| admin::status(processes.admin(id))).ok()
}

/// Writes under so many keys at once, and reads them all.
async fn write_and_read(client: &KeyValueClient, act: &str) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..10 {
        let (client, key) = (client.clone(), format!("{act} {number}"));
        tasks.spawn(async move {
            client.put(key.as_bytes(), key.as_bytes()).await.expect("written");
            let found = client.get(key.as_bytes()).await.expect("read").found;
            assert_eq!(found.map(|found| found.value), Some(key.as_str().into()));
        });
    }
    tasks.join_all().await;
}

async fn play(behaviour: &str) {
    let cluster = Cluster::files(brisk());
    for replica in &cluster.layout.replicas {
        edited(replica, "[settings]", "[settings]\npatience = \"300ms\"");
    }
    let mut processes = programs(&cluster);
    processes.corrupt(LIAR, behaviour);
    (0..4).for_each(|id| processes.start(id).expect("it starts"));
    let client = cluster.client(0).await;
    write_and_read(&client, "as a backup").await;

    // With the primary away and a liar among them the others have nobody to spare: one that
    // is starting still, or behind, would need what only the primary might give it.
    until("the honest vote, and hold the same", async || {
        let all: Option<Vec<Status>> = HONEST.iter().map(|id| status(&processes, *id)).collect();
        all.is_some_and(|all| {
            all.iter()
                .all(|one| one.is_voting() && !one.transferring && one.executed == all[0].executed)
        })
    })
    .await;

    // The primary stands still, until the others ask for the liar in its place.
    processes.pause(0);
    let asking = tokio::spawn({
        let client = client.clone();
        async move { write_and_read(&client, "in a change of views").await }
    });
    until("another view", async || {
        [2, 3].into_iter().all(|id| status(&processes, id).is_some_and(|one| one.view > 0))
    })
    .await;
    processes.resume(0);
    asking.await.expect("it is served");
    write_and_read(&client, "as a primary").await;
    // What is asked at once may share an entry. These are one each, as many as make a
    // checkpoint.
    let mut last = 0;
    for number in 0..brisk().checkpoint_interval {
        let key = format!("until a checkpoint {number}");
        last = client.put(key.as_bytes(), b"value").await.expect("written").seq.0;
    }

    until("the honest agree", async || {
        HONEST.into_iter().all(|id| {
            status(&processes, id).is_some_and(|one| {
                let accused = one.evidence.iter().find(|lie| lie.replica != LIAR);
                assert!(accused.is_none(), "{behaviour}: {accused:?}");
                one.is_voting() && !one.diverged && one.executed >= last && one.stable > 0
            })
        })
    })
    .await;
    for id in HONEST {
        processes.require_alive(id).expect("it runs");
    }
    // The honest replica behind a lie may find that others hold what it never signed.
    if let Err(ProcessError::Ended { status, tail, .. }) = processes.require_alive(LIAR) {
        assert_eq!(status.code(), Some(4), "{behaviour}: {tail}");
    }
    processes.terminate_all();
    let all: Vec<_> = HONEST.iter().map(|id| states(&cluster, usize::from(*id))).collect();
    for (seq, digest) in &all[0] {
        let is_alike = all.iter().all(|one| one.get(seq).is_none_or(|other| other == digest));
        assert!(is_alike, "{behaviour}: two states at {seq}");
    }
    for id in HONEST {
        let log = std::fs::read_to_string(processes.log(id)).expect("it wrote one");
        assert!(!log.contains("panicked"), "{behaviour}: replica {id}:\n{log}");
    }
}

/// Every third of the cast, beginning with this one.
async fn third(first: usize) {
    for role in cast().iter().skip(first).step_by(3) {
        let began = std::time::Instant::now();
        println!("{}", role.name);
        play(role.name).await;
        println!("{}: {:?}", role.name, began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_of_the_cast_deceives_nobody() {
    third(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_third_of_the_cast_deceives_nobody() {
    third(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_third_of_the_cast_deceives_nobody() {
    third(2).await;
}
