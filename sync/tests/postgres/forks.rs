//! Gateways that were copied, restored or replaced, and a centre that was.

use alluvium_sync::postgres::{Advance, Error};
use alluvium_sync::remote::{Hash, Link, Manifest};

use crate::support::{Centre, Device, segment, unit};

#[tokio::test]
async fn what_does_not_follow_the_head_is_refused_and_the_head_told() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    for _ in 0..3 {
        ledger.advance(&device.step()).await.unwrap();
    }
    let next = device.next();
    let link = next.previous.unwrap();
    let before = centre.all_but("nobody").await;
    let stranger = Link { hash: Hash([1; 32]), ..link };
    let changes: Vec<(&str, Manifest)> = vec![
        ("other bytes of a known cut", Manifest { cut: 2, ..next.clone() }),
        ("another hash before it", Manifest { previous: Some(stranger), ..next.clone() }),
        ("records between", Manifest { after: next.after + 1, units: vec![], ..next.clone() }),
        ("records twice", Manifest { after: next.after - 1, ..next.clone() }),
        ("another device's first cut", {
            let other = Device::new("a");
            other.next()
        }),
    ];
    for (why, manifest) in changes {
        let answer = ledger.advance(&manifest.encode().unwrap()).await;
        let Err(Error::Conflict { head: Some(head) }) = answer else { panic!("{why}: {answer:?}") };
        assert_eq!((head.cut, head.hash), (3, link.hash), "{why}");
    }
    let ahead = Manifest { cut: 6, ..next.clone() };
    assert!(matches!(ledger.advance(&ahead.encode().unwrap()).await, Err(Error::Behind { head: Some(head) }) if head.cut == 3));
    assert_eq!(centre.all_but("nobody").await, before);
    assert_eq!(ledger.advance(&device.cut(&next)).await.unwrap(), Advance::Registered);
}

#[tokio::test]
async fn an_incarnation_forks_from_any_known_cut_and_the_old_one_is_kept() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    ledger.advance(&device.step()).await.unwrap();
    ledger.advance(&device.step()).await.unwrap();
    // Restored from here, as of cut 2, while the first went on to 4.
    let mut restored = device.forked();
    ledger.advance(&device.step()).await.unwrap();
    ledger.advance(&device.step()).await.unwrap();
    ledger.hold(&[segment(&device, 3, 1, 40)]).await.unwrap();
    assert_eq!(ledger.advance(&restored.step()).await.unwrap(), Advance::Registered);
    let head = ledger.head().await.unwrap().unwrap();
    assert_eq!((head.cut, head.order, head.incarnation), (3, 2, restored.incarnation));
    // What is delivered is asked of the new branch; the segment holds units of its own incarnation alone.
    assert_eq!(ledger.missing(1, 10).await.unwrap().iter().map(|unit| unit.cut).collect::<Vec<_>>(), [3]);
    assert_eq!(ledger.cuts(1, 10).await.unwrap().len(), 3);
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.cuts").await, 5);
    // The first device cannot go on, and is told why; its old cuts are still known.
    let answer = ledger.advance(&device.next().encode().unwrap()).await;
    assert!(matches!(answer, Err(Error::Conflict { head: Some(head) }) if head.incarnation == restored.incarnation));
    // It forks where both were the same.
    let common = Device { cut: 2, through: 20, previous: restored_link(&ledger, 2).await, ..device.forked() };
    let mut third = common;
    assert_eq!(ledger.advance(&third.step()).await.unwrap(), Advance::Registered);
    assert_eq!(ledger.advance(&third.step()).await.unwrap(), Advance::Registered);
    assert_eq!(ledger.head().await.unwrap().unwrap().order, 3);
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.incarnations WHERE branch_cut = 0").await, 1);
}

async fn restored_link(ledger: &alluvium_sync::postgres::Ledger, cut: u64) -> Option<Link> {
    let known = ledger.cuts(cut, 1).await.unwrap();
    Some(Link { incarnation: known[0].incarnation, hash: known[0].hash })
}

#[tokio::test]
async fn a_fork_from_a_cut_that_is_not_there_is_refused() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    ledger.advance(&device.step()).await.unwrap();
    let mut offline = device.clone();
    offline.step();
    let lost = offline.forked().next();
    assert!(
        matches!(ledger.advance(&lost.encode().unwrap()).await, Err(Error::UnknownPrevious { head: Some(head) }) if head.cut == 1)
    );
    // The right hash and cut of another incarnation do not do.
    let link = Link { incarnation: lost.incarnation, hash: device.previous.unwrap().hash };
    let fork = Manifest { previous: Some(link), ..device.forked().next() };
    assert!(matches!(ledger.advance(&fork.encode().unwrap()).await, Err(Error::UnknownPrevious { .. })));
    // Nor do other records.
    let fork = Manifest { after: 9, units: vec![], ..device.forked().next() };
    assert!(matches!(ledger.advance(&fork.encode().unwrap()).await, Err(Error::UnknownPrevious { .. })));
}

#[tokio::test]
async fn a_centre_that_was_rolled_back_is_told_again() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    let manifests: Vec<_> = (0..4).map(|_| device.step()).collect();
    let later = ledger.advance(&manifests[2]).await;
    assert!(matches!(later, Err(Error::Behind { head: None })), "{later:?}");
    ledger.advance(&manifests[0]).await.unwrap();
    let later = ledger.advance(&manifests[3]).await;
    let Err(Error::Behind { head: Some(head) }) = later else { panic!("{later:?}") };
    for bytes in &manifests[head.cut as usize..] {
        assert_eq!(ledger.advance(bytes).await.unwrap(), Advance::Registered);
    }
}

#[tokio::test]
async fn of_two_that_race_one_is_the_head() {
    let centre = Centre::new().await;
    let (ledger, secret) = centre.gateway("a").await;
    let mut device = Device::new("a");
    ledger.advance(&device.step()).await.unwrap();
    let racers: Vec<_> = (0..8)
        .map(|number| {
            let next = device.next();
            let manifest = Manifest { units: vec![unit(3, device.through + 1, device.through + 1 + number)], ..next };
            let ledger = alluvium_sync::postgres::Ledger::new(&centre.options(), "a", secret.clone()).unwrap();
            tokio::spawn(async move { ledger.advance(&manifest.encode().unwrap()).await })
        })
        .collect();
    let mut registered = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(Advance::Registered) => registered += 1,
            Err(Error::Conflict { head: Some(head) }) => assert_eq!(head.cut, 2),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((registered, centre.number("SELECT count(*) FROM alluvium.cuts").await), (1, 2));
}
