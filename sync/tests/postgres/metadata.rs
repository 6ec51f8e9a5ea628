//! Replicated metadata: the newest line of each key holds.

use std::collections::BTreeMap;

use alluvium_sync::postgres::{Applied, Ledger, Line};
use serde_json::{Value, json};

use crate::support::{Centre, Device, cases, seed};

fn line(sequence: u64, kind: &str, key: &[&str], value: Value) -> Line {
    Line { sequence, kind: kind.to_owned(), key: key.iter().map(|text| (*text).to_owned()).collect(), value }
}

async fn with_delta(ledger: &Ledger, device: &mut Device, after: u64) {
    let next = device.with_metadata(after);
    ledger.advance(&device.cut(&next)).await.unwrap();
}

#[tokio::test]
async fn lines_are_kept_until_newer_ones_come() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    with_delta(&ledger, &mut device, 0).await;
    let lines = [
        line(5, "document", &["devices", "pump-7"], json!({"floor": 2})),
        line(6, "table", &["3"], json!({"tags": ["room"]})),
        line(7, "series", &["3", "cellar"], json!({})),
        line(8, "principal", &["nul\0"], json!("a\0b")),
    ];
    assert_eq!(ledger.metadata(device.incarnation, 1, &lines, false).await.unwrap(), Applied::Newer(4));
    assert_eq!(ledger.metadata(device.incarnation, 1, &lines, false).await.unwrap(), Applied::Newer(0));
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.missing_metadata").await, 1);
    ledger.metadata(device.incarnation, 1, &[], true).await.unwrap();
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.missing_metadata").await, 0);
    assert_eq!(centre.text("SELECT definition #>> '{tags,0}' FROM alluvium.tables").await, "room");
    assert_eq!(centre.text("SELECT series[1] FROM alluvium.series WHERE table_number = 3").await, "cellar");
    // A tombstone, and an older line that comes late.
    let late = [line(9, "document", &["devices", "pump-7"], Value::Null)];
    assert_eq!(ledger.metadata(device.incarnation, 1, &late, true).await.unwrap(), Applied::Newer(1));
    assert_eq!(ledger.metadata(device.incarnation, 1, &lines, true).await.unwrap(), Applied::Newer(0));
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.current_metadata WHERE kind = 'document'").await, 0);
    for (incarnation, cut) in [(device.incarnation, 2), (Device::new("a").incarnation, 1)] {
        assert_eq!(ledger.metadata(incarnation, cut, &lines, true).await.unwrap(), Applied::UnknownCut);
    }
}

#[tokio::test]
async fn in_whatever_order_lines_come_the_newest_holds() {
    let mut random = fastrand::Rng::with_seed(seed());
    let centre = Centre::new().await;
    for case in 0..cases(8) {
        let name = format!("gateway {case}");
        let (ledger, _) = centre.gateway(&name).await;
        let mut devices = vec![Device::new(&name)];
        with_delta(&ledger, &mut devices[0], 0).await;
        for _ in 1..3 {
            let mut forked = devices[devices.len() - 1].forked();
            let after = forked.through;
            with_delta(&ledger, &mut forked, after).await;
            devices.push(forked);
        }
        let mut expected: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        let mut calls = Vec::new();
        for _ in 0..random.usize(1..30) {
            let order = random.usize(..devices.len());
            let batch = (0..random.usize(1..8)).map(|_| {
                let (key, sequence) = (format!("k{}", random.u8(..6)), random.u64(1..40));
                let newest = expected.entry(key.clone()).or_default();
                *newest = (*newest).max((order, sequence));
                // Of one incarnation and sequence there is one state.
                line(sequence, "document", &[&key], json!([order, sequence, key]))
            });
            calls.push((order, batch.collect::<Vec<_>>()));
        }
        random.shuffle(&mut calls);
        for (order, batch) in calls {
            let device = &devices[order];
            ledger.metadata(device.incarnation, device.cut, &batch, random.bool() && order > 0).await.unwrap();
        }
        let rows = centre
            .sql
            .query(
                "SELECT key[1], value::text FROM alluvium.metadata m JOIN alluvium.gateways g USING (gateway) WHERE name = $1",
                &[&name],
            )
            .await
            .unwrap();
        let got: BTreeMap<String, Value> =
            rows.iter().map(|row| (row.get(0), serde_json::from_str(row.get(1)).unwrap())).collect();
        let wanted: BTreeMap<String, Value> =
            expected.into_iter().map(|(key, (order, sequence))| (key.clone(), json!([order, sequence, key]))).collect();
        assert_eq!(got, wanted, "case {case}");
    }
}

#[tokio::test]
async fn one_that_was_restored_sends_all_there_are() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    with_delta(&ledger, &mut device, 0).await;
    let mut restored = device.forked();
    with_delta(&ledger, &mut device, 10).await;
    let one = |sequence, key: &str| line(sequence, "document", &[key], json!(sequence));
    ledger.metadata(device.incarnation, 1, &[one(1, "both"), one(2, "first")], true).await.unwrap();
    with_delta(&ledger, &mut restored, 0).await;
    let keys = "SELECT string_agg(key[1], ' ' ORDER BY key) FROM alluvium.current_metadata";
    // Until they are all there nothing is taken away.
    ledger.metadata(restored.incarnation, 2, &[one(1, "both")], false).await.unwrap();
    assert_eq!(centre.text(keys).await, "both first");
    ledger.metadata(restored.incarnation, 2, &[one(3, "second")], true).await.unwrap();
    assert_eq!(centre.text(keys).await, "both second");
    // Lines of the one before that come late change nothing of that.
    ledger.metadata(device.incarnation, 2, &[one(12, "third"), one(13, "both")], true).await.unwrap();
    assert_eq!(centre.text(keys).await, "both second");
    assert_eq!(centre.text("SELECT value::text FROM alluvium.current_metadata WHERE key[1] = 'both'").await, "1");
}

#[tokio::test]
async fn keys_may_be_longer_than_an_index_takes() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    with_delta(&ledger, &mut device, 0).await;
    let mut random = fastrand::Rng::with_seed(1);
    let long: String = (0..30_000).map(|_| random.alphanumeric()).collect();
    let other = format!("{long}!");
    let lines = [
        line(1, "item", &[&long], json!(1)),
        line(1, "item", &[&other], json!(2)),
        line(1, "item", &["a", "b"], json!(3)),
        line(1, "item", &["a\",\"b"], json!(4)),
    ];
    assert_eq!(ledger.metadata(device.incarnation, 1, &lines, true).await.unwrap(), Applied::Newer(4));
}
