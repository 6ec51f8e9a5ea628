//! The sync worker, the real one, among parts that fail: a kill at every step, every fault at every call, and pairs of these.
//!
//! A gateway lives a small life, and the worker carries what it holds to a store in memory, and tells a centre in memory of it, in those lives
//! that have one. Which calls there are, and how often the disk is changed, is counted by a run in which nothing fails. Then one run for
//! each fault at each call, and for each power cut at each change of the disk; then runs with two of them, as many as asked for. After
//! each nothing fails any more, the worker comes to its end, and the bucket proves to be what the gateway says, is restored, and holds what
//! was written: every row once, those included that the gateway has let go of meanwhile, but for what the bucket has forgotten since, which a
//! cut states. The centre knows all of that, once, whatever it was put back to.
//!
//! - `fault`: what can be asked, and how it goes wrong; `fate`: counts, and decides; `plan`: which faults there are;
//! - `far`: how calls fare; `bucket`, `store`, `centre`, `mirror`: the parts around the worker; what is done to objects that nobody may do is
//!   noticed there;
//! - `life`, `home`, `gateway`: who lives; `kept`: what it holds, and what it let go of that the bucket alone holds;
//! - `check`, `ledger`, with the manifests of `chain`: what has to hold, of the bucket and of the centre.

mod bucket;
mod centre;
mod chain;
mod check;
mod far;
mod fate;
mod fault;
mod gateway;
mod home;
mod kept;
mod ledger;
mod life;
mod mirror;
mod plan;
mod store;

use std::sync::Arc;

pub use fate::Asked;
pub use fault::{Call, Fault, Part, Strike};
pub use gateway::has_centre;
pub use kept::Evicted;
pub use plan::{Counts, Plan, misled, run, some};

use super::{Progress, Violation, at, ensure, parallel};
use fate::Fate;
use gateway::Gateway;

/// What became of a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lived {
    /// What was asked of target and centre.
    pub asked: Vec<Asked>,
    /// Changes of the disk while the worker ran.
    pub changes: u64,
    /// What struck.
    pub struck: Vec<Strike>,
    /// How often the gateway went on under a new incarnation.
    pub forks: u64,
    /// What came of letting go of rows.
    pub evicted: Evicted,
    /// Uploads in parts that were left in the store.
    pub uploads_left: usize,
}

impl Lived {
    /// All calls, each with its number among those of its part.
    fn numbered(&self) -> impl Iterator<Item = (u64, &Asked)> {
        let mut next = std::collections::BTreeMap::<Part, u64>::new();
        self.asked.iter().map(move |asked| {
            let next = next.entry(asked.call.part()).or_default();
            *next += 1;
            (*next - 1, asked)
        })
    }
}

/// Lives the life of a seed, struck by faults. Answers what became of it, however it ended.
pub fn live(seed: u64, strikes: &[Strike]) -> (Lived, Result<(), Violation>) {
    let fate = Arc::new(Fate::new(seed, strikes));
    // By which the worker chooses how long it waits.
    fastrand::seed(seed);
    let (mut forks, mut evicted, mut uploads_left) = (0, Evicted::default(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).max_blocking_threads(1).build();
    let outcome = runtime.map_err(|error| Violation(format!("no runtime: {error}"))).and_then(|runtime| {
        runtime.block_on(async {
            let mut gateway = Gateway::new(seed, fate.clone())?;
            let outcome = gateway.live().await;
            (forks, evicted, uploads_left) = (gateway.forks(), gateway.evicted(), gateway.uploads_left());
            outcome
        })
    });
    let lived = Lived { asked: fate.asked(), changes: fate.changes(), struck: fate.struck(), forks, evicted, uploads_left };
    let outcome = outcome.and_then(|()| forked_for_cause(&lived)).and_then(|()| left_for_cause(&lived));
    (lived, outcome)
}

/// A gateway forks where somebody else seems to have written what it was to write, and for nothing else.
fn forked_for_cause(lived: &Lived) -> Result<(), Violation> {
    let wrong = |call| {
        let manifests = lived.asked.iter().filter(|asked| asked.key.ends_with(".manifest.json") && asked.call == call);
        manifests.filter(|asked| asked.fault == Some(Fault::Wrong)).count() as u64
    };
    // Of one answer that is strange it makes sure.
    let causes = wrong(Call::Create) + wrong(Call::Get) / 2;
    ensure(lived.forks <= causes, || format!("it went on under a new incarnation {} times, for {causes} causes", lived.forks))
}

/// An upload in parts stays in the store where nobody heard of it, or where it could not be given up, and nowhere else.
fn left_for_cause(lived: &Lived) -> Result<(), Violation> {
    let is_unheard = |(at, asked): (usize, &Asked)| {
        let of_object = |later: &&Asked| later.key.split('#').next() == Some(asked.key.as_str());
        let next = lived.asked[at + 1..].iter().find(of_object).map(|next| next.call);
        asked.call == Call::Begin && (asked.fault.is_some() || next != Some(Call::Part))
    };
    let unheard = lived.asked.iter().enumerate().filter(|both| is_unheard(*both)).count();
    let not_given_up = lived.asked.iter().filter(|asked| asked.call == Call::Abort && asked.fault.is_some()).count();
    // What was heard may not have been noted by then.
    let cuts = lived.struck.iter().filter(|strike| strike.part == Part::Disk).count();
    let causes = unheard + not_given_up + cuts;
    ensure(lived.uploads_left <= causes, || format!("{} uploads in parts are left, for {causes} causes", lived.uploads_left))
}

/// Lives one life again, and tells everything that is asked.
pub fn replay(seed: u64, strikes: &[Strike], tell: &dyn Fn(String)) -> Result<(), Violation> {
    let (lived, outcome) = live(seed, strikes);
    for (number, Asked { call, key, fault, changes }) in lived.numbered() {
        let fault = fault.map_or_else(String::new, |fault| format!("  <- {fault}"));
        tell(format!("{} {number:4}  {changes:4} changes  {call:10?}  {key}{fault}", call.part()));
    }
    let Lived { changes, forks, evicted, uploads_left, .. } = &lived;
    tell(format!("{changes} changes of the disk, {forks} forks, {uploads_left} uploads left"));
    tell(evicted.to_string());
    outcome.map_err(|violation| told(seed, strikes, &lived, violation))
}

/// A violation with all it takes to see it again.
fn told(seed: u64, strikes: &[Strike], lived: &Lived, Violation(what): Violation) -> Violation {
    let which = |strike: &Strike| {
        let is_it = |(number, asked): &(u64, &Asked)| (asked.call.part(), *number) == (strike.part, strike.at);
        let asked = lived.numbered().find(is_it).map(|(_, asked)| asked);
        let asked = asked.map_or_else(String::new, |asked| format!(" ({:?} of {})", asked.call, asked.key));
        format!("{strike}{asked}")
    };
    let struck = strikes.iter().map(which).collect::<Vec<_>>().join(", then ");
    let replayed = strikes.iter().map(|strike| format!(" --strike {strike}")).collect::<String>();
    Violation(format!("{struck}: {what}\n  again with: campaign --seed {seed} sync{replayed} --replay"))
}
