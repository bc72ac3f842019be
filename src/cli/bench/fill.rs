//! Writing all keys before something is measured: many to a bundle, since nobody waits for
//! any one of them.

use super::work::{Request, Work};
use crate::client::{Error, KeyValueClient};
use crate::service::kv::{KvOperation, KvResult};
use crate::wire::Blob;
use tokio::task::JoinSet;

/// So many bundles are under way at a time.
const BUNDLES: usize = 8;

/// So often one whose outcome is unknown is asked for again: to put the same once more does
/// no harm.
const MOST_TRIES: usize = 5;

/// The most keys of a bundle; less than any cluster allows that `quorate init` made.
const MOST_KEYS: u32 = 128;

/// The most bytes of a bundle's values, unless it has but one.
const MOST_BYTES: usize = 512 << 10;

/// Writes the keys from 0 on, by all these clients.
pub(super) async fn fill(
    clients: &[KeyValueClient],
    work: &Work,
    keys: u32,
    value_bytes: usize,
) -> Result<(), Error> {
    let fitting = MOST_BYTES / value_bytes.max(1);
    let step = u32::try_from(fitting).unwrap_or(MOST_KEYS).clamp(1, MOST_KEYS);
    let places = u32::try_from(BUNDLES).unwrap_or(u32::MAX);
    let mut writing = JoinSet::new();
    for (place, client) in (0..places).zip(clients.iter().cycle()) {
        let (client, mut work) = (client.clone(), work.drawn_by(u64::from(place)));
        writing.spawn(async move {
            let mut first = place.saturating_mul(step);
            while first < keys {
                let last = first.saturating_add(step).min(keys);
                put_all(&client, (first..last).map(|key| work.fill(key)).collect()).await?;
                first = first.saturating_add(step.saturating_mul(places));
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(written) = writing.join_next().await {
        written.expect("writing does not panic")?;
    }
    Ok(())
}

async fn put_all(client: &KeyValueClient, requests: Vec<Request>) -> Result<(), Error> {
    let operation = |request| match request {
        Request::Put(key, value) => {
            KvOperation::Put { key: key.as_slice().into(), value: value.as_slice().into() }
        }
        Request::Get(key) => KvOperation::Get { key: key.as_slice().into() },
    };
    let operations: Vec<Blob> =
        requests.into_iter().map(|request| operation(request).to_bytes().into()).collect();
    let mut tries = 1;
    let done = loop {
        match client.client().submit(operations.clone()).await {
            Err(Error::Unknown { .. } | Error::NotSent { .. }) if tries < MOST_TRIES => tries += 1,
            other => break other?,
        }
    };
    for done in done {
        match KvResult::from_bytes(&done.result) {
            Ok(KvResult::Refused(refusal)) => return Err(Error::Service(refusal)),
            Ok(_) => {}
            Err(_) => return Err(Error::Unreadable),
        }
    }
    Ok(())
}
