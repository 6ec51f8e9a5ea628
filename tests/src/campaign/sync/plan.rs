//! Which faults strike, and how many there were of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use alluvium_sync::remote::Key;
use fastrand::Rng;

use super::{Asked, Call, Evicted, Fault, Lived, Part, Progress, Strike, Violation, ensure, has_centre, live, parallel, told};
use crate::sim::locked;

/// How far behind the first the second fault of half of all pairs is at most: what matters often comes soon.
const NEAR: u64 = 8;
/// Of so many combinations one is lived twice, to see that it is the same each time.
const AGAIN_EVERY: usize = 50;
/// Violations that are told of together, at most.
const MOST_TOLD: usize = 10;

/// How many combinations.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Lives, of seeds that follow each other.
    pub seeds: u64,
    /// Combinations in each, at least: every single fault, and as many pairs as that leaves, chosen at random.
    pub cases: u64,
    /// Whether it is all pairs instead.
    pub all: bool,
}

/// Which calls were struck how often by what.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    calls: BTreeMap<(Call, Fault), u64>,
    changes: u64,
    /// Lives, and those of them that have a centre.
    lives: u64,
    with_centre: u64,
    /// Combinations in which everything struck that was to.
    pub combinations: u64,
    pairs: u64,
    /// Lives in which rows were let go of.
    pub evicting: u64,
    /// What came of that in all of them together.
    pub evicted: Evicted,
}

impl Counts {
    fn begin(&mut self, seed: u64) {
        self.lives += 1;
        self.with_centre += u64::from(has_centre(seed));
    }

    fn add(&mut self, lived: &Lived) {
        for asked in &lived.asked {
            asked.fault.into_iter().for_each(|fault| *self.calls.entry((asked.call, fault)).or_default() += 1);
        }
        self.changes += lived.struck.iter().filter(|strike| strike.part == Part::Disk).count() as u64;
        self.pairs += u64::from(lived.struck.len() > 1);
        self.evicting += u64::from(lived.evicted.rows > 0);
        self.evicted.add(lived.evicted);
        self.combinations += 1;
    }

    /// A violation where there is a fault that no call of some kind met: of the centre's only if there was one.
    pub fn are_whole(&self) -> Result<(), Violation> {
        let kinds = Call::ALL.into_iter().filter(|call| call.part() != Part::Centre || self.with_centre > 0);
        let all = kinds.flat_map(|call| Fault::ALL.map(|fault| (call, fault)));
        let never: Vec<_> = all.filter(|both| !self.calls.contains_key(both)).collect();
        ensure(never.is_empty() && self.changes > 0, || format!("never struck: {never:?}\n{self}"))?;
        let is_kept = self.evicting > 0 && self.evicted.waited > 0;
        ensure(is_kept, || format!("rows went too seldom, or never had to stay\n{self}"))
    }
}

/// A table for each part: a line for each kind of call, a column for each fault.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [Part::Target, Part::Centre] {
            write!(f, "{:12}", part.to_string())?;
            Fault::ALL.iter().try_for_each(|fault| write!(f, "{fault:>10}"))?;
            for call in Call::ALL.into_iter().filter(|call| call.part() == part) {
                write!(f, "\n{:12}", format!("{call:?}"))?;
                let count = |fault: &Fault| self.calls.get(&(call, *fault)).copied().unwrap_or_default();
                Fault::ALL.iter().try_for_each(|fault| write!(f, "{:>10}", count(fault)))?;
            }
            writeln!(f)?;
        }
        write!(f, "{} of {} lives with a centre, ", self.with_centre, self.lives)?;
        writeln!(f, "{} power cuts at changes of the disk, {} pairs of faults", self.changes, self.pairs)?;
        write!(f, "rows were let go of in {} of {}: {}", self.evicting, self.combinations, self.evicted)
    }
}

/// Every single fault, and pairs. Answers how often what was struck.
pub fn run(seed: u64, plan: Plan, tell: &(dyn Fn(&Progress) + Sync)) -> Result<Counts, Violation> {
    let counts = Mutex::new(Counts::default());
    for seed in seed..seed + plan.seeds {
        locked(&counts).begin(seed);
        Lives { seed, counts: &counts, tell }.run(plan)?;
    }
    let counts = locked(&counts).clone();
    counts.are_whole()?;
    Ok(counts)
}

/// Some of all single faults, spread over all there are. Answers what they came to.
pub fn some(seed: u64, cases: usize) -> Result<Counts, Violation> {
    let counts = Mutex::new(Counts::default());
    locked(&counts).begin(seed);
    let lives = Lives { seed, counts: &counts, tell: &|_| () };
    let all = singles(&lives.one_history()?);
    let cases = cases.min(all.len());
    let chosen: Vec<_> = (0..cases).map(|n| vec![all[n * all.len() / cases]]).collect();
    lives.each(&chosen, |_, _| ())?;
    Ok(locked(&counts).clone())
}

/// Lives whose gateway is twice in a row misled about a manifest that it looks for: one for each that it looks for where nothing fails. Some
/// fork behind an earlier cut then. Answers what they came to.
pub fn misled(seed: u64) -> Result<Counts, Violation> {
    let counts = Mutex::new(Counts::default());
    locked(&counts).begin(seed);
    let lives = Lives { seed, counts: &counts, tell: &|_| () };
    lives.each(&misleading(seed, &lives.one_history()?), |_, _| ())?;
    Ok(locked(&counts).clone())
}

/// Pairs of answers that are the same question's, where that is which manifest is there, and that both come out wrong. Not of the first where
/// there is a centre: to that, who begins anew is somebody else, and the worker rightly waits for a person to say otherwise.
fn misleading(seed: u64, lived: &Lived) -> Vec<Vec<Strike>> {
    let is_first = |asked: &Asked| matches!(asked.key.parse(), Ok(Key::Manifest { cut: 1, .. }));
    let is_of_manifest = |asked: &Asked| asked.call == Call::Get && asked.key.ends_with(".manifest.json");
    let read = lived.numbered().filter(|(_, asked)| is_of_manifest(asked) && !(has_centre(seed) && is_first(asked)));
    let wrong = |at| Strike { part: Part::Target, at, fault: Fault::Wrong };
    read.map(|(at, _)| vec![wrong(at), wrong(at + 1)]).collect()
}

/// Every single fault of a life.
fn singles(lived: &Lived) -> Vec<Strike> {
    let of_calls = lived.numbered().flat_map(|(at, asked)| of_call(asked.call.part(), at));
    of_calls.chain((0..lived.changes).map(of_change)).collect()
}

fn of_call(part: Part, at: u64) -> impl Iterator<Item = Strike> {
    Fault::ALL.into_iter().map(move |fault| Strike { part, at, fault })
}

fn of_change(at: u64) -> Strike {
    Strike { part: Part::Disk, at, fault: Fault::Cut }
}

/// The lives of a seed.
struct Lives<'t> {
    seed: u64,
    counts: &'t Mutex<Counts>,
    tell: &'t (dyn Fn(&Progress) + Sync),
}

/// What came of one fault, as far as a second one has to know.
struct Course {
    first: Strike,
    calls: Vec<Called>,
    changes: u64,
}

/// A call.
struct Called {
    call: Call,
    /// Its number among those of its part.
    at: u64,
    /// Changes of the disk before it.
    changes: u64,
}

impl Lives<'_> {
    fn run(&self, plan: Plan) -> Result<(), Violation> {
        let nothing_fails = self.one_history()?;
        let singles: Vec<_> = singles(&nothing_fails).into_iter().map(|strike| vec![strike]).collect();
        let courses = Mutex::new(Vec::new());
        self.each(&singles, |strikes, lived| locked(&courses).push(Course::of(strikes[0], lived)))?;
        let mut courses = std::mem::take(&mut *locked(&courses));
        // Whoever was ready first is not the same each time.
        courses.sort_by_key(|course| course.first);
        if plan.all {
            return courses.iter().try_for_each(|course| self.each(&course.pairs(), |_, _| ()));
        }
        let known: BTreeSet<_> = nothing_fails.asked.iter().map(|asked| asked.call).collect();
        let rare = courses.iter().flat_map(|course| course.rare(&known));
        let mut pairs: Vec<_> = rare.chain(misleading(self.seed, &nothing_fails)).collect();
        let mut random = Rng::with_seed(self.seed);
        while ((singles.len() + pairs.len()) as u64) < plan.cases {
            let course = &courses[random.usize(..courses.len())];
            pairs.extend(course.second(&mut random).map(|second| vec![course.first, second]));
        }
        self.each(&pairs, |_, _| ())
    }

    /// A life in which nothing fails, the same each time.
    fn one_history(&self) -> Result<Lived, Violation> {
        let (lived, outcome) = live(self.seed, &[]);
        outcome.map_err(|violation| told(self.seed, &[], &lived, violation))?;
        ensure(lived == live(self.seed, &[]).0, || format!("seed {} is not one history", self.seed))?;
        Ok(lived)
    }

    /// Lives one life for each combination, and tells what came of it.
    fn each(&self, combinations: &[Vec<Strike>], came: impl Fn(&[Strike], &Lived) + Sync) -> Result<(), Violation> {
        let (wrong, before) = (Mutex::new(Vec::new()), locked(self.counts).combinations);
        let work = |number: usize, progress: &Progress| {
            let strikes = &combinations[number];
            let (lived, outcome) = live(self.seed, strikes);
            let met = ensure(lived.struck.len() == strikes.len(), || format!("only {:?} struck", lived.struck));
            let is_same = !number.is_multiple_of(AGAIN_EVERY) || live(self.seed, strikes).0 == lived;
            let same = ensure(is_same, || "it is not the same each time".to_owned());
            if let Err(violation) = outcome.and(met).and(same) {
                let mut wrong = locked(&wrong);
                wrong.push(told(self.seed, strikes, &lived, violation).0);
                ensure(wrong.len() < MOST_TOLD, || wrong.join("\n"))?;
            }
            locked(self.counts).add(&lived);
            came(strikes, &lived);
            progress.trials.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let tell = |progress: &Progress| {
            let trials = (before + progress.trials.load(Ordering::Relaxed)).into();
            (self.tell)(&Progress { trials });
        };
        parallel(combinations.len(), work, &tell)?;
        let wrong = locked(&wrong).join("\n");
        ensure(wrong.is_empty(), || wrong)
    }
}

impl Course {
    fn of(first: Strike, lived: &Lived) -> Self {
        let called = |(at, asked): (u64, &Asked)| Called { call: asked.call, at, changes: asked.changes };
        Course { first, calls: lived.numbered().map(called).collect(), changes: lived.changes }
    }

    /// The place of the first call, and the first change of the disk, behind the first fault: up to there a life with a second one is the
    /// same.
    fn behind(&self) -> (usize, u64) {
        let Strike { part, at, .. } = self.first;
        if part == Part::Disk {
            return (self.calls.partition_point(|called| called.changes <= at), at + 1);
        }
        let place = self.calls.iter().position(|called| (called.call.part(), called.at) == (part, at));
        place.map_or((0, 0), |place| (place + 1, self.calls[place].changes))
    }

    /// All pairs with the first fault.
    fn pairs(&self) -> Vec<Vec<Strike>> {
        let (call, change) = self.behind();
        let of_calls = self.calls[call..].iter().flat_map(Called::strikes);
        of_calls.chain((change..self.changes).map(of_change)).map(|second| vec![self.first, second]).collect()
    }

    /// Those at calls of a kind that is not asked where nothing fails.
    fn rare(&self, known: &BTreeSet<Call>) -> Vec<Vec<Strike>> {
        let calls = self.calls.iter().filter(|called| !known.contains(&called.call));
        calls.flat_map(Called::strikes).map(|second| vec![self.first, second]).collect()
    }

    /// Any fault behind the first.
    fn second(&self, random: &mut Rng) -> Option<Strike> {
        let (call, change) = self.behind();
        let is_of_disk = random.u8(..4) == 0;
        let (from, to) = if is_of_disk { (change, self.changes) } else { (call as u64, self.calls.len() as u64) };
        let to = if random.bool() { to.min(from + NEAR) } else { to };
        let at = (from < to).then(|| random.u64(from..to))?;
        let fault = Fault::ALL[random.usize(..Fault::ALL.len())];
        if is_of_disk {
            return Some(of_change(at));
        }
        let Called { call, at, .. } = *self.calls.get(usize::try_from(at).ok()?)?;
        Some(Strike { part: call.part(), at, fault })
    }
}

impl Called {
    fn strikes(&self) -> impl Iterator<Item = Strike> + use<> {
        of_call(self.call.part(), self.at)
    }
}
