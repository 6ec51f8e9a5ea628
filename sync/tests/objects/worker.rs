//! The worker itself before real stores: every kind of call that it makes is met by every fault at least once, which is counted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alluvium_sync::objects::{Settings, Target};
use futures_util::{StreamExt, stream};

use crate::support::gateway::{Gateway, Wrong};
use crate::support::{Fault, Kind, Rule, Store, names, seeded};

/// Lives at the same time.
const TOGETHER: usize = 12;
/// What is not answered for so long is given up, where that is to be seen; else nothing is that is only slow.
const PATIENCE: Duration = Duration::from_secs(2);

/// A kind of call that the worker makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    /// Creates a name to see whether that goes only once.
    Probe,
    /// Creates a manifest.
    Create,
    /// Puts metadata or a segment.
    Put,
    /// Begins an upload in parts.
    Begin,
    /// Puts a part.
    Part,
    /// Makes an object of the parts.
    Complete,
    /// Gives an upload up.
    Abort,
    /// Asks what there is of an object.
    Head,
    /// Reads an object.
    Get,
    /// Reads the rest of one.
    Range,
    /// Lists objects.
    List,
    /// Removes what it probed with.
    Delete,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// The store fails.
    Error,
    /// It is asked too often.
    SlowDown,
    /// It never arrives, and nobody says so.
    TimeOut,
    /// It arrives when nobody waits for it any more.
    Stray,
    /// It is done, and its answer is lost.
    Lost,
    /// It is done, and something says 503.
    Mistaken,
    /// It breaks off before it is done.
    BrokenOff,
    /// Its answer breaks off.
    Truncated,
    /// It is done twice, and the second answer is heard.
    Duplicate,
    /// A bit comes out as another one.
    Wrong,
    /// It takes long.
    Slow,
}

const CALLS: [Call; 12] = [
    Call::Probe,
    Call::Create,
    Call::Put,
    Call::Begin,
    Call::Part,
    Call::Complete,
    Call::Abort,
    Call::Head,
    Call::Get,
    Call::Range,
    Call::List,
    Call::Delete,
];
const HOWS: [How; 11] = [
    How::Error,
    How::SlowDown,
    How::TimeOut,
    How::Stray,
    How::Lost,
    How::Mistaken,
    How::BrokenOff,
    How::Truncated,
    How::Duplicate,
    How::Wrong,
    How::Slow,
];

impl Call {
    /// By the method, and the path with the query, and the range.
    fn of(method: &str, path: &str) -> Self {
        let has = |part| path.contains(part);
        match method {
            "HEAD" => Call::Head,
            "DELETE" if has("uploadId=") => Call::Abort,
            "DELETE" => Call::Delete,
            "POST" if has("?uploads") => Call::Begin,
            "POST" if has("comp=batch") => Call::Delete,
            "POST" => Call::Complete,
            "GET" if has("list-type=2") || has("comp=list") => Call::List,
            "GET" if has("#bytes=") => Call::Range,
            "GET" => Call::Get,
            _ if has("partNumber=") || has("comp=block&") => Call::Part,
            _ if has("comp=blocklist") => Call::Complete,
            _ if has(".alluvium-probe") => Call::Probe,
            _ if has(".manifest.json") => Call::Create,
            _ => Call::Put,
        }
    }

    fn is_in_parts(self) -> bool {
        matches!(self, Call::Begin | Call::Part | Call::Complete | Call::Abort)
    }

    /// What has to go wrong before, for it to be made at all.
    fn led_to(self) -> Vec<Rule> {
        let looks = |method: &str, path: &str| Call::of(method, path) == Call::Head && path.contains("/t1_");
        let manifest = |method: &str, path: &str| Call::of(method, path) == Call::Get && path.contains(".manifest.json");
        match self {
            // It is completed, which nobody hears of, and asked in vain whether it is.
            Call::Abort => vec![
                Rule { times: 2, ..Rule::once(Fault::ReplyLost, is(Call::Complete)) },
                Rule { after: 1, times: 2, ..Rule::once(Fault::Lost, looks) },
            ],
            Call::Range => vec![Rule::once(Fault::Truncated(30), manifest)],
            _ => vec![],
        }
    }
}

fn is(call: Call) -> impl Fn(&str, &str) -> bool + Send + 'static {
    move |method, path| Call::of(method, path) == call
}

impl How {
    fn fault(self, call: Call) -> Fault {
        let answer = |status, code: &str| Fault::Answer(status, vec![], format!("<Error><Code>{code}</Code></Error>"));
        let has_body = matches!(call, Call::Probe | Call::Create | Call::Put | Call::Part | Call::Complete);
        match self {
            How::Error => answer(500, "InternalError"),
            How::SlowDown => answer(503, "SlowDown"),
            How::TimeOut => Fault::Late(Duration::from_secs(3600)),
            How::Stray => Fault::Stray(PATIENCE * 3 / 2),
            How::Lost => Fault::ReplyLost,
            How::Mistaken => Fault::Mistaken,
            How::BrokenOff => Fault::BrokenOff,
            How::Truncated => Fault::Truncated(3),
            How::Duplicate => Fault::Twice,
            How::Wrong if has_body => Fault::Corrupted,
            How::Wrong => Fault::Garbled,
            How::Slow => Fault::Late(Duration::from_millis(200)),
        }
    }

    /// How often in a row: what the store's client tries again at once fails again.
    fn times(self) -> usize {
        if self == How::Wrong { 1 } else { 2 }
    }

    fn is_given_up(self) -> bool {
        matches!(self, How::TimeOut | How::Stray)
    }
}

/// Why a call cannot meet a fault at a store.
fn senseless(kind: Kind, call: Call, how: How) -> Option<&'static str> {
    let is_azure = kind == Kind::Azurite;
    match (call, how) {
        (Call::Begin | Call::Abort, _) if is_azure => Some("Azure's uploads are neither begun nor given up"),
        (Call::Complete, How::Truncated) if is_azure => Some("the answer has no body"),
        (Call::Delete, How::Truncated | How::Wrong) if is_azure => None,
        (Call::Probe | Call::Create | Call::Put | Call::Part | Call::Abort | Call::Head | Call::Delete, How::Truncated) => {
            Some("the answer has no body")
        }
        (Call::Head | Call::Delete | Call::Abort, How::Wrong) => Some("neither question nor answer has a body"),
        (Call::List, How::Wrong) => Some("a list is believed: names have nothing that they are held against"),
        _ => None,
    }
}

/// One gateway's life at a store, in which one kind of call meets a fault.
#[derive(Debug, Clone, Copy)]
struct Life {
    kind: Kind,
    call: Call,
    how: How,
    /// At which of them.
    nth: usize,
    /// Whether it is seen that the same database comes of it again, which takes long.
    comes_back: bool,
}

impl Life {
    /// Lives it, and answers how often the fault struck.
    async fn live(self) -> Result<usize, String> {
        let Life { kind, call, how, nth, comes_back } = self;
        let store = Store::new(kind).await;
        let ((_, proxy), (direct, _good)) = (store.behind_proxy().await, store.behind_proxy().await);
        let stall_seconds = if how.is_given_up() { PATIENCE.as_secs() } else { 30 };
        let target = Target::open(&Settings { stall_seconds, ..store.settings(proxy.at) }).unwrap();
        let rule = Rule { after: nth, times: how.times(), ..Rule::once(how.fault(call), is(call)) };
        let struck = Arc::clone(&rule.struck);
        proxy.rules(call.led_to().into_iter().chain([rule]));
        let gateway = Gateway::new();
        lived(&gateway, &target, &direct, call).await?;
        if how == How::Stray {
            // What is still on its way arrives.
            tokio::time::sleep(PATIENCE * 2).await;
        }
        let wrong = gateway.wrong(&direct).await;
        self.is_right(&wrong)?;
        if comes_back && wrong.problems.is_empty() {
            gateway.comes_back(&direct).await;
        }
        Ok(struck.load(Ordering::Relaxed))
    }

    fn is_right(self, wrong: &Wrong) -> Result<(), String> {
        let Life { kind, call, how, .. } = self;
        let mut expected = Wrong { branches: 1, ..Wrong::default() };
        // A store that takes what was changed on the way has a name for it that nobody can give to something else: it is left behind.
        if (call, how) == (Call::Create, How::Wrong) && kind != Kind::S3s {
            let is_expected = wrong.problems.iter().all(|problem| problem.contains(".manifest.json"));
            expected.problems.extend(wrong.problems.iter().filter(|_| is_expected).cloned());
            expected.branches = wrong.branches;
        }
        // One that came when it had been removed is left, and is nobody's.
        if (call, how) == (Call::Probe, How::Stray) {
            expected.foreign = wrong.foreign.min(1);
        }
        if *wrong == expected { Ok(()) } else { Err(format!("{wrong:?}")) }
    }
}

/// Two cuts, each by a worker of its own; some of it is more than goes in one request, or is put back to a backup, if that is what the calls are of.
async fn lived(gateway: &Gateway, target: &Target, direct: &Target, of: Call) -> Result<(), String> {
    gateway.live(0);
    gateway.live(1);
    if of.is_in_parts() {
        gateway.live_much(0);
    }
    gateway.carry(target).await?;
    let backup = if of == Call::List { names(direct).await } else { vec![] };
    gateway.delete(0);
    gateway.live(2);
    gateway.carry(target).await?;
    if of == Call::List {
        for name in names(direct).await.iter().filter(|name| !backup.contains(name)) {
            direct.delete(name).await.unwrap();
        }
        gateway.carry(target).await?;
    }
    Ok(())
}

/// How many calls of each kind there are where nothing fails but what has to.
async fn recorded(kind: Kind) -> BTreeMap<Call, usize> {
    let mut most = BTreeMap::new();
    for of in [Call::Put, Call::Part, Call::Abort, Call::Range, Call::List] {
        let store = Store::new(kind).await;
        let ((target, proxy), (direct, _good)) = (store.behind_proxy().await, store.behind_proxy().await);
        proxy.rules(of.led_to());
        lived(&Gateway::new(), &target, &direct, of).await.unwrap();
        let mut counts = BTreeMap::<_, usize>::new();
        for seen in proxy.seen() {
            *counts.entry(Call::of(&seen.method, &seen.path)).or_default() += 1;
        }
        for (call, count) in counts {
            most.entry(call).or_insert(count);
        }
    }
    most
}

async fn every_call_meets_every_fault(kind: Kind) {
    let (mut random, begun) = (seeded(29_014), Instant::now());
    let calls = recorded(kind).await;
    let all = CALLS.into_iter().flat_map(|call| HOWS.map(|how| (call, how)));
    let sensible: Vec<_> = all.filter(|(call, how)| senseless(kind, *call, *how).is_none()).collect();
    let never: Vec<_> = sensible.iter().filter(|(call, _)| !calls.contains_key(call)).collect();
    assert!(never.is_empty(), "{kind:?} is never asked: {never:?}");
    let lives = sensible.into_iter().map(|(call, how)| {
        let (nth, comes_back) = (random.usize(..calls[&call]), random.u8(..4) == 0);
        Life { kind, call, how, nth, comes_back }
    });
    let lives = stream::iter(lives.collect::<Vec<_>>());
    let lived = lives.map(|life| async move { (life, tokio::spawn(life.live()).await) }).buffer_unordered(TOGETHER);
    let (mut counts, mut wrong) = (BTreeMap::new(), Vec::new());
    for (life, outcome) in lived.collect::<Vec<_>>().await {
        match outcome.map_err(|stopped| stopped.to_string()).flatten() {
            Ok(struck) => drop(counts.insert((life.call, life.how), struck)),
            Err(why) => wrong.push(format!("{life:?}: {why}")),
        }
    }
    println!("{}\nin {:?}", table(kind, &calls, &counts), begun.elapsed());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let never: Vec<_> = counts.iter().filter(|(_, struck)| **struck == 0).collect();
    assert!(never.is_empty(), "{kind:?}, never struck: {never:?}");
}

/// A line for each kind of call, a column for each fault.
fn table(kind: Kind, calls: &BTreeMap<Call, usize>, counts: &BTreeMap<(Call, How), usize>) -> String {
    let mut text = format!("{:10}{:>6}", format!("{kind:?}"), "calls");
    HOWS.iter().for_each(|how| write!(text, "{:>10}", format!("{how:?}")).unwrap());
    let mut reasons = BTreeMap::<_, Vec<_>>::new();
    for call in CALLS {
        write!(text, "\n{:10}{:>6}", format!("{call:?}"), calls.get(&call).copied().unwrap_or_default()).unwrap();
        for how in HOWS {
            match senseless(kind, call, how) {
                Some(why) => {
                    reasons.entry(why).or_default().push(format!("{call:?} {how:?}"));
                    text.push_str("         -");
                }
                None => write!(text, "{:>10}", counts.get(&(call, how)).copied().unwrap_or_default()).unwrap(),
            }
        }
    }
    reasons.iter().for_each(|(why, which)| write!(text, "\n- {why}: {}", which.join(", ")).unwrap());
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn at_moto_every_call_meets_every_fault() {
    every_call_meets_every_fault(Kind::Moto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_s3s_every_call_meets_every_fault() {
    every_call_meets_every_fault(Kind::S3s).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_azurite_every_call_meets_every_fault() {
    every_call_meets_every_fault(Kind::Azurite).await;
}
