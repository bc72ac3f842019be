//! Each rule by itself, and then all of them against a slow and obvious model.

use super::super::data::SESSIONS;
use super::super::tree::Assembly;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LIMITS: Limits = Limits {
    window: 4,
    kept_bytes: 20,
    result_bytes: 7,
    operation_bytes: 6,
    bundle_operations: 3,
    bundle_bytes: 12,
};

const ANNA: ClientId = ClientId(0);
const BERT: ClientId = ClientId(1);
const STRANGER: ClientId = ClientId(2);

/// K2, P12
#[test]
fn a_repeated_request_executes_once_and_gets_the_kept_reply() {
    let mut state = journal();
    let kept = executed(one(run(&mut state, 1, ANNA, 1, 0, &["a"])));
    assert_eq!(kept.seq, Seq(1));
    let again = one(run(&mut state, 2, ANNA, 1, 0, &["a"]));
    assert_eq!(again.operation, Digest::of(b"a"));
    assert_eq!(again.outcome, Outcome::Repeated(kept));
    assert_eq!(written(&state), ["a"]);
}

/// K3
#[test]
fn of_two_operations_under_one_number_the_first_counts() {
    let mut state = journal();
    let kept = executed(one(run(&mut state, 1, ANNA, 1, 0, &["a"])));
    let other = one(run(&mut state, 2, ANNA, 1, 0, &["b"]));
    assert_eq!(other.operation, Digest::of(b"a"), "the reply names what was executed");
    assert_eq!(other.outcome, Outcome::Repeated(kept));
    assert_eq!(written(&state), ["a"]);
}

/// K2
#[test]
fn bundles_that_overlap_execute_only_what_is_new() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a", "b"]);
    let outcomes = run(&mut state, 2, ANNA, 2, 0, &["b", "c"]);
    assert!(matches!(outcomes[0].outcome, Outcome::Repeated(_)));
    assert!(matches!(outcomes[1].outcome, Outcome::Executed(_)));
    assert_eq!(written(&state), ["a", "b", "c"]);
}

#[test]
fn clients_with_the_same_numbers_do_not_meet() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a"]);
    run(&mut state, 1, BERT, 1, 0, &["b"]);
    run(&mut state, 2, BERT, 2, 1, &["c"]);
    assert_eq!(written(&state), ["a", "b", "c"]);
    assert_eq!(state.kept(ANNA, number(1)).map(|kept| kept.operation), Some(Digest::of(b"a")));
    assert_eq!(state.kept(BERT, number(1)), None);
}

#[test]
fn what_is_acknowledged_is_dropped_and_never_executed_again() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a", "b"]);
    run(&mut state, 2, ANNA, 3, 1, &["c"]);
    assert_eq!(state.floor(ANNA), number(1));
    assert_eq!(state.status(ANNA, number(1)), NumberStatus::Acknowledged);
    let late = one(run(&mut state, 3, ANNA, 1, 0, &["a"]));
    assert_eq!(late.outcome, Outcome::Acknowledged);
    assert!(matches!(state.status(ANNA, number(2)), NumberStatus::Executed(_)));
    assert_eq!(written(&state), ["a", "b", "c"]);
}

#[test]
fn acknowledging_counts_even_if_every_operation_is_a_duplicate() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a", "b"]);
    let again = one(run(&mut state, 2, ANNA, 2, 1, &["b"]));
    assert!(matches!(again.outcome, Outcome::Repeated(_)));
    assert_eq!(state.floor(ANNA), number(1));
    assert_eq!(state.kept(ANNA, number(1)), None);
}

#[test]
fn the_floor_never_sinks() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a", "b"]);
    run(&mut state, 2, ANNA, 3, 2, &["c"]);
    run(&mut state, 3, ANNA, 4, 0, &["d"]);
    assert_eq!(state.floor(ANNA), number(2));
}

#[test]
fn a_number_above_the_window_is_refused_and_one_at_its_edge_is_not() {
    let mut state = journal();
    let outcomes = run(&mut state, 1, ANNA, 4, 0, &["a", "b"]);
    assert!(matches!(outcomes[0].outcome, Outcome::Executed(_)));
    let refusal = Refusal::BeyondWindow { last: number(4) };
    assert_eq!(outcomes[1].outcome, Outcome::Refused(refusal));
    assert_eq!(outcomes[1].operation, Digest::of(b"b"));
    assert_eq!(state.status(ANNA, number(3)), NumberStatus::Open);
    assert_eq!(state.status(ANNA, number(5)), NumberStatus::BeyondWindow);
    assert_eq!(state.kept(ANNA, number(5)), None, "a refusal is not kept");
    assert_eq!(state.highest(ANNA), number(4));
    assert_eq!(written(&state), ["a"]);
}

#[test]
fn more_results_than_are_kept_for_a_client_are_refused_until_it_acknowledges() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["aaaaaa", "bbbbbb"]);
    let refused = one(run(&mut state, 2, ANNA, 3, 0, &["c"]));
    let refusal = Refusal::TooMuchKept { bytes: 14, limit: 20 };
    assert_eq!(refused.outcome, Outcome::Refused(refusal));
    assert_eq!(state.status(ANNA, number(3)), NumberStatus::Open);
    executed(one(run(&mut state, 3, BERT, 1, 0, &["d"])));
    executed(one(run(&mut state, 4, ANNA, 3, 1, &["c"])));
    assert_eq!(written(&state), ["aaaaaa", "bbbbbb", "d", "c"]);
}

#[test]
fn the_lowest_open_number_has_room_whatever_else_is_kept() {
    let mut state = journal();
    executed(one(run(&mut state, 1, ANNA, 2, 0, &["bbbbbb"])));
    let refused = one(run(&mut state, 2, ANNA, 3, 0, &["c"]));
    let refusal = Refusal::TooMuchKept { bytes: 7, limit: 20 };
    assert_eq!(refused.outcome, Outcome::Refused(refusal), "it would take the place of 1");
    executed(one(run(&mut state, 3, ANNA, 1, 0, &["aaaaaa"])));
    executed(one(run(&mut state, 4, ANNA, 3, 2, &["c"])));
    assert_eq!(written(&state), ["bbbbbb", "aaaaaa", "c"]);
}

#[test]
fn after_a_refusal_nothing_later_in_the_bundle_executes() {
    let limits = Limits { kept_bytes: 8, ..LIMITS };
    let mut state = State::genesis(Arc::new(Journal), limits, [ANNA]);
    let outcomes = run(&mut state, 1, ANNA, 1, 0, &["a", "b", ""]);
    assert!(matches!(outcomes[0].outcome, Outcome::Executed(_)));
    assert!(outcomes[1..].iter().all(|one| matches!(one.outcome, Outcome::Refused(_))));
    assert_eq!(written(&state), ["a"]);
}

#[test]
fn a_request_without_operations_does_nothing() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a"]);
    assert_no_effect(&mut state, ANNA, 2, 1, &[], &[]);
}

/// K7
#[test]
fn an_unlisted_client_is_refused() {
    let mut state = journal();
    assert_no_effect(&mut state, STRANGER, 1, 0, &["a"], &[Refusal::Unlisted]);
}

/// K7
#[test]
fn a_client_that_is_taken_off_the_list_and_listed_again_repeats_nothing() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a"]);
    state.unlist_client(ANNA, Seq(2));
    assert_no_effect(&mut state, ANNA, 2, 1, &["b"], &[Refusal::Unlisted]);
    state.list_client(ANNA, Seq(3));
    let again = one(run(&mut state, 4, ANNA, 1, 0, &["a"]));
    assert!(matches!(again.outcome, Outcome::Repeated(_)));
    assert_eq!(written(&state), ["a"]);
}

#[test]
fn a_request_that_acknowledges_itself_is_refused() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a"]);
    assert_no_effect(&mut state, ANNA, 2, 2, &["b"], &[Refusal::AcknowledgesItself]);
    assert_no_effect(&mut state, ANNA, 0, 0, &["b"], &[Refusal::AcknowledgesItself]);
}

#[test]
fn acknowledging_more_than_a_window_above_what_was_executed_is_refused() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a"]);
    let refusal = Refusal::AcknowledgesTooFar { limit: number(5) };
    assert_no_effect(&mut state, ANNA, 7, 6, &["b"], &[refusal]);
    let far = u64::MAX - 1;
    assert_no_effect(&mut state, ANNA, far + 1, far, &["b"], &[refusal]);
    executed(one(run(&mut state, 2, ANNA, 6, 5, &["b"])));
    assert_eq!(state.floor(ANNA), number(5), "what was never executed can be given up");
}

#[test]
fn a_bundle_over_a_limit_is_refused_whole() {
    let mut state = journal();
    let too_long = Refusal::BundleTooLong { operations: 4, limit: 3 };
    assert_no_effect(&mut state, ANNA, 1, 0, &["a", "b", "c", "d"], &[too_long; 4]);
    let too_large = Refusal::OperationTooLarge { bytes: 7, limit: 6 };
    assert_no_effect(&mut state, ANNA, 1, 0, &["a", "aaaaaaa"], &[too_large; 2]);
    let too_large = Refusal::BundleTooLarge { bytes: 13, limit: 12 };
    assert_no_effect(&mut state, ANNA, 1, 0, &["aaaaa", "bbbbb", "ccc"], &[too_large; 3]);
    run(&mut state, 1, ANNA, 1, 0, &["aaaaaa", "aaaaaa"]);
    assert_eq!(written(&state).len(), 2, "at the limits");
}

/// K4
#[test]
fn numbers_end_without_harm_to_anybody_else() {
    let mut state = journal_from(u64::MAX - 2);
    let both = run(&mut state, 1, ANNA, u64::MAX - 1, u64::MAX - 2, &["a", "b"]);
    assert!(both.iter().all(|one| matches!(one.outcome, Outcome::Executed(_))), "{both:?}");
    assert_eq!(state.highest(ANNA), number(u64::MAX));
    // The last number has no successor: of three operations one has a number.
    let ended = &[Refusal::NumbersEnd];
    assert_no_effect(&mut state, ANNA, u64::MAX, u64::MAX - 1, &["c", "d", "e"], ended);
    let again = one(run(&mut state, 2, ANNA, u64::MAX, u64::MAX - 1, &["c"]));
    assert!(matches!(again.outcome, Outcome::Repeated(_)));
    assert_eq!(state.floor(ANNA), number(u64::MAX - 1));
    assert_eq!(state.status(ANNA, number(u64::MAX - 1)), NumberStatus::Acknowledged);
    executed(one(run(&mut state, 3, BERT, 1, 0, &["z"])));
    assert_eq!(written(&state), ["a", "b", "z"]);
}

#[test]
fn every_refusal_says_something_of_its_own() {
    let limit = number(3);
    let refusals = [
        Refusal::Unlisted,
        Refusal::BundleTooLong { operations: 2, limit: 1 },
        Refusal::BundleTooLarge { bytes: 2, limit: 1 },
        Refusal::OperationTooLarge { bytes: 2, limit: 1 },
        Refusal::NumbersEnd,
        Refusal::AcknowledgesItself,
        Refusal::AcknowledgesTooFar { limit },
        Refusal::BeyondWindow { last: limit },
        Refusal::TooMuchKept { bytes: 2, limit: 1 },
    ];
    let mut texts: Vec<String> = refusals.iter().map(Refusal::to_string).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), refusals.len());
    for refusal in refusals {
        assert_eq!(wire::decode(&wire::encode(&refusal), 100), Ok(refusal));
    }
}

#[test]
fn a_result_over_the_limit_is_kept_as_a_refusal() {
    let limits = Limits { result_bytes: 200, kept_bytes: 200, ..LIMITS };
    let mut state = State::genesis(Arc::new(Boaster), limits, [ANNA]);
    let kept = executed(one(run(&mut state, 1, ANNA, 1, 0, &["a"])));
    assert_eq!(kept.result, Blob::from("a result of 1000 bytes, and the limit is 200"));
    assert_eq!(state.query(ANNA, b"a").result, kept.result.to_vec());
}

#[test]
fn an_operation_over_the_limit_is_refused_as_a_query() {
    let answer = journal().query(ANNA, b"aaaaaaa");
    assert_eq!(answer.result, b"an operation of 7 bytes, and the limit is 6");
    assert_eq!(answer.changed, Seq::GENESIS);
}

#[test]
fn limits_that_do_not_fit_together_are_refused() {
    let wrong = [
        Limits { operation_bytes: 0, ..LIMITS },
        Limits { bundle_operations: 0, ..LIMITS },
        Limits { window: 2, ..LIMITS },
        Limits { bundle_bytes: 5, ..LIMITS },
        Limits { kept_bytes: 6, ..LIMITS },
        Limits { bundle_bytes: u64::MAX, ..LIMITS },
        Limits { result_bytes: u64::MAX, kept_bytes: u64::MAX, ..LIMITS },
    ];
    let mut reasons: Vec<&str> = wrong.iter().filter_map(|one| one.check().err()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons.len(), wrong.len());
    assert_eq!(LIMITS.check(), Ok(()));
    assert_eq!(Limits::default().check(), Ok(()));
}

#[test]
fn limits_are_part_of_the_state_and_hold_after_a_restart() {
    let mut state = journal();
    let before = state.digest();
    let limits = Limits { window: 3, ..LIMITS };
    state.set_limits(limits, Seq(1));
    assert_ne!(state.digest(), before);
    let state = restarted(state, Seq(2));
    assert_eq!(*state.limits(), limits);
    assert_eq!(state.status(ANNA, number(4)), NumberStatus::BeyondWindow);
}

#[test]
fn a_tree_without_readable_limits_is_no_state() {
    let mut tree = Tree::new();
    assert!(State::from_tree(Arc::new(Journal), tree.clone()).is_err());
    tree.put(&system_key(super::LIMITS), Blob::from("?"), Seq(1));
    assert!(State::from_tree(Arc::new(Journal), tree.clone()).is_err());
    let void = Limits { window: 0, ..LIMITS };
    tree.put(&system_key(super::LIMITS), wire::encode(&void).into(), Seq(1));
    assert!(State::from_tree(Arc::new(Journal), tree).is_err());
}

#[test]
fn system_entries_are_kept_and_cleared_and_count_in_the_digest() {
    let mut state = journal();
    let before = state.digest();
    state.set_system(b"agreed time", Blob::from("7"), Seq(1));
    assert_eq!(state.system(b"agreed time"), Some(&Blob::from("7")));
    assert_ne!(state.digest(), before);
    state.clear_system(b"agreed time", Seq(2));
    assert_eq!(state.system(b"agreed time"), None);
    assert_eq!(written(&state), [""; 0], "the service sees nothing of it");
}

#[test]
#[should_panic(expected = "the state's own entries")]
fn the_states_own_entries_are_not_set_as_others_are() {
    journal().set_system(b"service/limits", Blob::default(), Seq(1));
}

/// Between two checkpoints nothing of the sessions is written; then it is all there.
#[test]
fn what_is_kept_is_written_when_the_state_is_sealed_and_only_what_is_left_of_it() {
    let mut state = journal();
    let empty = state.tree().len();
    for turn in 1..=9 {
        run(&mut state, turn, ANNA, turn, turn - 1, &["a"]);
    }
    assert_eq!(state.tree().len(), empty + 9, "what the service wrote");
    let sealed = state.seal(Seq(10)).clone();
    assert_eq!(sealed.len(), empty + 11, "her session and one reply");
    let session = KeyRange::prefix(&key_in(SESSIONS, &[&ANNA.0.to_be_bytes()]));
    // Whoever had the tree of number 9 is told of what changed after that.
    assert!(sealed.range(&session).all(|(_, entry)| entry.changed == Seq(10)));
    assert_eq!(state.seal(Seq(11)).digest(), sealed.digest(), "nothing is new");
    // What is acknowledged was written, and is not any more.
    run(&mut state, 12, ANNA, 10, 9, &["b"]);
    assert_eq!(state.tree().range(&session).count(), 1);
    let restarted = restarted(state, Seq(12));
    assert_eq!(restarted.status(ANNA, number(9)), NumberStatus::Acknowledged);
    assert!(matches!(restarted.status(ANNA, number(10)), NumberStatus::Executed(_)));
}

#[test]
fn two_states_with_other_sessions_have_other_digests() {
    let mut state = journal();
    run(&mut state, 1, ANNA, 1, 0, &["a", "b"]);
    let (tree, before) = (state.tree().digest(), state.digest());
    run(&mut state, 2, ANNA, 2, 1, &["b"]);
    assert_eq!(state.tree().digest(), tree);
    assert_ne!(state.digest(), before);
}

#[test]
fn a_snapshot_does_not_change_with_the_state() {
    let mut state = journal();
    let snapshot = state.seal(Seq(1)).clone();
    run(&mut state, 1, ANNA, 1, 0, &["a"]);
    let old = State::from_tree(Arc::new(Journal), snapshot).expect("it was a state's");
    assert_eq!(written(&old), [""; 0]);
    assert_eq!(old.digest(), journal().digest());
}

#[test]
fn an_operation_learns_who_when_and_where() {
    let mut state = State::genesis(Arc::new(Witness), Limits::default(), [BERT]);
    let at = Moment { seq: Seq(7), time: Timestamp(9) };
    let operations = [Blob::default()];
    let asked = RequestRef {
        client: BERT,
        first: number(1),
        acknowledged: number(0),
        operations: &operations,
    };
    let kept = executed(one(state.execute(&at, asked)));
    assert_eq!(kept.result, Blob::from("c1 t9 s7"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// K2, K3, K4, P12
    #[test]
    fn sessions_do_what_the_model_does(
        base in prop_oneof![Just(0), Just(u64::MAX - 7)],
        asked in prop::collection::vec((any_request(), prop::bool::weighted(0.3)), 1..60),
    ) {
        let mut state = journal_from(base);
        let mut model = Model::from(base);
        for (index, (asked, is_checkpoint)) in asked.iter().enumerate() {
            let seq = index as u64 + 1;
            let (first, acknowledged) = asked.numbers(base);
            let outcomes = state.execute(&moment(seq), RequestRef {
                client: asked.client, first, acknowledged, operations: &asked.operations,
            });
            prop_assert_eq!(outcomes, model.execute(seq, asked, base));
            if *is_checkpoint {
                state.seal(Seq(seq));
            }
            prop_assert_eq!(raw_written(&state), model.journal.clone());
            model.assert_agrees(&state, base)?;
        }
    }

    #[test]
    fn a_state_that_restarts_at_checkpoints_behaves_as_one_that_never_does(
        base in prop_oneof![Just(0), Just(u64::MAX - 7)],
        asked in prop::collection::vec((any_request(), any::<bool>()), 1..40),
    ) {
        let mut steady = journal_from(base);
        let mut restarting = steady.clone();
        for (index, (asked, is_checkpoint)) in asked.iter().enumerate() {
            let (first, acknowledged) = asked.numbers(base);
            let request = RequestRef {
                client: asked.client, first, acknowledged, operations: &asked.operations,
            };
            let at = moment(index as u64 + 1);
            prop_assert_eq!(steady.execute(&at, request), restarting.execute(&at, request));
            if *is_checkpoint {
                let sealed = steady.seal(at.seq).digest();
                restarting = restarted(restarting, at.seq);
                prop_assert_eq!(restarting.tree().digest(), sealed);
            }
            prop_assert_eq!(steady.digest(), restarting.digest());
        }
    }

    /// Whoever replays from a checkpoint, and whoever is brought there from a tree of any number
    /// before it, has what a replica has that went through all of it.
    #[test]
    fn every_way_leads_to_the_same_tree(
        base in prop_oneof![Just(0), Just(u64::MAX - 7)],
        interval in 1..7u64,
        asked in prop::collection::vec((any_request(), 0..12u8), 1..60),
        lags in prop::collection::vec(0..25usize, 1..4),
    ) {
        let step = |state: &mut State, index: usize| {
            let (asked, listing) = &asked[index];
            let at = moment(index as u64 + 1);
            match listing {
                0 => state.unlist_client(asked.client, at.seq),
                1 | 2 => state.list_client(asked.client, at.seq),
                _ => {
                    let (first, acknowledged) = asked.numbers(base);
                    state.execute(&at, RequestRef {
                        client: asked.client, first, acknowledged, operations: &asked.operations,
                    });
                }
            }
            let is_checkpoint = at.seq.0.is_multiple_of(interval);
            is_checkpoint.then(|| state.seal(at.seq).clone())
        };
        let mut steady = journal_from(base);
        let mut history = vec![steady.clone()];
        let mut checkpoints = vec![(0, steady.tree().clone())];
        for index in 0..asked.len() {
            let checkpoint = step(&mut steady, index);
            history.push(steady.clone());
            if let Some(tree) = checkpoint {
                for lag in &lags {
                    transfer(history[index.saturating_sub(*lag)].tree(), &tree)?;
                }
                checkpoints.push((index + 1, tree));
            }
        }
        for (from, tree) in checkpoints {
            let mut other = State::from_tree(steady.service.clone(), tree).expect("a state's");
            for index in from..asked.len() {
                step(&mut other, index);
                prop_assert_eq!(other.tree().digest(), history[index + 1].tree().digest());
                prop_assert_eq!(other.digest(), history[index + 1].digest());
            }
        }
    }
}

/// Brings a tree to where another is, with what changed since, and finds nothing wrong with it.
fn transfer(behind: &Tree, ahead: &Tree) -> Result<(), TestCaseError> {
    let mut assembly = Assembly::later(ahead.digest(), behind.clone());
    while let Some((path, _)) = assembly.wanted(1).pop() {
        let (since, bytes) = assembly.question(&path, 1 << 20);
        let part = ahead.part_since(&path, since, bytes).expect("it is there");
        assembly.accept(&path, part).expect("a good part");
        prop_assert!(assembly.trusts_base(), "what was there is not as it was then");
    }
    let tree = assembly.finish().expect("nothing is wanted");
    prop_assert_eq!(tree.digest(), ahead.digest());
    Ok(())
}

/// Writes down every operation that it applies, in order, and answers with the operation
/// and one byte more: how many it has, as far as a byte goes.
struct Journal;

impl Service for Journal {
    fn apply(&self, _context: &Context, operation: &[u8], data: &mut Data<'_>) -> Vec<u8> {
        let count = data.range(&KeyRange::all()).count() as u64;
        data.put(&count.to_be_bytes(), operation);
        operation.iter().copied().chain([count as u8]).collect()
    }

    fn query(&self, _client: ClientId, operation: &[u8], _data: &View<'_>) -> Vec<u8> {
        operation.to_vec()
    }

    fn proof_range(&self, _operation: &[u8]) -> Option<KeyRange> {
        None
    }
}

/// Answers more than it should.
struct Boaster;

impl Service for Boaster {
    fn apply(&self, _context: &Context, _operation: &[u8], _data: &mut Data<'_>) -> Vec<u8> {
        vec![0; 1000]
    }

    fn query(&self, _client: ClientId, _operation: &[u8], _data: &View<'_>) -> Vec<u8> {
        vec![0; 1000]
    }

    fn proof_range(&self, _operation: &[u8]) -> Option<KeyRange> {
        None
    }
}

/// Answers with what it is told.
struct Witness;

impl Service for Witness {
    fn apply(&self, context: &Context, _operation: &[u8], _data: &mut Data<'_>) -> Vec<u8> {
        format!("{:?} {:?} {:?}", context.client, context.time, context.seq).into_bytes()
    }

    fn query(&self, client: ClientId, _operation: &[u8], _data: &View<'_>) -> Vec<u8> {
        format!("{client:?}").into_bytes()
    }

    fn proof_range(&self, _operation: &[u8]) -> Option<KeyRange> {
        None
    }
}

fn journal() -> State {
    State::genesis(Arc::new(Journal), LIMITS, [ANNA, BERT])
}

/// A state in which Anna has used and acknowledged all numbers up to `base`.
fn journal_from(base: u64) -> State {
    let mut state = journal();
    if base > 0 {
        let key = key_in(SESSIONS, &[&ANNA.0.to_be_bytes()]);
        let standing = (number(base), number(base), 0u64);
        state.tree.put(&key, wire::encode(&standing).into(), Seq::GENESIS);
    }
    state
}

/// The state that reads what this one wrote.
fn restarted(mut state: State, seq: Seq) -> State {
    let tree = state.seal(seq).clone();
    State::from_tree(state.service, tree).expect("it is a state's tree")
}

fn number(number: u64) -> RequestNumber {
    RequestNumber(number)
}

fn moment(seq: u64) -> Moment {
    Moment { seq: Seq(seq), time: Timestamp(1_000 + seq) }
}

fn run(
    state: &mut State,
    seq: u64,
    client: ClientId,
    first: u64,
    acknowledged: u64,
    operations: &[&str],
) -> Vec<Executed> {
    let operations: Vec<Blob> = operations.iter().map(|one| Blob::from(*one)).collect();
    let (first, acknowledged) = (number(first), number(acknowledged));
    let request = RequestRef { client, first, acknowledged, operations: &operations };
    state.execute(&moment(seq), request)
}

fn one(mut outcomes: Vec<Executed>) -> Executed {
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    outcomes.remove(0)
}

fn executed(executed: Executed) -> Kept {
    match executed.outcome {
        Outcome::Executed(kept) => kept,
        other => panic!("not executed now: {other:?}"),
    }
}

/// The request is refused for these reasons, and not a byte of the state changes.
fn assert_no_effect(
    state: &mut State,
    client: ClientId,
    first: u64,
    acknowledged: u64,
    operations: &[&str],
    refusals: &[Refusal],
) {
    let before = state.digest();
    let outcomes = run(state, 99, client, first, acknowledged, operations);
    let expected: Vec<Outcome> = refusals.iter().map(|one| Outcome::Refused(*one)).collect();
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, expected);
    assert_eq!(state.digest(), before);
}

fn raw_written(state: &State) -> Vec<Blob> {
    let view = View::new(state.tree());
    view.range(&KeyRange::all()).map(|(_, entry)| entry.value.clone()).collect()
}

fn written(state: &State) -> Vec<String> {
    raw_written(state).iter().map(|one| String::from_utf8_lossy(one).into_owned()).collect()
}

/// A request whose numbers are counted from some base.
#[derive(Clone, Debug)]
struct Asked {
    client: ClientId,
    first: u64,
    acknowledged: Acknowledged,
    operations: Vec<Blob>,
}

#[derive(Clone, Copy, Debug)]
enum Acknowledged {
    BelowFirst(u64),
    AboveBase(u64),
}

impl Asked {
    fn base(&self, base: u64) -> u64 {
        if self.client == ANNA { base } else { 0 }
    }

    fn numbers(&self, base: u64) -> (RequestNumber, RequestNumber) {
        let base = self.base(base);
        let first = base.saturating_add(self.first);
        let acknowledged = match self.acknowledged {
            Acknowledged::BelowFirst(distance) => first.saturating_sub(distance),
            Acknowledged::AboveBase(distance) => base.saturating_add(distance),
        };
        (number(first), number(acknowledged))
    }
}

fn any_request() -> impl Strategy<Value = Asked> {
    let client = prop_oneof![8 => Just(ANNA), 3 => Just(BERT), 1 => Just(STRANGER)];
    let acknowledged = prop_oneof![
        3 => (1..6u64).prop_map(Acknowledged::BelowFirst),
        1 => (0..20u64).prop_map(Acknowledged::AboveBase),
    ];
    let operation = prop::collection::vec(any::<u8>(), 0..8).prop_map(Blob::from);
    let operations = prop::collection::vec(operation, 0..5);
    (client, 0..14u64, acknowledged, operations).prop_map(
        |(client, first, acknowledged, operations)| Asked {
            client,
            first,
            acknowledged,
            operations,
        },
    )
}

/// Remembers everything forever, and counts in numbers that do not end.
#[derive(Default)]
struct Model {
    journal: Vec<Blob>,
    clients: BTreeMap<ClientId, ModelClient>,
}

#[derive(Default)]
struct ModelClient {
    floor: u128,
    begin: u128,
    executed: BTreeMap<u128, Kept>,
}

impl ModelClient {
    fn highest(&self) -> u128 {
        self.executed.keys().next_back().map_or(self.begin, |highest| *highest)
    }

    fn kept(&self, number: u128) -> Option<&Kept> {
        self.executed.get(&number).filter(|_| number > self.floor)
    }

    fn kept_bytes(&self) -> u64 {
        let kept = self.executed.iter().filter(|(number, _)| **number > self.floor);
        kept.map(|(_, kept)| kept.result.len() as u64).sum()
    }
}

impl Model {
    fn from(base: u64) -> Model {
        let base = u128::from(base);
        let anna = ModelClient { floor: base, begin: base, ..ModelClient::default() };
        let clients = BTreeMap::from([(ANNA, anna), (BERT, ModelClient::default())]);
        Model { journal: Vec::new(), clients }
    }

    fn execute(&mut self, seq: u64, asked: &Asked, base: u64) -> Vec<Executed> {
        let (first, acknowledged) = asked.numbers(base);
        let (first, acknowledged) = (u128::from(first.0), u128::from(acknowledged.0));
        let refusal = self.refusal(asked, first, acknowledged);
        if let Some(client) = self.clients.get_mut(&asked.client)
            && refusal.is_none()
            && !asked.operations.is_empty()
        {
            client.floor = client.floor.max(acknowledged);
        }
        let mut outcomes = Vec::new();
        for (number, operation) in (first..).zip(&asked.operations) {
            let outcome = match refusal {
                Some(refusal) => Outcome::Refused(refusal),
                None => self.execute_one(seq, asked.client, number, operation),
            };
            let operation = match &outcome {
                Outcome::Executed(kept) | Outcome::Repeated(kept) => kept.operation,
                Outcome::Acknowledged | Outcome::Refused(_) => Digest::of(operation),
            };
            if let Ok(number) = u64::try_from(number) {
                outcomes.push(Executed { number: RequestNumber(number), operation, outcome });
            }
        }
        outcomes
    }

    fn refusal(&self, asked: &Asked, first: u128, acknowledged: u128) -> Option<Refusal> {
        let sizes: Vec<u64> = asked.operations.iter().map(|one| one.len() as u64).collect();
        let Some(client) = self.clients.get(&asked.client) else {
            return Some(Refusal::Unlisted);
        };
        if sizes.len() > 3 {
            return Some(Refusal::BundleTooLong { operations: sizes.len() as u64, limit: 3 });
        }
        if let Some(bytes) = sizes.iter().copied().max().filter(|bytes| *bytes > 6) {
            return Some(Refusal::OperationTooLarge { bytes, limit: 6 });
        }
        if sizes.iter().sum::<u64>() > 12 {
            return Some(Refusal::BundleTooLarge { bytes: sizes.iter().sum(), limit: 12 });
        }
        if first + sizes.len() as u128 > u128::from(u64::MAX) + 1 {
            return Some(Refusal::NumbersEnd);
        }
        if acknowledged >= first {
            return Some(Refusal::AcknowledgesItself);
        }
        if acknowledged > client.highest() + 4 {
            return Some(Refusal::AcknowledgesTooFar { limit: narrowed(client.highest() + 4) });
        }
        None
    }

    fn execute_one(
        &mut self,
        seq: u64,
        client: ClientId,
        number: u128,
        operation: &Blob,
    ) -> Outcome {
        let client = self.clients.get_mut(&client).expect("it is listed");
        if number <= client.floor {
            return Outcome::Acknowledged;
        }
        if let Some(kept) = client.kept(number) {
            return Outcome::Repeated(kept.clone());
        }
        if number > client.floor + 4 {
            return Outcome::Refused(Refusal::BeyondWindow { last: narrowed(client.floor + 4) });
        }
        let bytes = client.kept_bytes();
        let is_lowest = (client.floor + 1..number).all(|below| client.kept(below).is_some());
        if bytes + 7 > 20 || (bytes + 14 > 20 && !is_lowest) {
            return Outcome::Refused(Refusal::TooMuchKept { bytes, limit: 20 });
        }
        let count = self.journal.len() as u8;
        let result: Vec<u8> = operation.iter().copied().chain([count]).collect();
        let kept = Kept { operation: Digest::of(operation), seq: Seq(seq), result: result.into() };
        client.executed.insert(number, kept.clone());
        self.journal.push(operation.clone());
        Outcome::Executed(kept)
    }

    fn assert_agrees(&self, state: &State, base: u64) -> Result<(), TestCaseError> {
        for (id, client) in &self.clients {
            prop_assert_eq!(u128::from(state.floor(*id).0), client.floor);
            prop_assert_eq!(u128::from(state.highest(*id).0), client.highest());
            prop_assert_eq!(state.session(*id).standing().kept_bytes, client.kept_bytes());
            let base = if *id == ANNA { base } else { 0 };
            for number in (0..24).filter_map(|distance| base.checked_add(distance)) {
                let wide = u128::from(number);
                let status = match client.kept(wide) {
                    _ if wide <= client.floor => NumberStatus::Acknowledged,
                    Some(kept) => NumberStatus::Executed(kept.clone()),
                    None if wide > client.floor + 4 => NumberStatus::BeyondWindow,
                    None => NumberStatus::Open,
                };
                prop_assert_eq!(state.kept(*id, RequestNumber(number)), client.kept(wide).cloned());
                prop_assert_eq!(state.status(*id, RequestNumber(number)), status);
            }
        }
        Ok(())
    }
}

fn narrowed(number: u128) -> RequestNumber {
    RequestNumber(u64::try_from(number).unwrap_or(u64::MAX))
}
