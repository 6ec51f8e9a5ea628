//! Which segments are restored: as few as hold all that is to be restored, and nothing else where that can be had.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Options;
use super::error::{Exact, NotRestored};
use super::inventory::Segment;
use super::lineage::Lineage;
use crate::prove::{Cut, CutId, Loss, Missing};
use crate::remote::{Erasure, Hash, Period, Series, Unit};

/// What is fetched, and what that lacks.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order of their records; none is within another, and no two overlap.
    pub(super) segments: Vec<Segment>,
    /// Units that nothing holds, though none of these cuts says that they are gone.
    pub(super) missing: Vec<Missing>,
    /// Those of which some does.
    pub(super) gone: Vec<Missing>,
    /// The last record whose rows come along though they are behind those asked for.
    pub(super) newer: Option<u64>,
    /// Segments, by their place from 1 on, of which a later cut deleted rows, and how many these had at first: where they have fewer, it
    /// may be for that, since what is deleted is left out when segments are folded together.
    pub(super) doubtful: BTreeMap<u64, u64>,
}

/// What is not to be restored.
#[derive(Debug, Default)]
pub(super) struct Without {
    /// Tables that were dropped.
    pub(super) tables: BTreeSet<u32>,
    /// Objects that are not what they are called by.
    pub(super) objects: HashSet<Hash>,
}

impl Plan {
    /// Chooses among the segments that there are.
    pub(super) fn choose(
        lineage: &Lineage<'_>,
        there: &[Segment],
        without: &Without,
        options: &Options,
    ) -> Result<Self, NotRestored> {
        let Some((last, end)) = lineage.last() else {
            return Ok(Plan::default());
        };
        let usable = Usable::new(lineage, there, without);
        let exact = usable.maximal(|segment| segment.key.records.1 <= end.records.1);
        let (mut used, mut missing) = (BTreeSet::new(), Vec::new());
        let mut newer = None;
        let losses = Losses::new(lineage);
        for ((_, number), cut) in lineage.wanted() {
            for unit in cut.units.iter().filter(|unit| !without.tables.contains(&unit.table)) {
                if let Some(segment) = exact.holder(unit) {
                    used.insert(segment);
                } else if let Some(segment) = usable.finest(unit) {
                    newer = newer.max(Some(usable.segments[segment].key.records.1));
                    used.insert(segment);
                } else {
                    missing.extend(losses.lacking(*number, unit));
                }
            }
        }
        let (gone, missing): (Vec<_>, Vec<_>) = missing.into_iter().partition(|(_, is_gone)| *is_gone);
        let units = |some: Vec<(Missing, bool)>| some.into_iter().map(|(unit, _)| unit).collect::<Vec<_>>();
        let (gone, missing) = (units(gone), units(missing));
        if !(missing.is_empty() || options.allow_missing) {
            return Err(NotRestored::Missing { units: missing });
        }
        if let (Some(record), false) = (newer, options.allow_newer) {
            let (before, behind) = usable.exact_around(lineage, without, last);
            return Err(NotRestored::Newer { cut: last.1, record, before, behind });
        }
        let used = usable.only(&used);
        let chosen = used.maximal(|_| true);
        chosen.check_disjoint()?;
        let order = |at: &usize| {
            let key = &used.segments[*at].key;
            (key.records.1, key.records.0, key.table, key.period, key.hash)
        };
        let mut places: Vec<_> = chosen.all().collect();
        places.sort_by_key(order);
        let doubtful = chosen.doubtful(lineage);
        let doubtful = (1..).zip(&places).filter_map(|(number, at)| Some((number, *doubtful.get(at)?))).collect();
        let segments = places.into_iter().map(|at| used.segments[at].clone()).collect();
        Ok(Plan { segments, missing, gone, newer, doubtful })
    }
}

/// What cuts say of rows that are not there.
struct Losses<'l> {
    by_then: Vec<&'l Loss>,
    later: Vec<&'l Loss>,
    /// Deletions of all series by then.
    erasures: Vec<&'l Erasure>,
}

impl<'l> Losses<'l> {
    fn new(lineage: &Lineage<'l>) -> Self {
        let erasures = lineage.wanted().iter().flat_map(|(_, cut)| &cut.erasures);
        Losses {
            by_then: lineage.wanted().iter().flat_map(|(_, cut)| &cut.losses).collect(),
            later: lineage.later().iter().flat_map(|(_, cut)| &cut.losses).collect(),
            erasures: erasures.filter(|erasure| erasure.series == Series::All).collect(),
        }
    }

    /// A unit that nothing holds, and whether one of the cuts says so; none where all its rows were deleted by then.
    fn lacking(&self, cut: u64, unit: &Unit) -> Option<(Missing, bool)> {
        let erases = |erasure: &&Erasure| {
            (erasure.table, erasure.sequence > unit.records.1) == (unit.table, true)
                && erasure.from <= unit.first
                && unit.last < erasure.to
        };
        if self.erasures.iter().any(erases) {
            return None;
        }
        let is_gone = self.by_then.iter().any(|loss| loss.covers(unit));
        let stated = is_gone || self.later.iter().any(|loss| loss.covers(unit));
        let (table, period, records) = (unit.table, unit.period, unit.records);
        Some((Missing { cut, table, period, records, stated }, is_gone))
    }
}

/// Segments of the branch, each once.
struct Usable<'s> {
    segments: Vec<&'s Segment>,
    by_period: HashMap<u32, BTreeMap<Period, Vec<usize>>>,
}

impl<'s> Usable<'s> {
    fn new(lineage: &Lineage<'_>, there: &'s [Segment], without: &Without) -> Self {
        let limits = lineage.limits();
        let mut seen = HashSet::new();
        let of_branch = there.iter().filter(|segment| {
            let key = &segment.key;
            limits.get(&key.incarnation).is_some_and(|limit| key.records.1 <= *limit)
                && !without.tables.contains(&key.table)
                && !without.objects.contains(&key.hash)
        });
        // A table that was renamed may have the same bytes under both its names.
        Usable::of(of_branch.filter(|segment| seen.insert((segment.key.table, segment.key.hash))).collect())
    }

    fn of(segments: Vec<&'s Segment>) -> Self {
        let mut by_period: HashMap<u32, BTreeMap<Period, Vec<usize>>> = HashMap::new();
        for (at, Segment { key, .. }) in segments.iter().enumerate() {
            by_period.entry(key.table).or_default().entry(key.period).or_default().push(at);
        }
        Usable { segments, by_period }
    }

    fn only(&self, used: &BTreeSet<usize>) -> Usable<'s> {
        Usable::of(used.iter().map(|at| self.segments[*at]).collect())
    }

    /// Those of some that are not within another of them.
    fn maximal(&self, is_wanted: impl Fn(&Segment) -> bool) -> Maximal<'_, 's> {
        let mut by_period: HashMap<u32, BTreeMap<Period, Vec<usize>>> = HashMap::new();
        for (table, periods) in &self.by_period {
            let mut kept = BTreeMap::new();
            for (period, all) in periods {
                let mut some: Vec<_> = all.iter().copied().filter(|at| is_wanted(self.segments[*at])).collect();
                let records = |at: usize| self.segments[at].key.records;
                some.sort_by_key(|at| (records(*at).0, std::cmp::Reverse(records(*at).1), *at));
                let mut reached = 0;
                some.retain(|at| {
                    let is_farther = records(*at).1 > reached;
                    reached = reached.max(records(*at).1);
                    is_farther
                });
                kept.insert(*period, some);
            }
            by_period.insert(*table, self.without_shorter(kept));
        }
        Maximal { usable: self, by_period }
    }

    /// Leaves out what is within segments of longer periods.
    fn without_shorter(&self, all: BTreeMap<Period, Vec<usize>>) -> BTreeMap<Period, Vec<usize>> {
        let is_within = |period: Period, at: usize| {
            let longer = longer(&all, period).filter(|(other, _)| *other != period);
            longer.into_iter().any(|(_, others)| self.holding(others, self.segments[at].key.records).is_some())
        };
        let kept =
            all.iter().map(|(period, some)| (*period, some.iter().copied().filter(|at| !is_within(*period, *at)).collect()));
        kept.collect()
    }

    /// Of segments that rise at both ends, one that has these records and more.
    fn holding(&self, rising: &[usize], (first, last): (u64, u64)) -> Option<usize> {
        let records = |at: usize| self.segments[at].key.records;
        let behind = rising.partition_point(|at| records(*at).0 <= first);
        rising.get(behind.checked_sub(1)?).copied().filter(|at| records(*at).1 >= last)
    }

    /// Of all that hold a unit the one that goes least beyond it.
    fn finest(&self, unit: &Unit) -> Option<usize> {
        let periods = longer(self.by_period.get(&unit.table)?, unit.period);
        let holders = periods.flat_map(|(_, some)| some.iter().copied()).filter(|at| {
            let (first, last) = self.segments[*at].key.records;
            first <= unit.records.0 && unit.records.1 <= last
        });
        holders.min_by_key(|at| (self.segments[*at].key.records.1, *at))
    }

    /// The nearest cuts before and behind one that can be had exactly.
    fn exact_around(&self, lineage: &Lineage<'_>, without: &Without, cut: CutId) -> (Option<Exact>, Option<Exact>) {
        let (mut before, mut reached, mut is_behind) = (None, 0, false);
        for (id, Cut { units, records, sealed_at, .. }) in lineage.all() {
            let units = units.iter().filter(|unit| !without.tables.contains(&unit.table));
            let reach = units.filter_map(|unit| self.finest(unit)).map(|at| self.segments[at].key.records.1).max();
            reached = reached.max(reach.unwrap_or(0));
            let exact = (reached <= records.1).then_some(Exact { cut: id.1, sealed_at: *sealed_at });
            match exact {
                Some(exact) if is_behind => return (before, Some(exact)),
                Some(exact) => before = Some(exact),
                None => {}
            }
            is_behind |= *id == cut;
        }
        (before, None)
    }
}

/// Segments none of which is within another.
struct Maximal<'u, 's> {
    usable: &'u Usable<'s>,
    by_period: HashMap<u32, BTreeMap<Period, Vec<usize>>>,
}

impl Maximal<'_, '_> {
    fn all(&self) -> impl Iterator<Item = usize> {
        self.by_period.values().flat_map(BTreeMap::values).flatten().copied()
    }

    /// Segments that have rows of a time of which a cut behind those asked for deleted some, and how many rows were cut of each.
    fn doubtful(&self, lineage: &Lineage<'_>) -> HashMap<usize, u64> {
        let mut erasures: HashMap<u32, Vec<&Erasure>> = HashMap::new();
        for erasure in lineage.later().iter().flat_map(|(_, cut)| &cut.erasures) {
            erasures.entry(erasure.table).or_default().push(erasure);
        }
        let (mut rows, mut touched) = (HashMap::<usize, u64>::new(), HashSet::new());
        let units = lineage.all().iter().flat_map(|(_, cut)| &cut.units);
        for unit in units.filter(|unit| erasures.contains_key(&unit.table)) {
            let Some(at) = self.holder(unit) else { continue };
            let count = rows.entry(at).or_default();
            *count = count.saturating_add(unit.rows);
            let end = self.usable.segments[at].key.records.1;
            let touches = |erasure: &&Erasure| erasure.sequence > end && unit.first < erasure.to && erasure.from <= unit.last;
            if erasures.get(&unit.table).is_some_and(|some| some.iter().any(touches)) {
                touched.insert(at);
            }
        }
        rows.retain(|at, _| touched.contains(at));
        rows
    }

    fn holder(&self, unit: &Unit) -> Option<usize> {
        longer(self.by_period.get(&unit.table)?, unit.period).find_map(|(_, some)| self.usable.holding(some, unit.records))
    }

    /// Newer rows win over older ones by the records of their segments: those of the same time may not overlap.
    fn check_disjoint(&self) -> Result<(), NotRestored> {
        let records = |at: usize| self.usable.segments[at].key.records;
        for periods in self.by_period.values() {
            for (period, some) in periods {
                for at in some {
                    let overlap = longer(periods, *period).find_map(|(_, others)| {
                        let before = others.partition_point(|other| records(*other).0 <= records(*at).1);
                        let others = others[..before].iter().rev().copied();
                        // They rise at both ends: the one before itself is the next to look at.
                        others.filter(|other| other != at).take(1).find(|other| records(*other).1 >= records(*at).0)
                    });
                    if let Some(other) = overlap {
                        let name = |at: usize| self.usable.segments[at].key.to_string();
                        return Err(NotRestored::Overlap { one: name(*at), other: name(other) });
                    }
                }
            }
        }
        Ok(())
    }
}

/// The segments of a period and of longer ones that hold it.
fn longer<T>(periods: &BTreeMap<Period, T>, period: Period) -> impl Iterator<Item = (Period, &T)> {
    // Of each length one alone can hold it: the last that does not begin behind it.
    let candidates = period.not_behind().filter_map(|range| periods.range(range).next_back());
    candidates.filter(move |(longer, _)| longer.holds(period)).map(|(longer, some)| (*longer, some))
}
