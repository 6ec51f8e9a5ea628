//! One gateway goes forward.

use alluvium_sync::postgres::{Advance, Error};
use alluvium_sync::remote::{Hash, Manifest};

use crate::support::{Centre, Device, segment};

#[tokio::test]
async fn a_chain_is_registered_held_and_told() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("pump-house").await;
    let mut device = Device::new("pump-house");
    assert_eq!(ledger.head().await.unwrap(), None);
    for number in 1..=5 {
        let bytes = device.step();
        assert_eq!(ledger.advance(&bytes).await.unwrap(), Advance::Registered);
        let head = ledger.head().await.unwrap().unwrap();
        assert_eq!((head.cut, head.hash, head.order), (number, Hash::of(&bytes), 1));
        assert_eq!((head.incarnation, head.through), (device.incarnation, number * 10));
        assert_eq!(head.audit.unwrap().number, number);
        // PostgreSQL keeps microseconds.
        assert_eq!(head.sealed_at.to_string(), "2025-11-29T12:00:00.123457Z");
    }
    let missing = ledger.missing(1, 100).await.unwrap();
    assert_eq!(missing.iter().map(|unit| (unit.cut, unit.records)).collect::<Vec<_>>()[..2], [(1, (1, 10)), (2, (11, 20))]);
    // Segments come in any order; one holds several units.
    let held = ledger.hold(&[segment(&device, 3, 31, 50), segment(&device, 3, 1, 10)]).await.unwrap();
    assert_eq!((held.registered, held.known, held.unannounced.len()), (2, 0, 0));
    let missing = ledger.missing(1, 100).await.unwrap();
    assert_eq!(missing.iter().map(|unit| unit.cut).collect::<Vec<_>>(), [2, 3]);
    let status = centre.owner.status(None).await.unwrap();
    let gateway = &status.gateways[0];
    assert_eq!((gateway.delivered_through, gateway.missing, gateway.cuts_behind), (Some(1), 2, 4));
    ledger.hold(&[segment(&device, 3, 11, 30)]).await.unwrap();
    let status = centre.owner.status(Some("pump-house")).await.unwrap();
    assert_eq!((status.gateways[0].delivered_through, status.gateways[0].cuts_behind), (Some(5), 0));
    assert!(status.gateways[0].lag_seconds.unwrap() > 0.0);
    assert_eq!(ledger.missing(1, 100).await.unwrap(), []);
}

#[tokio::test]
async fn everything_may_be_said_again() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    let manifests: Vec<_> = (0..4).map(|_| device.step()).collect();
    for bytes in &manifests {
        ledger.advance(bytes).await.unwrap();
    }
    let segments = [segment(&device, 3, 1, 10), segment(&device, 3, 11, 40)];
    ledger.hold(&segments).await.unwrap();
    let before = centre.all_but("nobody").await;
    for bytes in &manifests {
        assert_eq!(ledger.advance(bytes).await.unwrap(), Advance::Already);
    }
    let again = ledger.hold(&segments).await.unwrap();
    assert_eq!((again.registered, again.known), (0, 2));
    assert_eq!(centre.all_but("nobody").await, before);
}

#[tokio::test]
async fn what_is_known_is_told_in_pages() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    let mut hashes = Vec::new();
    for _ in 0..7 {
        let bytes = device.step();
        ledger.advance(&bytes).await.unwrap();
        hashes.push(Hash::of(&bytes));
    }
    let (mut told, mut from) = (Vec::new(), 1);
    while let Some(last) = ledger.cuts(from, 3).await.unwrap().pop() {
        told.extend(ledger.cuts(from, 3).await.unwrap().into_iter().map(|cut| cut.hash));
        from = last.cut + 1;
    }
    assert_eq!(told, hashes);
    let segments: Vec<_> = (0..7).map(|at| segment(&device, 3, at * 10 + 1, at * 10 + 10)).collect();
    ledger.hold(&segments).await.unwrap();
    let (mut keys, mut after) = (Vec::new(), 0);
    loop {
        let page = ledger.segments(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id;
        keys.extend(page.into_iter().map(|segment| segment.key));
    }
    assert_eq!(keys, segments.iter().map(|segment| segment.key.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn segments_of_cuts_that_are_not_there_are_named_and_not_taken() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    let stranger = Device::new("a");
    assert_eq!(ledger.hold(&[segment(&device, 3, 1, 10)]).await.unwrap().unannounced, [0]);
    ledger.advance(&device.step()).await.unwrap();
    let told = [segment(&device, 3, 1, 11), segment(&device, 3, 1, 10), segment(&stranger, 3, 1, 10)];
    let held = ledger.hold(&told).await.unwrap();
    assert_eq!((held.registered, held.unannounced), (1, vec![0, 2]));
    let other = Device { name: "b".to_owned(), ..device };
    assert!(matches!(ledger.hold(&[segment(&other, 3, 1, 10)]).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_large_manifest_of_a_long_time_offline_is_taken() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    let next = device.next();
    let one = next.units[0].clone();
    let hour = |at: i64| format!("hour{}", at * 3_600).parse().unwrap();
    let units = (0..20_000).map(|at| alluvium_sync::remote::Unit { period: hour(at), ..one.clone() }).collect();
    let bytes = device.cut(&Manifest { units, ..next });
    assert_eq!(ledger.advance(&bytes).await.unwrap(), Advance::Registered);
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.units").await, 20_000);
}

#[tokio::test]
async fn a_connection_that_is_not_used_is_closed_and_made_again() {
    let centre = Centre::new().await;
    let secret = centre.owner.provision("a").await.unwrap();
    let mut options = centre.options();
    options.idle = std::time::Duration::from_millis(300);
    let ledger = alluvium_sync::postgres::Ledger::new(&options, "a", secret).unwrap();
    let mut device = Device::new("a");
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'alluvium_gateway' AND datname = current_database()";
    for _ in 0..2 {
        ledger.advance(&device.step()).await.unwrap();
        assert_eq!(centre.number(sessions).await, 1);
        // Used again and again it stays.
        for _ in 0..4 {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            ledger.head().await.unwrap();
        }
        assert_eq!(centre.number(sessions).await, 1);
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
        assert_eq!(centre.number(sessions).await, 0);
    }
    ledger.head().await.unwrap();
    ledger.disconnect().await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(centre.number(sessions).await, 0);
}
