//! The thread that a node lives on, and how all is put together there.

use super::checking::Checking;
use super::clock::Clock;
use super::connections::{self, Hall};
use super::inbox::Inbox;
use super::metrics::Metrics;
use super::owner::{Arrival, Owner};
use super::posts::Posts;
use super::status::{self, Status};
use super::watch::Watch;
use super::{Handle, NodeError, Options, Served, Setup, Shared, Shown, admin};
use crate::crypto::{ClusterId, Listed};
use crate::message::Verifier;
use crate::net::{Acceptor, Alarm, Endpoint};
use crate::replica::{Effects, Origin, Recalled, Recovered, Replica};
use crate::storage::{self, Storage};
use crate::types::{Instant, Nonce, ReplicaId};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::{oneshot, watch as watched};
use tokio::task::JoinSet;

/// With no more processors than this, whoever connects is served by the node's own thread:
/// another would only wait for this one's.
const FEW_PROCESSORS: usize = 2;

/// What a node has beside its own thread.
pub(super) struct Outside {
    /// Where that runs which must not wait for the replica.
    pub(super) runtime: runtime::Handle,
    /// Where operators ask.
    pub(super) admin: TcpListener,
}

/// A node that is put together, and not started.
struct Begun {
    handle: Handle,
    owner: Owner,
    first: Effects,
    over: oneshot::Sender<Result<(), NodeError>>,
}

/// What the node's own thread does, from its start to its end.
pub(super) fn live(
    setup: Setup,
    options: Options,
    outside: Outside,
    report: oneshot::Sender<Result<Handle, NodeError>>,
) {
    let begun = runtime::Builder::new_current_thread().enable_all().build();
    let begun = begun.map_err(no_thread).and_then(|runtime| {
        let begun = runtime.block_on(begin(setup, options, outside))?;
        Ok((runtime, begun))
    });
    // Nobody hears of it if whoever wanted the node has gone, and the handle with it, which
    // is the sign to stop.
    match begun {
        Err(error) => drop(report.send(Err(error))),
        Ok((runtime, Begun { handle, owner, first, over })) => {
            let running = runtime.spawn(owner.run(first));
            drop(report.send(Ok(handle)));
            let ended = runtime.block_on(running);
            drop(over.send(ended.unwrap_or(Err(NodeError::Bug))));
        }
    }
}

async fn begin(setup: Setup, options: Options, outside: Outside) -> Result<Begun, NodeError> {
    let id = setup.id;
    let directory = setup.directory;
    let genesis = Arc::clone(directory.genesis());
    let committee = genesis.committee();
    let cluster = directory.cluster();
    let rule = Listed::new(&genesis.replicas, &genesis.clients);
    let verifier = Arc::new(Verifier::new(Arc::clone(&genesis), rule));
    let endpoint = Endpoint::new(directory, setup.identity, setup.limits)?;
    let serving = serving_runtime(options.served, &outside);
    let mut acceptor = listen(&serving, &endpoint, setup.listen).await?;
    let address = acceptor.local_addr();
    let closed = Box::pin(acceptor.closed());
    let admin = outside.admin.local_addr();
    let admin = admin.map_err(|error| NodeError::Listen { address: setup.admin, error })?;

    let inbox = Arc::new(Inbox::new());
    let place = Place { id, cluster, data: setup.data, options: setup.storage };
    let (storage, recovered) = open(place, &verifier, options.recover, Arc::clone(&inbox))?;
    let clock = Clock::begin();
    let nonce = getrandom::u64()
        .map_err(|error| NodeError::System { what: "randomness", why: error.to_string() })?;
    let origin = Origin {
        id,
        genesis,
        settings: setup.settings,
        signer: Box::new(setup.signer),
        service: options.service,
        nonce: Nonce(nonce),
        disk_was_lost: options.recover,
    };
    let (replica, first) = Replica::start(clock.now(), origin, recovered)?;

    let posts = Arc::new(Posts::new(committee.replicas().filter(|peer| *peer != id)));
    let metrics = Arc::new(Metrics::new());
    let primary = committee.primary(replica.view()).0;
    let status = Status::of(&replica, cluster.0.to_string(), primary);
    let exhibits = replica.evidence().iter().map(|one| status::exhibit(one)).collect();
    let shared = Arc::new(Shared {
        cluster: cluster.0.to_string(),
        status: watched::Sender::new(Shown::now(status)),
        evidence: Mutex::new(Arc::new(exhibits)),
    });
    let malicious = options.outlet.confession().map(|confession| confession.behaviour);
    let owner = Owner {
        replica,
        committee,
        storage,
        outlet: options.outlet,
        posts: Arc::clone(&posts),
        inbox: Arc::clone(&inbox),
        alarm: Alarm::default(),
        clock,
        metrics: Arc::clone(&metrics),
        watch: Watch::new(Arc::clone(&metrics)),
        shared: Arc::clone(&shared),
        publish_due: Instant(0),
        checking: Checking::start(
            format!("checks {id}"),
            Arc::clone(&verifier),
            Arc::clone(&inbox),
        )
        .map_err(no_thread)?,
        unsaved: None,
        verifier: Arc::clone(&verifier),
        suspects: BTreeSet::new(),
    };

    let mut tasks = JoinSet::new();
    for link in posts.links() {
        let (link, endpoint) = (Arc::clone(link), endpoint.clone());
        tasks.spawn(async move { link.keep(&endpoint, None).await });
    }
    let hall = Hall {
        verifier,
        inbox: Arc::clone(&inbox),
        posts: Arc::clone(&posts),
        metrics: Arc::clone(&metrics),
        shared: Arc::clone(&shared),
    };
    tasks.spawn_on(connections::welcome(acceptor, hall), &serving);
    let depth = Arc::clone(&inbox);
    let pages = admin::Pages {
        shared: Arc::clone(&shared),
        metrics,
        posts,
        depth: Box::new(move || depth.depth()),
        refusals: Box::new(move || endpoint.refusals()),
        quorum: committee.quorum(),
    };
    tasks.spawn_on(admin::serve(outside.admin, pages), &outside.runtime);
    tracing::info!(replica = id.0, %address, %admin, "started");
    if let Some(behaviour) = malicious {
        tracing::warn!(replica = id.0, behaviour, "THIS REPLICA LIES ON PURPOSE: for tests only");
    }
    let (over, ended) = oneshot::channel();
    let handle = Handle { id, address, admin, shared, inbox, ended: Some(ended), tasks, closed };
    Ok(Begun { handle, owner, first, over })
}

pub(super) fn no_thread(error: io::Error) -> NodeError {
    NodeError::System { what: "thread", why: error.to_string() }
}

/// Where those are served who connect.
fn serving_runtime(served: Served, outside: &Outside) -> runtime::Handle {
    let are_few = || std::thread::available_parallelism().map_or(1, usize::from) <= FEW_PROCESSORS;
    match served {
        Served::ByThread => runtime::Handle::current(),
        Served::ByProcessors if are_few() => runtime::Handle::current(),
        Served::ByProcessors | Served::ByRuntime => outside.runtime.clone(),
    }
}

async fn listen(
    serving: &runtime::Handle,
    endpoint: &Endpoint,
    address: SocketAddr,
) -> Result<Acceptor, NodeError> {
    let endpoint = endpoint.clone();
    let listening = serving.spawn(async move { endpoint.listen(address).await });
    let listening = listening.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    listening.map_err(|error| NodeError::Listen { address, error })
}

/// Whose data, and where.
struct Place {
    id: ReplicaId,
    cluster: ClusterId,
    data: PathBuf,
    options: storage::Options,
}

/// Opens the storage, and verifies again what its log holds.
fn open(
    place: Place,
    verifier: &Verifier<Listed>,
    recover: bool,
    inbox: Arc<Inbox<Arrival>>,
) -> Result<(Storage, Recovered), NodeError> {
    let Place { id, cluster, data, options } = place;
    let identity = storage::Identity { cluster, replica: id };
    let on_saved = move |saved| inbox.put_urgent(Arrival::Saved(saved));
    let opened = match recover {
        true => Storage::recover(&data, identity, options, on_saved),
        false => Storage::open(&data, identity, options, on_saved),
    };
    let (storage, found) = opened.map_err(|error| match error.is_full() {
        true => NodeError::NoRoomToStart(error),
        false => NodeError::Storage(error),
    })?;
    tracing::info!(
        records = found.records.len(),
        state = found.states.keys().next_back().map(|seq| seq.0),
        is_new = found.is_new,
        cut_bytes = found.cut_bytes,
        took_ms = found.took.as_millis(),
        "opened the data directory"
    );
    if !found.rotten.is_empty() {
        tracing::warn!(states = ?found.rotten, "saved states have rotted, and others are used");
    }
    let recall = |(index, record)| {
        Recalled::verify(verifier, record).map_err(|reject| NodeError::Record { index, reject })
    };
    let records = found.records.into_iter().enumerate().map(recall).collect::<Result<_, _>>()?;
    Ok((storage, Recovered { records, states: found.states, parts: found.parts }))
}
