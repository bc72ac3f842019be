//! The clients: in a closed loop, or asking at a rate.
//!
//! In a closed loop each place asks again as soon as it is answered; what is answered while
//! it is measured counts. At a rate, requests are due at fixed times and wait for nobody;
//! what is *due* while it is measured counts, from the time at which it was due and however
//! late its answer is.

use super::fill;
use super::tally::Tally;
use super::target::Target;
use super::work::{Request, Settings, Work};
use crate::cli::access::{failure, failure_to_connect};
use crate::cli::{Exit, Failure};
use crate::client::{Client, Error, KeyValueClient, ReadHow};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// So many clients connect at a time: replicas bear no more handshakes of one address.
const CONNECTING: usize = 32;

/// After an error, a place waits for so long: a cluster that is down is not asked as fast
/// as this machine can.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// A quorum that answers nothing for so long is not measured.
const REACHED: Duration = Duration::from_secs(10);

/// How requests follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// As answers come, so many at a time by each client.
    Closed { in_flight: u32 },
    /// So many each second, by all clients.
    Open { rate: u32 },
}

/// Clients that are connected.
pub(super) struct Load {
    work: Work,
    settings: Settings,
    clients: Vec<KeyValueClient>,
    is_filled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    WarmUp = 0,
    Measured = 1,
    Over = 2,
}

/// What the clients of a run share.
struct Course {
    stage: AtomicU8,
    done: AtomicU64,
    tally: Mutex<Tally>,
}

impl Course {
    fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    fn is(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Relaxed) == stage as u8
    }

    fn count(&self, is_measured: bool, result: Result<(), Error>, since: Instant) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if is_measured {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(()) => tally.answered(since, Instant::now()),
                Err(error) => tally.failed(&error),
            }
        }
    }
}

/// An error if the cluster doesn't serve. Nothing is written for that.
async fn require_quorum(client: &KeyValueClient) -> Result<(), Failure> {
    let asked = client.get_as(b"bench", ReadHow::Quorum);
    match tokio::time::timeout(REACHED, asked).await {
        Ok(answer) => answer.map(|_| ()).map_err(failure),
        Err(_) => Err(Failure::new(
            Exit::NoQuorum,
            format!(
                "no quorum of the cluster answers within {} s: 'quorate status' says who is missing",
                REACHED.as_secs()
            ),
        )),
    }
}

impl Load {
    pub(super) fn new(settings: Settings) -> Load {
        let work = Work::new(settings);
        Load { work, settings, clients: Vec::new(), is_filled: false }
    }

    /// Connects as many clients, and has each ask once: what is measured are no handshakes.
    pub(super) async fn connect(&mut self, target: &Target, count: u32) -> Result<(), Failure> {
        let mut connecting = JoinSet::new();
        let turns = Arc::new(Semaphore::new(CONNECTING));
        let connected = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
        for id in connected..count {
            let access = target.access(id)?;
            let (turns, mut work) = (Arc::clone(&turns), self.work.drawn_by(u64::from(id)));
            connecting.spawn(async move {
                let _turn = turns.acquire_owned().await;
                let client = Client::connect(access).await.map_err(failure_to_connect)?;
                let client = KeyValueClient::new(client);
                if id == 0 {
                    require_quorum(&client).await?;
                }
                ask(&client, work.fill(0)).await.map_err(failure)?;
                Ok(client)
            });
        }
        while let Some(client) = connecting.join_next().await {
            self.clients.push(client.expect("connecting does not panic")?);
        }
        Ok(())
    }

    /// Writes all keys, once.
    pub(super) async fn fill(&mut self) -> Result<(), Failure> {
        if !self.is_filled {
            let Settings { keys, value_bytes, .. } = self.settings;
            fill::fill(&self.clients, &self.work, keys, value_bytes).await.map_err(failure)?;
            self.is_filled = true;
        }
        Ok(())
    }

    /// Starts the load of the first so many clients.
    pub(super) fn start(&self, clients: u32, pace: Pace) -> Running {
        let course = Arc::new(Course {
            stage: AtomicU8::new(Stage::WarmUp as u8),
            done: AtomicU64::new(0),
            tally: Mutex::new(Tally::new()),
        });
        let mut tasks = JoinSet::new();
        for (id, client) in (0..clients).zip(&self.clients) {
            match pace {
                Pace::Closed { in_flight } => {
                    for place in 0..in_flight {
                        let seed = u64::from(id) << 32 | u64::from(place);
                        let work = self.work.drawn_by(seed);
                        tasks.spawn(closed(client.clone(), work, Arc::clone(&course)));
                    }
                }
                Pace::Open { rate } => {
                    let work = self.work.drawn_by(u64::from(id));
                    let timetable = Timetable { rate, first: id, step: clients };
                    tasks.spawn(open(client.clone(), work, timetable, Arc::clone(&course)));
                }
            }
        }
        Running { course, tasks }
    }
}

/// A load that runs.
pub(super) struct Running {
    course: Arc<Course>,
    tasks: JoinSet<()>,
}

impl Running {
    /// How many requests came to an end.
    pub(super) fn done(&self) -> u64 {
        self.course.done.load(Ordering::Relaxed)
    }

    /// From now on, it counts.
    pub(super) fn measure(&self) -> Instant {
        self.course.enter(Stage::Measured);
        Instant::now()
    }

    /// From now on, nothing new is asked.
    pub(super) fn stop(&self) {
        self.course.enter(Stage::Over);
    }

    /// What came of it, when the last request came to an end.
    pub(super) async fn end(mut self) -> Tally {
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a client's task does not panic");
        }
        let tally = self.course.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.clone()
    }
}

/// Asks again and again. What was not answered when the measurement ends does not count.
async fn closed(client: KeyValueClient, mut work: Work, course: Arc<Course>) {
    while !course.is(Stage::Over) {
        let since = Instant::now();
        let result = ask(&client, work.draw()).await;
        let is_error = result.is_err();
        course.count(course.is(Stage::Measured), result, since);
        if is_error {
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }
}

/// When one of several clients asks, at a common rate.
#[derive(Clone, Copy)]
struct Timetable {
    rate: u32,
    first: u32,
    step: u32,
}

impl Timetable {
    /// How long after the beginning the request with this index is due.
    fn due(&self, index: u64) -> Duration {
        let place = u64::from(self.first) + index * u64::from(self.step);
        Duration::from_secs_f64(place as f64 / f64::from(self.rate))
    }
}

/// Asks when it is time, however many answers are open.
async fn open(client: KeyValueClient, mut work: Work, timetable: Timetable, course: Arc<Course>) {
    let began = tokio::time::Instant::now();
    let mut asking = JoinSet::new();
    for index in 0.. {
        let due = began + timetable.due(index);
        tokio::time::sleep_until(due).await;
        while asking.try_join_next().is_some() {}
        if course.is(Stage::Over) {
            break;
        }
        let is_measured = course.is(Stage::Measured);
        let (client, request, course) = (client.clone(), work.draw(), Arc::clone(&course));
        asking.spawn(async move {
            let result = ask(&client, request).await;
            course.count(is_measured, result, due.into_std());
        });
    }
    while asking.join_next().await.is_some() {}
}

async fn ask(client: &KeyValueClient, request: Request) -> Result<(), Error> {
    match request {
        Request::Put(key, value) => client.put(&key, &value).await.map(drop),
        Request::Get(key) => client.get(&key).await.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_share_a_rate_evenly() {
        let of = |first| Timetable { rate: 100, first, step: 4 };
        assert_eq!(of(0).due(0), Duration::ZERO);
        assert_eq!(of(1).due(0), Duration::from_millis(10));
        assert_eq!(of(3).due(2), Duration::from_millis(110));
    }
}
