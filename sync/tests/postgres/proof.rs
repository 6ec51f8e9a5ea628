//! The centre and the prover of buckets, told the same, conclude the same.

use alluvium_sync::postgres::{Advance, Ledger, Segment};
use alluvium_sync::prove::{Branch, Content, Prover};
use alluvium_sync::remote::{Gap, Hash, Key, Manifest, Period, Table, TimeUnit, Unit};

use crate::support::{Centre, Device, cases, seed, segment_of};

/// Periods that lie within each other: of November and December 2025, and where no calendar is.
fn period(random: &mut fastrand::Rng) -> Period {
    let texts = [
        "hour1764374400",
        "hour1764378000",
        "day1764374400",
        "day1764547200",
        "month1761955200",
        "month1764547200",
        "year1735689600",
        "year9223372036854775807",
        "hour-9223372036854775808",
    ];
    texts[random.usize(..texts.len())].parse().unwrap()
}

fn manifest(device: &Device, random: &mut fastrand::Rng) -> Manifest {
    let mut next = if random.bool() { device.next() } else { device.with_metadata(0) };
    let (after, through) = (next.after, next.through);
    next.tables = (1..=3)
        .map(|table| Table { table, name: format!("t{table}"), unit: TimeUnit::Milli, dropped: random.u8(..20) == 0 })
        .collect();
    let mut units: Vec<_> = (0..random.usize(..4))
        .map(|_| {
            let last = random.u64(after + 1..=through);
            let records = (random.u64(last.saturating_sub(12).max(1)..=last), last);
            let first = random.i64(0..50);
            Unit { table: random.u32(1..=3), period: period(random), records, rows: 1, first, last: first + random.i64(0..9) }
        })
        .collect();
    units.sort_by_key(|unit| (unit.table, unit.period, unit.records));
    units.dedup_by_key(|unit| (unit.table, unit.period, unit.records));
    next.units = units;
    if random.u8(..3) == 0 {
        let first = random.u64(..=through);
        next.gaps = vec![Gap {
            at: next.sealed_at,
            kind: "damage".to_owned(),
            sequences: random.bool().then(|| (first, random.u64(first..=through + 9))),
            table: random.bool().then(|| random.u32(1..=3)),
            times: random.bool().then(|| (random.i64(0..20), random.i64(30..70))),
            detail: String::new(),
        }];
    }
    next
}

/// What the bucket has when the centre was told all of it.
struct World<'a> {
    ledger: &'a Ledger,
    prover: Prover,
    name: &'a str,
}

impl World<'_> {
    async fn cut(&mut self, device: &mut Device, random: &mut fastrand::Rng) {
        let next = manifest(device, random);
        let bytes = device.cut(&next);
        assert_eq!(self.ledger.advance(&bytes).await.unwrap(), Advance::Registered);
        let (gateway, incarnation, cut) = (self.name.to_owned(), device.incarnation, next.cut);
        self.prover.see(&Key::Manifest { gateway: gateway.clone(), incarnation, cut, hash: None }, &Content::Bytes(bytes));
        let hash: Option<Hash> = next.metadata.map(|delta| delta.hash);
        if let Some(hash) = hash.filter(|_| random.u8(..6) > 0) {
            self.ledger.metadata(incarnation, cut, &[], true).await.unwrap();
            self.prover.see(&Key::Metadata { gateway, incarnation, cut, hash }, &Content::Unread);
        }
    }

    async fn hold(&mut self, device: &Device, random: &mut fastrand::Rng) {
        let segments = (0..random.usize(1..6)).map(|_| {
            let last = random.u64(1..=device.through);
            segment_of(device, random.u32(1..=3), period(random), random.u64(last.saturating_sub(40).max(1)..=last), last)
        });
        let segments: Vec<Segment> = segments.collect();
        let held = self.ledger.hold(&segments).await.unwrap();
        for (at, one) in segments.into_iter().enumerate() {
            if !held.unannounced.contains(&at) {
                self.prover.see(&Key::Segment(one.key), &Content::Unread);
            }
        }
    }
}

#[tokio::test]
async fn both_conclude_the_same() {
    let mut random = fastrand::Rng::with_seed(seed());
    let centre = Centre::new().await;
    for case in 0..cases(40) {
        let name = format!("gateway {case}");
        let (ledger, _) = centre.gateway(&name).await;
        let mut world = World { ledger: &ledger, prover: Prover::new(&name), name: &name };
        let mut devices = vec![Device::new(&name)];
        let mut cuts: Vec<Device> = Vec::new();
        for _ in 0..random.usize(3..25) {
            let last = devices.len() - 1;
            match random.u8(..10) {
                0 if !cuts.is_empty() => {
                    let mut forked = cuts[random.usize(..cuts.len())].forked();
                    world.cut(&mut forked, &mut random).await;
                    cuts.push(forked.clone());
                    devices.push(forked);
                }
                1..=4 if devices[last].cut > 0 => {
                    let of = random.usize(..devices.len());
                    world.hold(&devices[of].clone(), &mut random).await;
                }
                _ => {
                    world.cut(&mut devices[last], &mut random).await;
                    cuts.push(devices[last].clone());
                }
            }
        }
        compare(&centre, &name, &devices[devices.len() - 1], world.prover, &ledger).await;
    }
}

async fn compare(centre: &Centre, name: &str, last: &Device, prover: Prover, ledger: &Ledger) {
    let proof = prover.conclude();
    let Some(head) = ledger.head().await.unwrap() else { return };
    assert_eq!(head.incarnation, last.incarnation);
    let branch: &Branch = proof.branches.iter().find(|branch| branch.incarnation == head.incarnation).unwrap();
    let status = centre.owner.status(Some(name)).await.unwrap();
    let status = &status.gateways[0];
    assert_eq!(status.delivered_through, branch.delivered_through.map(|delivered| delivered.cut), "{name} {branch:?}");
    let statement =
        "SELECT cut, table_number, period, first_record, last_record, stated FROM alluvium.missing WHERE gateway_name = $1";
    let rows = centre.sql.query(statement, &[&name]).await.unwrap();
    let mut got: Vec<_> = rows
        .iter()
        .map(|row| {
            let (cut, table, period): (i64, i64, &str) = (row.get(0), row.get(1), row.get(2));
            let records: (i64, i64) = (row.get(3), row.get(4));
            (
                cut as u64,
                table as u32,
                period.parse::<Period>().unwrap(),
                (records.0 as u64, records.1 as u64),
                row.get::<_, bool>(5),
            )
        })
        .collect();
    got.sort_unstable();
    let wanted: Vec<_> =
        branch.missing.iter().map(|unit| (unit.cut, unit.table, unit.period, unit.records, unit.stated)).collect();
    assert_eq!(got, wanted, "{name}");
    let told = ledger.missing(1, 10_000).await.unwrap();
    assert_eq!(told.len(), wanted.iter().filter(|unit| !unit.4).count());
    assert_eq!(ledger.cuts(1, 10_000).await.unwrap().len() as u64, branch.cuts);
}
