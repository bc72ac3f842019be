//! What is asked: which keys, which values, reads or writes.

use crate::random::Random;
use clap::ValueEnum;
use serde::Serialize;
use std::sync::Arc;

/// Reads or writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Workload {
    /// Writes
    Put,
    /// Reads of a quorum
    Get,
    /// One of two is a write
    Mixed,
}

/// Which keys are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Distribution {
    /// All alike
    Uniform,
    /// A few most of the time
    Zipf,
    /// Always the same
    One,
}

/// The exponent of the Zipf distribution, as is usual for loads of key-value stores.
const ZIPF_EXPONENT: f64 = 0.99;

/// What all clients ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) workload: Workload,
    pub(super) value_bytes: usize,
    pub(super) keys: u32,
    pub(super) distribution: Distribution,
}

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Request {
    Put(Vec<u8>, Vec<u8>),
    Get(Vec<u8>),
}

/// Draws requests, each client in a way of its own.
#[derive(Clone)]
pub(super) struct Work {
    settings: Settings,
    /// For each key the chance of it or one before it; none where all are alike.
    ranks: Option<Arc<[f64]>>,
    random: Random,
}

impl Work {
    pub(super) fn new(settings: Settings) -> Work {
        let ranks = match settings.distribution {
            Distribution::Zipf => Some(ranks(settings.keys)),
            Distribution::Uniform | Distribution::One => None,
        };
        Work { settings, ranks, random: Random::new(0) }
    }

    /// The same work, drawn otherwise.
    pub(super) fn drawn_by(&self, client: u64) -> Work {
        Work { random: Random::new(client + 1), ..self.clone() }
    }

    /// The next request.
    pub(super) fn draw(&mut self) -> Request {
        let key = self.key();
        let is_put = match self.settings.workload {
            Workload::Put => true,
            Workload::Get => false,
            Workload::Mixed => self.random.any().is_multiple_of(2),
        };
        match is_put {
            true => Request::Put(name(key), self.value()),
            false => Request::Get(name(key)),
        }
    }

    /// What writes this key.
    pub(super) fn fill(&mut self, key: u32) -> Request {
        Request::Put(name(key), self.value())
    }

    fn key(&mut self) -> u32 {
        let last = self.settings.keys - 1;
        match (self.settings.distribution, &self.ranks) {
            (Distribution::One, _) => 0,
            (Distribution::Zipf, Some(ranks)) => {
                let chance = self.random.any() as f64 / u64::MAX as f64;
                let rank = ranks.partition_point(|up_to| *up_to < chance);
                u32::try_from(rank).unwrap_or(last).min(last)
            }
            (Distribution::Uniform | Distribution::Zipf, _) => {
                u32::try_from(self.random.below(u64::from(self.settings.keys))).unwrap_or(last)
            }
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let mut value = vec![b'v'; self.settings.value_bytes];
        let fresh = self.random.any().to_le_bytes();
        let length = value.len().min(fresh.len());
        value[..length].copy_from_slice(&fresh[..length]);
        value
    }
}

fn name(key: u32) -> Vec<u8> {
    format!("bench/{key:08}").into_bytes()
}

fn ranks(keys: u32) -> Arc<[f64]> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += f64::from(rank).powf(-ZIPF_EXPONENT);
            sum
        })
        .collect();
    sums.into_iter().map(|part| part / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(distribution: Distribution, workload: Workload) -> Vec<Request> {
        let settings = Settings { workload, value_bytes: 12, keys: 100, distribution };
        let mut work = Work::new(settings).drawn_by(7);
        (0..10_000).map(|_| work.draw()).collect()
    }

    fn share_of_first(requests: &[Request]) -> f64 {
        let first = name(0);
        let is_first = |request: &&Request| match request {
            Request::Put(key, _) | Request::Get(key) => *key == first,
        };
        requests.iter().filter(is_first).count() as f64 / requests.len() as f64
    }

    #[test]
    fn keys_are_drawn_as_often_as_the_distribution_says() {
        assert!(
            (0.005..0.02).contains(&share_of_first(&drawn(Distribution::Uniform, Workload::Put)))
        );
        // One of a hundred has the share 1/H with H = 5.28 at this exponent.
        assert!((0.15..0.23).contains(&share_of_first(&drawn(Distribution::Zipf, Workload::Put))));
        assert_eq!(share_of_first(&drawn(Distribution::One, Workload::Get)), 1.0);
    }

    #[test]
    fn half_of_a_mixed_load_writes() {
        let requests = drawn(Distribution::Uniform, Workload::Mixed);
        let puts = requests.iter().filter(|one| matches!(one, Request::Put(..))).count();
        assert!((4_500..5_500).contains(&puts), "{puts}");
    }

    #[test]
    fn values_have_the_size_asked_for() {
        for request in drawn(Distribution::One, Workload::Put) {
            assert!(matches!(request, Request::Put(_, value) if value.len() == 12));
        }
    }
}
