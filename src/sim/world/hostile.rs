//! The hostile clients. Each signs whatever it likes with its own key, and reads no
//! answers. They write keys of their own: what they did is nobody's history.

use super::{Happening, World};
use crate::crypto::Signer;
use crate::message::{ClientMessage, Request, Signed};
use crate::service::kv::KvOperation;
use crate::sim::plan::Hostility;
use crate::sim::random::Random;
use crate::types::{ClientId, ReplicaId, RequestNumber, Span};
use crate::wire::Blob;
use std::rc::Rc;

/// So often one acts before it is tired of it.
const MOST_ACTS: u64 = 12;

/// So many requests a flood has.
const FLOOD: u64 = 40;

/// A client that wishes harm.
pub(super) struct Hostile {
    id: ClientId,
    hostility: Hostility,
    signer: Box<dyn Signer>,
    random: Random,
    left: u64,
    number: u64,
}

impl World {
    pub(super) fn add_hostile(&mut self, nth: usize, hostility: Hostility, mut random: Random) {
        let index = if self.plan.hostile_first { nth } else { self.clients.len() + nth };
        let key = usize::from(self.plan.replicas) + index;
        let listed = ClientId(u32::try_from(index).unwrap_or(0));
        let id = match hostility {
            Hostility::Unlisted => ClientId(listed.0 + 1_000),
            _ => listed,
        };
        let left = match hostility {
            Hostility::Vanishes => 1,
            _ => MOST_ACTS,
        };
        let signer = self.plan.signatures.signer(key);
        let pause = Span::milliseconds(random.below(2_000));
        self.hostile.push(Hostile { id, hostility, signer, random, left, number: 1 });
        self.plan_after(pause, Happening::HostileActs { hostile: nth });
    }

    pub(super) fn hostile_acts(&mut self, nth: usize) {
        let hostile = &mut self.hostile[nth];
        if hostile.left == 0 {
            return;
        }
        hostile.left -= 1;
        let number = hostile.number;
        let pause = Span::milliseconds(hostile.random.between(10, 400));
        let everybody: Vec<ReplicaId> = self.replicas().collect();
        match self.hostile[nth].hostility {
            Hostility::Repeats => {
                for _ in 0..5 {
                    self.demand(nth, number, number - 1, "again", &everybody);
                }
                self.hostile[nth].number += 1;
            }
            Hostility::Reuses => {
                let word = if number.is_multiple_of(2) { "one" } else { "other" };
                self.demand(nth, number.div_ceil(2), number.div_ceil(2) - 1, word, &everybody);
                self.hostile[nth].number += 1;
            }
            Hostility::Splits => {
                let (some, rest): (Vec<ReplicaId>, Vec<ReplicaId>) =
                    everybody.iter().partition(|_| self.hostile[nth].random.in_thousand(500));
                self.demand(nth, number, number - 1, "one", &some);
                self.demand(nth, number, number - 1, "other", &rest);
                self.hostile[nth].number += 1;
            }
            Hostility::Floods => {
                for ahead in 0..FLOOD {
                    let to = self.hostile[nth].random.pick(&everybody).copied();
                    self.demand(nth, number + 3 * ahead, 0, "much", to.as_slice());
                }
                self.hostile[nth].number += FLOOD;
            }
            Hostility::Vanishes => {
                let to = self.hostile[nth].random.pick(&everybody).copied();
                self.demand(nth, number, 0, "once", to.as_slice());
            }
            Hostility::Ends => {
                let number = u64::MAX - self.hostile[nth].random.below(3);
                let acknowledged = match self.hostile[nth].random.below(3) {
                    0 => 0,
                    1 => number - 1,
                    _ => self.hostile[nth].random.below(number),
                };
                self.demand(nth, number, acknowledged, "last", &everybody);
            }
            Hostility::Unlisted => {
                self.demand(nth, number, 0, "mine", &everybody);
                self.hostile[nth].number += 1;
            }
        }
        self.plan_after(pause, Happening::HostileActs { hostile: nth });
    }

    /// One signed request, to these.
    fn demand(&mut self, nth: usize, first: u64, acknowledged: u64, word: &str, to: &[ReplicaId]) {
        let hostile = &self.hostile[nth];
        let put = KvOperation::Put {
            key: Blob::from(format!("hostile{nth}").as_str()),
            value: Blob::from(word),
        };
        let body = Request {
            client: hostile.id,
            first: RequestNumber(first),
            acknowledged: RequestNumber(acknowledged),
            operations: vec![Blob::from(put.to_bytes())].into(),
        };
        let id = hostile.id;
        if hostile.hostility != Hostility::Unlisted {
            self.checker.client_asks(&body);
        }
        let request = Signed::sign(body, &self.genesis.cluster(), hostile.signer.as_ref());
        let message = Rc::new(ClientMessage::Request(request));
        to.iter().for_each(|to| self.ask(id, *to, &message));
    }
}
