//! The protocol, claim by claim: one test for each, named by what is claimed, in the
//! order of the text. Real replicas, real signatures; whoever lies does so with its own
//! key.

// One binary: whatever its modules share is public in it and nowhere else.
#![allow(unreachable_pub)]

#[path = "../world/mod.rs"]
mod world;

mod bounds;
mod checkpoints;
mod clients;
mod identity;
mod normal_case;
mod reads;
mod receipts;
mod rejects;
mod replies;
mod reserved;
mod storage_and_recovery;
mod support;
mod view_change;
mod vouching;
