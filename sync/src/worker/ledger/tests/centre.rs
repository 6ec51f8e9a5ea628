//! A centre in memory, which does what `schema/v1.sql` says and fails when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::Centre;
use crate::postgres::{Advance, Applied, Error, Head, Held, KnownCut, KnownSegment, Line, MissingUnit, Segment};
use crate::remote::{Gap, Hash, Incarnation, Manifest, Unit};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is done, and answered.
    None,
    /// It is not done.
    Before,
    /// It is done, and the answer is lost.
    After,
    /// It is not done, and nothing ever comes back.
    HangsBefore,
    /// It is done, and nothing ever comes back.
    HangsAfter,
    /// It is refused.
    Refused,
}

/// A cut that was registered.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) hash: Hash,
    pub(crate) manifest: Manifest,
    pub(crate) metadata: bool,
}

/// All that the centre has.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    cuts: BTreeMap<(Incarnation, u64), Cut>,
    /// Incarnations in the order in which they came, each with the cut that it goes on from.
    incarnations: Vec<(Incarnation, Option<(Incarnation, u64)>)>,
    head: Option<(Incarnation, u64)>,
    pub(crate) segments: Vec<Segment>,
    /// Of each kind and key the newest: order of the incarnation, sequence.
    pub(crate) lines: BTreeMap<(String, Vec<String>), (usize, u64)>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    faults: VecDeque<Fault>,
    /// What happens where nothing else is planned.
    usual: Option<Fault>,
    calls: Vec<&'static str>,
}

/// The centre.
#[derive(Debug, Clone, Default)]
pub(crate) struct InMemory {
    inner: Arc<Mutex<Inner>>,
    /// Somebody waits for ever.
    pub(crate) hung: Arc<Notify>,
}

impl InMemory {
    /// What happens to the next calls.
    pub(crate) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inner.lock().faults = faults.into_iter().collect();
    }

    /// What happens to all calls from now on.
    pub(crate) fn always(&self, fault: Option<Fault>) {
        self.inner.lock().usual = fault;
    }

    pub(crate) fn state(&self) -> State {
        self.inner.lock().state.clone()
    }

    /// It is put back.
    pub(crate) fn put_back(&self, state: State) {
        self.inner.lock().state = state;
    }

    /// Changes what it has.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.inner.lock().state);
    }

    /// The calls since this was asked last.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.inner.lock().calls)
    }

    async fn call<T>(&self, name: &'static str, does: impl FnOnce(&mut State) -> Result<T, Error>) -> Result<T, Error> {
        let fault = {
            let mut inner = self.inner.lock();
            inner.calls.push(name);
            inner.faults.pop_front().or(inner.usual).unwrap_or(Fault::None)
        };
        let done = match fault {
            Fault::Before => return Err(Error::Unreachable("it is down".to_owned())),
            Fault::Refused => return Err(Error::Refused("the gateway is unknown, or its secret is another".to_owned())),
            Fault::HangsBefore => None,
            Fault::None | Fault::After | Fault::HangsAfter => Some(does(&mut self.inner.lock().state)),
        };
        match (fault, done) {
            (Fault::None, Some(done)) => done,
            (Fault::After, _) => Err(Error::Ambiguous("the answer is lost".to_owned())),
            _ => {
                self.hung.notify_one();
                std::future::pending().await
            }
        }
    }
}

impl State {
    pub(crate) fn head(&self) -> Option<Head> {
        let (incarnation, cut) = self.head?;
        let known = &self.cuts[&(incarnation, cut)];
        let Manifest { through, sealed_at, audit, .. } = known.manifest;
        let order = self.order(incarnation).unwrap() as u32 + 1;
        Some(Head { incarnation, order, cut, hash: known.hash, through, sealed_at, audit })
    }

    fn order(&self, incarnation: Incarnation) -> Option<usize> {
        self.incarnations.iter().position(|(known, _)| *known == incarnation)
    }

    /// The cuts of the branch, oldest first.
    pub(crate) fn branch(&self) -> Vec<&Cut> {
        let (mut at, mut branch) = (self.head, Vec::new());
        while let Some((incarnation, number)) = at {
            let cut = &self.cuts[&(incarnation, number)];
            branch.push(cut);
            at = cut.manifest.previous.map(|link| (link.incarnation, number - 1));
        }
        branch.reverse();
        branch
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<Advance, Error> {
        let (manifest, hash) = (Manifest::decode(bytes).unwrap(), Hash::of(bytes));
        let (own, number) = (manifest.incarnation, manifest.cut);
        let head = self.head().map(Box::new);
        let follows = head.as_ref().is_some_and(|head| {
            let link = manifest.previous.map(|link| (link.incarnation, link.hash));
            (head.incarnation, head.cut + 1, Some((own, head.hash)), head.through) == (own, number, link, manifest.after)
        });
        if !follows {
            if self.order(own).is_some() {
                return match self.cuts.get(&(own, number)) {
                    Some(known) if known.hash == hash => Ok(Advance::Already),
                    _ if head.as_ref().is_some_and(|head| head.incarnation == own && number > head.cut + 1) => {
                        Err(Error::Behind { head })
                    }
                    _ => Err(Error::Conflict { head }),
                };
            }
            let from = match (&head, manifest.previous) {
                (None, None) => None,
                (None, Some(_)) => return Err(Error::Behind { head }),
                (Some(_), None) => return Err(Error::Conflict { head }),
                (Some(_), Some(link)) => {
                    let before = (link.incarnation, number - 1);
                    let known = self.cuts.get(&before);
                    let fits = known.is_some_and(|cut| cut.hash == link.hash && cut.manifest.through == manifest.after);
                    if !fits {
                        return Err(Error::UnknownPrevious { head });
                    }
                    Some(before)
                }
            };
            self.incarnations.push((own, from));
        }
        self.head = Some((own, number));
        let metadata = manifest.metadata.is_none();
        self.cuts.insert((own, number), Cut { hash, manifest, metadata });
        Ok(Advance::Registered)
    }

    fn hold(&mut self, segments: &[Segment]) -> Held {
        let mut held = Held { registered: 0, known: 0, unannounced: Vec::new() };
        for (at, segment) in segments.iter().enumerate() {
            let own = || self.cuts.range((segment.key.incarnation, 0)..=(segment.key.incarnation, u64::MAX)).map(|(_, cut)| cut);
            let (first, last) = (own().next().map(|cut| cut.manifest.after), own().next_back().map(|cut| cut.manifest.through));
            let record = segment.key.records.1;
            if !first.zip(last).is_some_and(|(after, through)| after < record && record <= through) {
                held.unannounced.push(at);
            } else if self.segments.contains(segment) {
                held.known += 1;
            } else {
                assert!(!self.segments.iter().any(|known| known.key == segment.key), "told otherwise before: {segment:?}");
                self.segments.push(segment.clone());
                held.registered += 1;
            }
        }
        held
    }

    fn metadata(&mut self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Applied {
        let order = self.order(incarnation);
        let Some((order, known)) = order.zip(self.cuts.get_mut(&(incarnation, cut))) else { return Applied::UnknownCut };
        let mut newer = 0;
        for line in lines {
            let holds = self.lines.entry((line.kind.clone(), line.key.clone())).or_insert((0, 0));
            if *holds < (order, line.sequence) {
                *holds = (order, line.sequence);
                newer += 1;
            }
        }
        known.metadata |= complete;
        Applied::Newer(newer)
    }

    fn holds(&self, incarnation: Incarnation, unit: &Unit) -> bool {
        self.segments.iter().any(|segment| {
            let key = &segment.key;
            (key.incarnation, key.table) == (incarnation, unit.table)
                && key.period.holds(unit.period)
                && key.records.0 <= unit.records.0
                && unit.records.1 <= key.records.1
        })
    }

    pub(crate) fn missing(&self) -> Vec<MissingUnit> {
        let branch = self.branch();
        let gone = |gap: &Gap, unit: &Unit| {
            let (first, last) = gap.sequences.unwrap_or((u64::MAX, 0));
            first <= unit.records.0 && unit.records.1 <= last && gap.table.is_none_or(|table| table == unit.table)
        };
        let mut missing = Vec::new();
        for (at, cut) in branch.iter().enumerate() {
            let incarnation = cut.manifest.incarnation;
            for unit in cut.manifest.units.iter().filter(|unit| !self.holds(incarnation, unit)) {
                let later = || branch[at..].iter().map(|cut| &cut.manifest);
                let stated = later().any(|later| later.gaps.iter().any(|gap| gone(gap, unit)))
                    || later().any(|later| later.table(unit.table).is_some_and(|table| table.dropped));
                if !stated {
                    let (table, period, records, cut) = (unit.table, unit.period, unit.records, cut.manifest.cut);
                    missing.push(MissingUnit { incarnation, cut, table, period, records });
                }
            }
        }
        missing
    }

    /// As the view of that name.
    pub(crate) fn delivered_through(&self) -> Option<u64> {
        let branch = self.branch();
        let lacking = branch.iter().filter(|cut| !cut.metadata).map(|cut| cut.manifest.cut);
        let open = self.missing().into_iter().map(|unit| unit.cut).chain(lacking).min();
        open.map(|cut| cut - 1).or(self.head.map(|(_, cut)| cut)).filter(|cut| *cut > 0)
    }

    pub(crate) fn cuts(&self, from: u64, most: usize) -> Vec<KnownCut> {
        let known = |cut: &&Cut| {
            let Manifest { incarnation, cut: number, after, through, .. } = cut.manifest;
            KnownCut { incarnation, cut: number, hash: cut.hash, after, through, metadata: cut.metadata }
        };
        self.branch().iter().filter(|cut| cut.manifest.cut >= from).take(most).map(known).collect()
    }

    /// Forgets that metadata of a cut came.
    pub(crate) fn lose_metadata(&mut self, number: u64) {
        for ((_, cut), known) in &mut self.cuts {
            known.metadata &= *cut != number;
        }
    }
}

#[async_trait]
impl Centre for InMemory {
    async fn head(&self) -> Result<Option<Head>, Error> {
        self.call("head", |state| Ok(state.head())).await
    }

    async fn advance(&self, manifest: &[u8]) -> Result<Advance, Error> {
        self.call("advance", |state| state.advance(manifest)).await
    }

    async fn hold(&self, segments: &[Segment]) -> Result<Held, Error> {
        self.call("hold", |state| Ok(state.hold(segments))).await
    }

    async fn metadata(&self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Result<Applied, Error> {
        self.call("metadata", |state| Ok(state.metadata(incarnation, cut, lines, complete))).await
    }

    async fn cuts(&self, from: u64, most: u32) -> Result<Vec<KnownCut>, Error> {
        self.call("cuts", |state| Ok(state.cuts(from, most as usize))).await
    }

    async fn missing(&self, from: u64, most: u32) -> Result<Vec<MissingUnit>, Error> {
        let missing =
            |state: &mut State| state.missing().into_iter().filter(|unit| unit.cut >= from).take(most as usize).collect();
        self.call("missing", |state| Ok(missing(state))).await
    }

    async fn segments(&self, after: i64, most: u32) -> Result<Vec<KnownSegment>, Error> {
        let known = |(id, segment): (i64, &Segment)| KnownSegment {
            id,
            key: segment.key.to_string(),
            target: segment.target.clone(),
            bytes: segment.bytes,
        };
        let page =
            |state: &mut State| (1..).zip(&state.segments).filter(|(id, _)| *id > after).take(most as usize).map(known).collect();
        self.call("segments", |state| Ok(page(state))).await
    }
}
