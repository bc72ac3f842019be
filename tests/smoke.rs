//! temporary
mod world;
use quorate::service::kv::KvOperation;
use quorate::types::*;
use quorate::wire::Blob;
use world::World;

fn put(key: &str, value: &str) -> Vec<u8> {
    KvOperation::Put { key: Blob::from(key), value: Blob::from(value) }.to_bytes()
}

#[test]
fn normal() {
    let mut w = World::new(4);
    for i in 1..=40u64 {
        let r = w.request(0, i, i - 1, &[&put("a", &i.to_string())]);
        w.submit(&r, ReplicaId(0));
        w.deliver_all();
    }
    assert_eq!(w.executed(), [40; 4]);
    assert_eq!(w.replies(0, 40).len(), 4);
    for n in &w.nodes { assert_eq!(n.replica.as_ref().unwrap().stable(), Seq(40)); println!("{:?} {:?}", n.replica.as_ref().unwrap().held(), n.disk.log.len()); }
}

#[test]
fn primary_dies() {
    let mut w = World::new(4);
    for i in 1..=5u64 {
        let r = w.request(0, i, i - 1, &[&put("a", &i.to_string())]);
        w.submit(&r, ReplicaId(0));
        w.deliver_all();
    }
    w.crash(ReplicaId(0));
    let r = w.request(0, 6, 5, &[&put("a", "x")]);
    for id in 1..4 { w.submit(&r, ReplicaId(id)); }
    w.pass(Span::seconds(5));
    for n in &w.nodes { println!("{:?}", n.notices); }
    assert_eq!(w.replies(0, 6).len(), 3);
    w.start(ReplicaId(0), false);
    w.pass(Span::seconds(5));
    assert_eq!(w.views(), [View(1); 4]);
    assert_eq!(w.executed(), [6; 4]);
}

#[test]
fn all_die() {
    let mut w = World::new(4);
    for i in 1..=13u64 {
        let r = w.request(0, i, i - 1, &[&put("a", &i.to_string())]);
        w.submit(&r, ReplicaId(0));
        w.deliver_all();
    }
    for id in w.ids() { w.crash(id); }
    for id in w.ids() { w.start(id, false); }
    w.pass(Span::seconds(5));
    for n in &w.nodes { println!("{:?}", &n.notices); }
    assert_eq!(w.executed(), [13; 4]);
    assert_eq!(w.views(), [View(0); 4]);
}

#[test]
fn lost_disk() {
    let mut w = World::new(4);
    for i in 1..=13u64 {
        let r = w.request(0, i, i - 1, &[&put(&format!("a{i}"), &i.to_string())]);
        w.submit(&r, ReplicaId(0));
        w.deliver_all();
    }
    w.crash(ReplicaId(3));
    w.node_mut(ReplicaId(3)).disk = Default::default();
    w.start(ReplicaId(3), false);
    w.pass(Span::seconds(3));
    println!("{:?} {:?}", w.replica(3).standing(), w.node(ReplicaId(3)).notices);
    assert_eq!(*w.replica(3).standing(), quorate::replica::Standing::Halted);
    w.crash(ReplicaId(3));
    w.node_mut(ReplicaId(3)).disk = Default::default();
    w.start(ReplicaId(3), true);
    w.pass(Span::seconds(10));
    println!("{:?} {:?}", w.replica(3).standing(), w.node(ReplicaId(3)).notices);
    println!("{:?}", w.executed());
    assert_eq!(*w.replica(3).standing(), quorate::replica::Standing::Voting);
    assert_eq!(w.views(), [View(0); 4]);
}

#[test]
fn left_behind() {
    let mut w = World::new(4);
    w.filters.push(("3".into(), Box::new(|f| f.to == ReplicaId(3))));
    for i in 1..=45u64 {
        let r = w.request(0, i, i - 1, &[&put(&format!("a{i}"), &i.to_string())]);
        w.submit(&r, ReplicaId(0));
        w.deliver_all();
    }
    w.filters.clear();
    w.pass(Span::seconds(5));
    println!("{:?}", w.node(ReplicaId(3)).notices);
    assert_eq!(w.executed(), [45; 4]);
    assert_eq!(w.views(), [View(0); 4]);
}
