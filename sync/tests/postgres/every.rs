//! The worker itself before a real PostgreSQL: every call that it makes is met by every fault at least once, which is counted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{Database, TimeRange};
use alluvium_sync::objects::bucket::{Depth, prove};
use alluvium_sync::objects::{self, Target};
use alluvium_sync::postgres::{Ledger, Secret, Tls};
use alluvium_sync::verify::{Compared, differences_at_centre};
use alluvium_sync::worker::{Policy, Worker};
use futures_util::{StreamExt, stream};

use crate::support::link::{Call, Fault, Link, Rule};
use crate::support::{Centre, carry, seed, server};
use crate::worker::{HOUR, TWICE, append, document, open};

/// Lives at the same time.
const TOGETHER: usize = 8;
/// What is not answered for so long is given up, where that is to be seen; else nothing is that is only slow.
const PATIENCE: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_millis(1_500);
const SLOW: Duration = Duration::from_millis(200);

/// All that the worker asks: the segments that the centre has are for those who compare.
const CALLS: [Call; 9] = [
    Call::Startup,
    Call::Password,
    Call::Writable,
    Call::Head,
    Call::Advance,
    Call::Hold,
    Call::Metadata,
    Call::Cuts,
    Call::Missing,
];
const FAULTS: [(&str, Fault); 8] = [
    ("refused", Fault::Refused),
    ("lost", Fault::Lost),
    ("truncated", Fault::Truncated),
    ("error", Fault::Error),
    ("shutdown", Fault::Shutdown),
    ("late", Fault::Late(LATER)),
    ("stray", Fault::Stray(LATER)),
    ("slow", Fault::Stray(SLOW)),
];

/// A gateway with a folder, and its place at the centre that all of them share.
struct World {
    dir: tempfile::TempDir,
    db: Arc<Database>,
    centre: Arc<Centre>,
    name: String,
    secret: Secret,
    link: Link,
    is_patient: bool,
}

impl World {
    async fn new(centre: &Arc<Centre>, name: String, is_patient: bool) -> World {
        let (dir, secret) = (tempfile::tempdir().unwrap(), centre.owner.provision(&name).await.unwrap());
        let (db, link) = (open(&dir.path().join("data")), Link::to(server().port).await);
        World { dir, db, centre: centre.clone(), name, secret, link, is_patient }
    }

    fn target(&self) -> Target {
        Target::open(&objects::Settings::new(self.dir.path().join("bucket").display().to_string())).unwrap()
    }

    /// Over the link.
    fn ledger(&self) -> Ledger {
        let mut options = server().login_at(&self.centre.database, self.link.port);
        options.tls = Some(Tls::Plain);
        if !self.is_patient {
            (options.connect_timeout, options.statement_timeout) = (PATIENCE, PATIENCE);
        }
        Ledger::new(&options, &self.name, self.secret.clone()).unwrap()
    }

    /// Two cuts, each by a worker of its own.
    async fn live(&self) -> Result<(), String> {
        for hour in 0..2 {
            append(&self.db, hour, 0..5);
            document(&self.db, hour);
        }
        self.carry().await?;
        self.db.delete("air / Küche", &[], TimeRange::new(0, HOUR)).unwrap();
        append(&self.db, 2, 0..5);
        document(&self.db, 2);
        self.carry().await
    }

    async fn carry(&self) -> Result<(), String> {
        let scratch = self.dir.path().join("scratch");
        let (db, ledger) = (self.db.clone(), self.ledger());
        let worker = Worker::with_ledger(db, "cloud", &self.name, self.target(), Policy::default(), &scratch, ledger).unwrap();
        carry(&worker).await
    }

    /// The centre and the folder say what the engine does, and lack nothing.
    async fn agrees(&self) {
        let state = self.db.delivery("cloud").state().unwrap();
        assert_eq!((state.cuts_left, state.units_left), (0, 0));
        let delivered = state.delivered.unwrap();
        let through = "SELECT cut, record FROM alluvium.delivered_through WHERE gateway_name = $1";
        let row = self.centre.sql.query_one(through, &[&self.name]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (delivered.cut as i64, delivered.record as i64));
        let (target, ledger) = (self.target(), Ledger::new(&self.centre.options(), &self.name, self.secret.clone()).unwrap());
        let head = ledger.head().await.unwrap().unwrap();
        assert_eq!((head.cut, head.hash.0), (state.head.cuts, state.head.announced.unwrap().hash));
        let compared = Compared { db: &self.db, delivery: "cloud", gateway: &self.name, target: &target };
        assert_eq!(differences_at_centre(compared, &ledger).await.unwrap(), Vec::<String>::new());
        let (store, prefix) = target.store();
        let findings = prove(store, prefix, Depth::Contents, &mut |_| {}).await.unwrap();
        assert!(findings.hold() && findings.gateways[&self.name].branches.len() == 1, "{findings:?}");
    }
}

/// One gateway's life in which a fault becomes of one kind of call, and of what is then asked in its place. Answers how often it struck.
async fn lived(centre: Arc<Centre>, call: Call, (name, fault): (&str, Fault), after: usize) -> Result<usize, String> {
    let is_patient = !matches!(name, "late" | "stray");
    let world = World::new(&centre, format!("{call:?} {name}"), is_patient).await;
    world.link.rule(Rule { of: call, after, times: 2, fault });
    world.live().await?;
    if name == "stray" {
        // What is still on its way arrives.
        tokio::time::sleep(LATER).await;
    }
    world.agrees().await;
    Ok(world.link.struck())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_meets_every_fault() {
    let (mut random, begun) = (fastrand::Rng::with_seed(seed()), Instant::now());
    let centre = Arc::new(Centre::new().await);
    let nothing_fails = World::new(&centre, "nothing fails".to_owned(), true).await;
    nothing_fails.live().await.unwrap();
    nothing_fails.agrees().await;
    let mut calls = BTreeMap::<_, usize>::new();
    nothing_fails.link.seen().into_iter().for_each(|call| *calls.entry(call).or_default() += 1);
    assert!(CALLS.iter().all(|call| calls.contains_key(call)), "{calls:?}");
    let all: Vec<_> = CALLS.iter().flat_map(|call| FAULTS.map(|fault| (*call, fault))).collect();
    let lives = all.into_iter().map(|(call, fault)| (call, fault, random.usize(..calls[&call])));
    let lived = stream::iter(lives.collect::<Vec<_>>()).map(|(call, fault, after)| {
        let life = tokio::spawn(lived(centre.clone(), call, fault, after));
        async move { (call, fault.0, after, life.await) }
    });
    let (mut counts, mut wrong) = (BTreeMap::new(), Vec::new());
    for (call, fault, after, outcome) in lived.buffer_unordered(TOGETHER).collect::<Vec<_>>().await {
        match outcome.map_err(|stopped| stopped.to_string()).flatten() {
            Ok(struck) => drop(counts.insert((call, fault), struck)),
            Err(why) => wrong.push(format!("{call:?} {fault} behind {after}: {why}")),
        }
    }
    println!("{}\nin {:?}", table(&calls, &counts), begun.elapsed());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let never: Vec<_> = counts.iter().filter(|(_, struck)| **struck == 0).collect();
    assert!(never.is_empty(), "never struck: {never:?}");
    assert_eq!(centre.number(TWICE).await, 0);
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.metadata_between").await, 0);
}

/// A line for each kind of call, a column for each fault.
fn table(calls: &BTreeMap<Call, usize>, counts: &BTreeMap<(Call, &str), usize>) -> String {
    let mut text = format!("{:10}{:>6}", "PostgreSQL", "calls");
    FAULTS.iter().for_each(|(fault, _)| write!(text, "{fault:>10}").unwrap());
    for call in CALLS {
        write!(text, "\n{:10}{:>6}", format!("{call:?}"), calls.get(&call).copied().unwrap_or_default()).unwrap();
        let count = |fault| counts.get(&(call, fault)).copied().unwrap_or_default();
        FAULTS.iter().for_each(|(fault, _)| write!(text, "{:>10}", count(*fault)).unwrap());
    }
    text
}
