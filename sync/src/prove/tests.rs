use super::*;
use crate::remote::{AuditHead, Delta, FORMAT, PeriodKind, Table, TimeUnit, Unit};

const OLD: Incarnation = Incarnation([1; 16]);
const NEW: Incarnation = Incarnation([2; 16]);
const DAY: Period = Period { kind: PeriodKind::Day, start: 0 };
const GATEWAY: &str = "g";

/// A cut of ten records and one unit, behind another one.
fn cut(incarnation: Incarnation, number: u64, previous: Option<(Incarnation, &Manifest)>) -> Manifest {
    Manifest {
        format: FORMAT.to_owned(),
        gateway: GATEWAY.to_owned(),
        incarnation,
        cut: number,
        previous: previous.map(|(incarnation, before)| Link { incarnation, hash: Hash::of(&before.encode().unwrap()) }),
        after: 10 * (number - 1),
        through: 10 * number,
        sealed_at: Timestamp::from_second(number as i64).unwrap(),
        audit: Some(AuditHead { number, hash: Hash([9; 32]) }),
        tables: vec![Table { table: 1, name: "air".to_owned(), unit: TimeUnit::Milli, dropped: false }],
        units: vec![Unit { table: 1, period: DAY, records: (10 * number - 8, 10 * number), rows: 5, first: 0, last: 4 }],
        metadata: None,
        erasures: Vec::new(),
        gaps: Vec::new(),
    }
}

/// Cuts 1 to `last` of one incarnation.
fn chain(last: u64) -> Vec<Manifest> {
    let mut cuts: Vec<Manifest> = Vec::new();
    for number in 1..=last {
        let next = cut(OLD, number, cuts.last().map(|before| (OLD, before)));
        cuts.push(next);
    }
    cuts
}

/// Of the units of some cuts.
fn segment(incarnation: Incarnation, cuts: (u64, u64)) -> SegmentKey {
    let records = (10 * cuts.0 - 8, 10 * cuts.1);
    let hash = Hash::of(format!("{cuts:?}").as_bytes());
    SegmentKey { name: "air".to_owned(), table: 1, period: DAY, gateway: GATEWAY.to_owned(), incarnation, records, hash }
}

fn told(manifests: &[Manifest], segments: &[SegmentKey]) -> Prover {
    let mut prover = Prover::new(GATEWAY);
    for manifest in manifests {
        prover.manifest(manifest.incarnation, manifest.cut, None, &manifest.encode().unwrap());
    }
    segments.iter().for_each(|key| prover.segment(key, None));
    prover
}

fn delivered(cut: u64) -> Option<Delivered> {
    Some(Delivered { cut, record: 10 * cut, sealed_at: Timestamp::from_second(cut as i64).unwrap() })
}

fn lacks(cut: u64, stated: bool) -> Missing {
    Missing { cut, table: 1, period: DAY, records: (10 * cut - 8, 10 * cut), stated }
}

#[test]
fn all_is_there_in_whatever_order_it_is_told() {
    let mut manifests = chain(5);
    let segments = [segment(OLD, (1, 3)), segment(OLD, (4, 4)), segment(OLD, (5, 5))];
    let proof = told(&manifests, &segments).conclude();
    assert!(proof.holds(), "{proof:?}");
    let whole = Branch { incarnation: OLD, last: 5, delivered_through: delivered(5), cuts: 5, units: 5, missing: Vec::new() };
    assert_eq!(proof.branches, [whole]);
    manifests.reverse();
    assert_eq!(told(&manifests, &segments).conclude(), proof);
    // Twice the same is the same; others' segments are none of this gateway's.
    let mut prover = told(&manifests, &segments);
    prover.segment(&segments[0], Some(segments[0].hash));
    let others = SegmentKey { gateway: "h".to_owned(), records: (90, 90), ..segment(OLD, (1, 1)) };
    prover.see(&Key::Segment(others), &Content::Unread);
    prover.manifest(OLD, 5, Some(Hash::of(&manifests[0].encode().unwrap())), &manifests[0].encode().unwrap());
    assert_eq!(prover.conclude(), proof);
}

#[test]
fn nothing_is_proved_of_nothing() {
    let proof = Prover::new(GATEWAY).conclude();
    assert_eq!(proof, Proof { branches: Vec::new(), problems: Vec::new() });
}

#[test]
fn what_is_missing_is_named_and_ends_what_counts_as_delivered() {
    let proof = told(&chain(4), &[segment(OLD, (1, 2)), segment(OLD, (4, 4))]).conclude();
    assert_eq!(proof.problems, []);
    assert!(!proof.holds());
    assert_eq!((proof.branches[0].delivered_through, &proof.branches[0].missing[..]), (delivered(2), &[lacks(3, false)][..]));
    let [hour, month] = [PeriodKind::Hour, PeriodKind::Month].map(|kind| Period { kind, start: 0 });
    // Neither another table's segment, nor another period's, nor one that lacks a record of each holds it.
    let others = [
        SegmentKey { table: 2, ..segment(OLD, (1, 4)) },
        SegmentKey { period: Period { kind: PeriodKind::Day, start: 86_400 }, ..segment(OLD, (1, 4)) },
    ];
    assert!(!told(&chain(4), &[SegmentKey { period: hour, ..segment(OLD, (1, 4)) }]).conclude().holds());
    assert!(told(&chain(4), &[SegmentKey { period: month, ..segment(OLD, (1, 4)) }]).conclude().holds());
    let short = (1..=4).flat_map(|cut| {
        let whole = segment(OLD, (cut, cut));
        let (first, last) = whole.records;
        [SegmentKey { records: (first + 1, last), ..whole.clone() }, SegmentKey { records: (first, last - 1), ..whole }]
    });
    let others: Vec<_> = others.into_iter().chain(short).collect();
    let proof = told(&chain(4), &others).conclude();
    assert_eq!(proof.branches[0].missing, [1, 2, 3, 4].map(|cut| lacks(cut, false)));
    assert_eq!(proof.branches[0].delivered_through, None);
}

#[test]
fn a_loss_that_is_stated_is_no_failure() {
    let gap = |table, sequences, times| Gap {
        at: Timestamp::UNIX_EPOCH,
        kind: "segment_damage".to_owned(),
        sequences: Some(sequences),
        table,
        times,
        detail: String::new(),
    };
    for (table, sequences, times, stated) in [
        (Some(1), (22, 30), None, true),
        (None, (1, 40), Some((0, 4)), true),
        (Some(2), (22, 30), None, false),
        (Some(1), (23, 30), None, false),
        (Some(1), (22, 29), None, false),
        (Some(1), (22, 30), Some((1, 4)), false),
        (Some(1), (22, 30), Some((0, 3)), false),
    ] {
        let mut manifests = chain(3);
        manifests.push(Manifest { gaps: vec![gap(table, sequences, times)], ..cut(OLD, 4, Some((OLD, &manifests[2]))) });
        let proof = told(&manifests, &[segment(OLD, (1, 2)), segment(OLD, (4, 4))]).conclude();
        assert_eq!(proof.branches[0].missing, [lacks(3, stated)], "{table:?} {sequences:?} {times:?}");
        assert_eq!(proof.holds(), stated);
        assert_eq!(proof.branches[0].delivered_through, delivered(if stated { 4 } else { 2 }));
    }
}

#[test]
fn a_chain_with_a_manifest_changed_left_out_or_doubled_is_found() {
    let segments = [segment(OLD, (1, 4))];
    let left_out: Vec<_> = chain(4).into_iter().filter(|manifest| manifest.cut != 2).collect();
    let proof = told(&left_out, &segments).conclude();
    let none = Problem::NoManifest { incarnation: OLD, cut: 2 };
    assert_eq!(proof.problems, [none]);
    assert_eq!(proof.branches[0].delivered_through, None);

    let mut changed = chain(4);
    changed[1].units[0].rows = 6;
    let proof = told(&changed, &segments).conclude();
    let why = "the manifest before it is not the one that it follows";
    assert_eq!(proof.problems, [Problem::Broken { incarnation: OLD, cut: 3, why }]);

    let mut between = chain(2);
    between.push(Manifest { after: 21, ..cut(OLD, 3, Some((OLD, &between[1]))) });
    let proof = told(&between, &[segment(OLD, (1, 3))]).conclude();
    let why = "it does not begin at the record at which the cut before it ends";
    assert_eq!(proof.problems, [Problem::Broken { incarnation: OLD, cut: 3, why }]);

    let mut prover = told(&chain(2), &[segment(OLD, (1, 2))]);
    let other = Manifest { sealed_at: Timestamp::UNIX_EPOCH, ..chain(2).remove(1) };
    prover.manifest(OLD, 2, None, &other.encode().unwrap());
    assert_eq!(prover.conclude().problems, [Problem::Conflict { incarnation: OLD, cut: 2 }]);
}

#[test]
fn objects_that_are_not_what_they_are_called_do_not_count() {
    let manifests = chain(2);
    let bytes = manifests[1].encode().unwrap();
    let names = |proof: &Proof| -> Vec<String> {
        let altered = proof.problems.iter().filter_map(|problem| match problem {
            Problem::Altered { key, why } => Some(format!("{key}: {why}")),
            _ => None,
        });
        altered.collect()
    };
    let first = told(&manifests[..1], &[segment(OLD, (1, 1))]);
    let [name, named] = [None, Some(Hash([0; 32]))]
        .map(|hash| Key::Manifest { gateway: GATEWAY.to_owned(), incarnation: OLD, cut: 2, hash }.to_string());
    let mut prover = told(&manifests[..1], &[segment(OLD, (1, 1))]);
    prover.manifest(OLD, 2, Some(Hash([0; 32])), &bytes);
    prover.manifest(OLD, 2, None, b"{}");
    let proof = prover.conclude();
    assert_eq!(proof.branches, first.conclude().branches);
    assert_eq!(names(&proof)[0], format!("{named}: its hash is another"));
    assert!(names(&proof)[1].starts_with(&format!("{name}: missing field")), "{:?}", names(&proof));

    // A manifest under another's name.
    let mut prover = told(&manifests, &[]);
    prover.manifest(NEW, 2, None, &bytes);
    prover.manifest(OLD, 3, None, &bytes);
    assert_eq!(names(&prover.conclude()).len(), 2);

    let mut prover = told(&manifests, &[segment(OLD, (1, 1))]);
    prover.segment(&segment(OLD, (2, 2)), Some(Hash([0; 32])));
    let proof = prover.conclude();
    assert_eq!(names(&proof), [format!("{}: its hash is another", segment(OLD, (2, 2)))]);
    assert_eq!(proof.branches[0].missing, [lacks(2, false)]);
}

fn delta(hash: Hash, after: u64, through: u64) -> Delta {
    Delta { hash, bytes: 2, keys: 1, after, through, at: Timestamp::UNIX_EPOCH }
}

#[test]
fn metadata_that_a_cut_names_have_to_be_there() {
    let hash = Hash::of(b"{}");
    let manifests = [Manifest { metadata: Some(delta(hash, 0, 12)), ..cut(OLD, 1, None) }];
    let segments = [segment(OLD, (1, 1))];
    let proof = told(&manifests, &segments).conclude();
    assert_eq!(proof.problems, [Problem::NoMetadata { incarnation: OLD, cut: 1 }]);
    assert_eq!(proof.branches[0].delivered_through, None);
    let mut prover = told(&manifests, &segments);
    prover.metadata(OLD, 1, hash, Some(hash));
    assert!(prover.conclude().holds());
    let mut prover = told(&manifests, &segments);
    prover.metadata(OLD, 1, hash, Some(Hash([0; 32])));
    assert_eq!(prover.conclude().problems.len(), 2);
}

#[test]
fn a_restored_gateway_goes_on_and_a_copied_one_has_two_ends() {
    let mut manifests = chain(3);
    manifests.push(cut(NEW, 4, Some((OLD, &manifests[2]))));
    manifests.push(cut(NEW, 5, Some((NEW, &manifests[3]))));
    let segments = [segment(OLD, (1, 3)), segment(NEW, (4, 5))];
    let proof = told(&manifests, &segments).conclude();
    assert!(proof.holds(), "{proof:?}");
    assert_eq!(proof.branches.len(), 1);
    assert_eq!((proof.branches[0].incarnation, proof.branches[0].cuts), (NEW, 5));
    assert_eq!(proof.branches[0].delivered_through, delivered(5));
    // The old one is still at it.
    manifests.push(cut(OLD, 4, Some((OLD, &manifests[2]))));
    let proof = told(&manifests, &segments).conclude();
    let ends: Vec<_> = proof.branches.iter().map(|branch| (branch.incarnation, branch.last, branch.delivered_through)).collect();
    assert_eq!(ends, [(OLD, 4, delivered(3)), (NEW, 5, delivered(5))]);
    // What the new one never got of the old one, it may state to be lost.
    let proof = told(&manifests, &[segment(OLD, (1, 2)), segment(NEW, (4, 5))]).conclude();
    assert_eq!(proof.branches[1].missing, [lacks(3, false)]);
}

#[test]
fn segments_of_records_that_no_manifest_speaks_of_are_named() {
    let beyond = SegmentKey { records: (1, u64::MAX), ..segment(OLD, (1, 1)) };
    let other = segment(NEW, (1, 2));
    let proof = told(&chain(2), &[segment(OLD, (1, 2)), beyond, other]).conclude();
    let unannounced = |incarnation, record| Problem::Unannounced { incarnation, record };
    assert_eq!(proof.problems, [unannounced(OLD, u64::MAX), unannounced(NEW, 20)]);
    let left_out: Vec<_> = chain(3).into_iter().filter(|manifest| manifest.cut != 2).collect();
    let proof = told(&left_out, &[segment(OLD, (2, 2))]).conclude();
    assert!(proof.problems.contains(&unannounced(OLD, 20)), "{:?}", proof.problems);
}

#[test]
fn a_table_that_was_dropped_took_its_rows_along() {
    for (number, dropped, holds) in [(1, true, true), (1, false, false), (2, true, false)] {
        let mut manifests = chain(2);
        let table = Table { table: number, name: "air".to_owned(), unit: TimeUnit::Milli, dropped };
        manifests.push(Manifest { tables: vec![table], units: Vec::new(), ..cut(OLD, 3, Some((OLD, &manifests[1]))) });
        let proof = told(&manifests, &[segment(OLD, (2, 2))]).conclude();
        assert_eq!(proof.branches[0].missing, [lacks(1, holds)]);
        assert_eq!(proof.holds(), holds);
    }
}

#[test]
fn metadata_follow_each_other_without_a_gap() {
    let hash = Hash::of(b"{}");
    let conclude = |deltas: [Option<(u64, u64)>; 4]| {
        let mut manifests: Vec<Manifest> = Vec::new();
        for (number, sent) in (1..).zip(deltas) {
            let previous = manifests.last().map(|before| (OLD, before));
            let metadata = sent.map(|(after, through)| delta(hash, after, through));
            manifests.push(Manifest { metadata, ..cut(OLD, number, previous) });
        }
        let mut prover = told(&manifests, &[segment(OLD, (1, 4))]);
        (1..=4).for_each(|cut| prover.metadata(OLD, cut, hash, None));
        prover.conclude().problems
    };
    assert_eq!(conclude([Some((0, 12)), None, Some((12, 30)), Some((30, 45))]), []);
    // All of them again, as by who was restored.
    assert_eq!(conclude([Some((0, 12)), None, Some((0, 30)), None]), []);
    let between = |cut| Problem::MetadataBetween { incarnation: OLD, cut };
    assert_eq!(conclude([Some((0, 12)), None, Some((13, 30)), None]), [between(3)]);
    assert_eq!(conclude([None, None, Some((12, 30)), None]), [between(3)]);
}
