//! Every decoder of what comes from outside (D2, D3): no bytes make one panic, and what
//! decodes has these bytes and no others.
//!
//! The first byte says which decoder.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::client::Receipt;
use quorate::client::proved::Kept;
use quorate::message::{ClientMessage, Evidence, Genesis, PeerMessage, ToClient};
use quorate::net::hello;
use quorate::node::status::Exhibit;
use quorate::node::{Status, inquiry};
use quorate::replica::Record;
use quorate::service::Entry;
use quorate::service::kv::{KvOperation, KvResult};
use quorate::wire::{self, Wire};

fn canonical<T: Wire>(bytes: &[u8]) -> Option<T> {
    let value = wire::decode::<T>(bytes, wire::MOST_BYTES).ok()?;
    assert_eq!(wire::encode(&value), bytes, "two encodings of one value");
    assert_eq!(wire::size(&value), bytes.len());
    Some(value)
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 13 {
        0 => drop(canonical::<PeerMessage>(bytes)),
        1 => drop(canonical::<ClientMessage>(bytes)),
        2 => drop(canonical::<ToClient>(bytes)),
        3 => drop(canonical::<Record>(bytes)),
        4 => drop(canonical::<Evidence>(bytes)),
        5 => {
            if let Some(genesis) = canonical::<Genesis>(bytes) {
                let _ = genesis.checked();
            }
        }
        6 => {
            if let Ok(operation) = KvOperation::from_bytes(bytes) {
                assert_eq!(operation.to_bytes(), bytes);
                let _ = operation.check();
            }
        }
        7 => {
            if let Ok(result) = KvResult::from_bytes(bytes) {
                assert_eq!(result.to_bytes(), bytes);
            }
        }
        8 => {
            if let Ok(receipt) = Receipt::from_bytes(bytes) {
                assert_eq!(receipt.to_bytes(), bytes);
            }
        }
        10 => {
            let written = hello::read_and_written(bytes);
            assert!(written.iter().flatten().all(|one| one == bytes), "two encodings of one");
        }
        11 => {
            if let Some(Ok(kept)) = Kept::from_bytes(bytes) {
                assert_eq!(kept.to_bytes(), bytes);
            }
        }
        12 => {
            let _ = inquiry::told::<Status>(bytes);
            let _ = inquiry::told::<Vec<Exhibit>>(bytes);
        }
        _ => {
            if let Some(entry) = Entry::from_bytes(bytes) {
                assert_eq!(entry.to_bytes(), bytes);
            }
        }
    }
});
