//! What an operator is told.

use alluvium_sync::remote::{Manifest, Period, PeriodKind, Table, TimeUnit};

use crate::support::{Centre, Device, cases, seed, segment, unit};

#[tokio::test]
async fn names_and_periods_are_those_of_the_format() {
    let mut random = fastrand::Rng::with_seed(seed());
    let centre = Centre::new().await;
    let name = "pump / Häuschen %41.'\"";
    let (ledger, _) = centre.gateway(name).await;
    let mut device = Device::new(name);
    ledger.advance(&device.step()).await.unwrap();
    let mut segments = Vec::new();
    for _ in 0..300 {
        let mut one = segment(&device, random.u32(..), 1, 10);
        let letters = ["a", "Z", "0", "-", "_", ".", "/", "%", " ", "é", "水", "🌊", "'", "\\", "="];
        one.key.name = (0..random.usize(1..8)).map(|_| letters[random.usize(..letters.len())]).collect();
        one.key.period = any_period(&mut random);
        segments.push(one);
    }
    assert_eq!(ledger.hold(&segments).await.unwrap().registered, 300);
    let told = ledger.segments(0, 1_000).await.unwrap();
    for (segment, told) in segments.iter().zip(told) {
        assert_eq!(segment.key.to_string(), told.key);
    }
    // Which periods hold which.
    for _ in 0..cases(2_000) {
        let one = any_period(&mut random);
        let mut other = any_period(&mut random);
        if random.u8(..4) > 0 {
            let spans = [0, 1, 3_600, 86_400, 28 * 86_400, 30 * 86_400, 31 * 86_400, 365 * 86_400, 366 * 86_400];
            other.start = one.start.saturating_add(spans[random.usize(..spans.len())] - random.i64(..2));
        }
        let statement = "SELECT alluvium.period_holds(a, $1, alluvium.period_end(a, $1), b, $2)
            FROM (SELECT alluvium.period_kind($3) AS a, alluvium.period_kind($4) AS b) AS kinds";
        let texts = (one.to_string(), other.to_string());
        let holds: bool = centre.sql.query_one(statement, &[&one.start, &other.start, &texts.0, &texts.1]).await.unwrap().get(0);
        assert_eq!(holds, one.holds(other), "{one} {other}");
    }
}

fn any_period(random: &mut fastrand::Rng) -> Period {
    let kinds = [PeriodKind::Hour, PeriodKind::Day, PeriodKind::Month, PeriodKind::Year];
    let start = match random.u8(..5) {
        0 => random.i64(..),
        1 => [
            i64::MIN,
            i64::MAX,
            -62_135_596_800,
            -62_135_596_801,
            253_402_300_799,
            253_402_300_800,
            253_399_622_400,
            253_370_764_800,
        ][random.usize(..8)],
        2 => random.i64(-62_200_000_000..253_500_000_000),
        _ => random.i64(0..60) * 31 * 86_400 + 1_600_000_000,
    };
    Period { kind: kinds[random.usize(..4)], start }
}

#[tokio::test]
async fn the_inventory_has_each_row_once() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    for _ in 0..4 {
        ledger.advance(&device.step()).await.unwrap();
    }
    let month = |mut one: alluvium_sync::postgres::Segment| {
        one.key.period = "month1761955200".parse().unwrap();
        one
    };
    let elsewhere = |mut one: alluvium_sync::postgres::Segment| {
        one.target = "second".to_owned();
        one
    };
    let again = |mut one: alluvium_sync::postgres::Segment| {
        one.key.hash.0[0] ^= 1;
        one
    };
    let one = |first, last| segment(&device, 3, first, last);
    let segments = [
        one(1, 10),                 // within the next but one
        one(11, 20),                // within the next
        one(1, 20),                 // within the month's
        month(one(1, 30)),          // read
        one(25, 40),                // read: it reaches farther
        elsewhere(one(1, 10)),      // read there
        segment(&device, 4, 1, 10), // another table's
        again(one(25, 40)),         // of the same records: this one is read
    ];
    ledger.hold(&segments).await.unwrap();
    assert_eq!(read(&centre).await, "1-10 4 primary, 1-10 3 second, 1-30 3 primary, 25-40 3 primary");
    let hash = centre.text("SELECT encode(hash, 'hex') FROM alluvium.inventory WHERE first_record = 25").await;
    assert_eq!(hash, segments[7].key.hash.to_string());
    // A fork at cut 2: records behind 20 are another device's.
    let known = ledger.cuts(2, 1).await.unwrap();
    let link = alluvium_sync::remote::Link { incarnation: known[0].incarnation, hash: known[0].hash };
    let mut forked = Device { cut: 2, through: 20, previous: Some(link), ..device.forked() };
    ledger.advance(&forked.step()).await.unwrap();
    assert_eq!(read(&centre).await, "1-10 4 primary, 1-10 3 second, 1-30 3 primary");
    assert_eq!(centre.number("SELECT DISTINCT branch_record FROM alluvium.inventory").await, 20);
    // A dropped table is not read.
    let dropped = Table { table: 4, name: "old".to_owned(), unit: TimeUnit::Nano, dropped: true };
    let next = forked.next();
    let next = Manifest { tables: vec![next.tables[0].clone(), dropped], ..next };
    ledger.advance(&forked.cut(&next)).await.unwrap();
    assert_eq!(read(&centre).await, "1-10 3 second, 1-30 3 primary");
}

async fn read(centre: &Centre) -> String {
    let list = "SELECT string_agg(format('%s-%s %s %s', first_record, last_record, table_number, target), ', '
        ORDER BY first_record, last_record, table_number DESC) FROM alluvium.inventory";
    centre.text(list).await
}

#[tokio::test]
async fn tables_get_new_names_and_metadata_sent_with_no_cut_are_seen() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    let first = device.with_metadata(0);
    ledger.advance(&device.cut(&first)).await.unwrap();
    let mut next = device.with_metadata(10);
    next.tables[0].name = "weather".to_owned();
    ledger.advance(&device.cut(&next)).await.unwrap();
    assert_eq!(centre.text("SELECT name || ' ' || cut FROM alluvium.tables").await, "weather 2");
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.metadata_between").await, 0);
    let late = device.with_metadata(21);
    let late = Manifest { units: vec![unit(3, 21, 30)], ..late };
    ledger.advance(&device.cut(&late)).await.unwrap();
    assert_eq!(centre.number("SELECT cut FROM alluvium.metadata_between").await, 3);
}
