use object_store::PutPayload;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use super::*;
use crate::objects::bucket::tests::failing::Fault;
use crate::prove::Problem;
use crate::remote::{FORMAT, Incarnation, Link, Manifest, Period, PeriodKind, SegmentKey, Table, TimeUnit, Unit};

mod failing;

const INCARNATION: Incarnation = Incarnation([7; 16]);
const DAY: Period = Period { kind: PeriodKind::Day, start: 86_400 };
const GATEWAY: &str = "pump house/7";

/// Where a bucket is used from.
fn prefix() -> Path {
    Path::from("plants/north")
}

async fn put(store: &dyn ObjectStore, name: &str, bytes: &[u8]) {
    let path = Path::parse(format!("{}/{name}", prefix())).unwrap();
    store.put(&path, PutPayload::from(bytes.to_vec())).await.unwrap();
}

fn segment(cut: u64) -> (Key, Vec<u8>) {
    let bytes = format!("rows of cut {cut}").into_bytes();
    let (name, gateway, hash) = ("Küche % 1".to_owned(), GATEWAY.to_owned(), Hash::of(&bytes));
    let key = SegmentKey { name, table: 3, period: DAY, gateway, incarnation: INCARNATION, records: (cut, cut), hash };
    (Key::Segment(key), bytes)
}

/// Three cuts with a segment each, and things of others.
async fn filled(store: &dyn ObjectStore) {
    let mut previous = None;
    for cut in 1..=3 {
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            gateway: GATEWAY.to_owned(),
            incarnation: INCARNATION,
            cut,
            previous,
            after: cut - 1,
            through: cut,
            sealed_at: "2025-11-29T12:00:00Z".parse().unwrap(),
            audit: None,
            tables: vec![Table { table: 3, name: "Küche % 1".to_owned(), unit: TimeUnit::Nano, dropped: false }],
            units: vec![Unit { table: 3, period: DAY, records: (cut, cut), rows: 1, first: 0, last: 0 }],
            metadata: None,
            erasures: Vec::new(),
            gaps: Vec::new(),
        };
        let bytes = manifest.encode().unwrap();
        let key = Key::Manifest { gateway: GATEWAY.to_owned(), incarnation: INCARNATION, cut, hash: None };
        put(store, &key.to_string(), &bytes).await;
        previous = Some(Link { incarnation: INCARNATION, hash: Hash::of(&bytes) });
        let (key, bytes) = segment(cut);
        put(store, &key.to_string(), &bytes).await;
    }
    put(store, "notes.txt", b"of somebody").await;
    put(store, "table=air/date=today/gw=x/rows.parquet", b"of somebody").await;
    store.put(&Path::from("elsewhere/notes.txt"), PutPayload::from_static(b"not below")).await.unwrap();
}

async fn findings(store: &dyn ObjectStore, depth: Depth) -> Findings {
    let mut last = Progress { objects: 0, bytes: 0 };
    let mut told = |progress: Progress| {
        assert_eq!(progress.objects, last.objects + 1);
        last = progress;
    };
    let findings = prove(store, &prefix(), depth, &mut told).await.unwrap();
    assert_eq!((last.objects, last.bytes), (findings.objects, findings.bytes));
    findings
}

async fn proves(store: &dyn ObjectStore) {
    filled(store).await;
    let names = findings(store, Depth::Names).await;
    assert!(names.hold(), "{names:?}");
    assert_eq!((names.objects, names.foreign, names.gateways.len()), (8, 2, 1));
    let proof = &names.gateways[GATEWAY];
    assert_eq!(proof.branches[0].delivered_through.unwrap().cut, 3);
    let contents = findings(store, Depth::Contents).await;
    assert_eq!(contents.gateways, names.gateways);
    let rows = "rows of cut 1".len() as u64;
    assert_eq!(contents.bytes, names.bytes + 3 * rows);

    // As long, and altered: only whoever reads it sees that.
    let (key, _) = segment(2);
    put(store, &key.to_string(), b"rows of cut 9").await;
    assert!(findings(store, Depth::Names).await.hold());
    let contents = findings(store, Depth::Contents).await;
    assert!(!contents.hold());
    let proof = &contents.gateways[GATEWAY];
    assert_eq!(proof.problems, [Problem::Altered { key: key.to_string(), why: "its hash is another".to_owned() }]);
    assert_eq!((proof.branches[0].missing.len(), proof.branches[0].delivered_through.unwrap().cut), (1, 1));
}

#[tokio::test]
async fn a_bucket_proves_what_was_delivered() {
    proves(&InMemory::new()).await;
}

#[tokio::test]
async fn a_folder_proves_the_same() {
    let folder = tempfile::tempdir().unwrap();
    proves(&LocalFileSystem::new_with_prefix(folder.path()).unwrap()).await;
    // Whoever looks into the folder finds the names as they are written.
    let (key, bytes) = segment(1);
    assert_eq!(std::fs::read(folder.path().join("plants/north").join(key.to_string())).unwrap(), bytes);
}

#[tokio::test]
async fn an_object_too_large_to_be_a_manifest_is_not_read() {
    let store = InMemory::new();
    let key = Key::Manifest { gateway: GATEWAY.to_owned(), incarnation: INCARNATION, cut: 1, hash: None };
    put(&store, &key.to_string(), &vec![b' '; MOST_BYTES + 1]).await;
    let found = findings(&store, Depth::Contents).await;
    assert_eq!(found.bytes, 0);
    let problems = &found.gateways[GATEWAY].problems;
    assert!(matches!(&problems[..], [Problem::Altered { why, .. }] if why.contains("was not read")), "{problems:?}");
}

#[tokio::test]
async fn nothing_is_proved_where_the_store_does_not_answer() {
    for fault in [Fault::List, Fault::Listed, Fault::Get, Fault::Content] {
        let inner = InMemory::new();
        filled(&inner).await;
        let store = failing::Store { inner, fault };
        let unanswered = prove(&store, &prefix(), Depth::Contents, &mut |_| {}).await.unwrap_err();
        let said = unanswered.to_string();
        let expected = match fault {
            Fault::List | Fault::Listed => "the objects below \"plants/north\" cannot be listed: ",
            Fault::Get | Fault::Content => " is listed and cannot be read: ",
        };
        assert!(said.contains(expected) && said.contains("the wire was cut"), "{said}");
    }
}
