//! Which segments to compact next.
//!
//! Only segments that are neighbours by sequence may be merged, so that the result has one place in the order of age. Within
//! a partition, segments whose sequences overlap (parts of one seal, left by a coarsened partition) form one *generation*,
//! which is taken whole or not at all.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::source::SeriesTimes;
use crate::delivery::Fences;
use crate::error::Result;
use crate::model::{Partition, PartitionKind, Sequence, TimeUnit};
use crate::record::SegmentEntry;
use crate::seal::Target;
use crate::table::{PendingDeletion, TableState};

/// A merge makes at most so many rows.
const MERGED_ROWS: u64 = 1 << 20;
/// Generations of one size class that are merged without being asked: each row is rewritten about log8(rows) times.
const FAN_IN: usize = 8;

/// How eagerly to compact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What keeps the number of segments bounded.
    Background,
    /// Everything that can be folded, and every deletion carried out.
    Full,
    /// Only that no spill segment is left.
    Spills,
}

/// Segments to be replaced.
#[derive(Debug)]
pub(crate) struct Job {
    /// Oldest first.
    pub(crate) inputs: Vec<Arc<SegmentEntry>>,
    /// The partition of the result; `None` splits a spill segment.
    partition: Option<Partition>,
    /// The length of partitions a spill is split into.
    kind: PartitionKind,
}

impl Job {
    /// The records that the result covers.
    pub(crate) fn sequences(&self) -> (Sequence, Sequence) {
        let first = self.inputs.iter().map(|entry| entry.first_sequence).min().unwrap_or(0);
        let last = self.inputs.iter().map(|entry| entry.last_sequence).max().unwrap_or(0);
        (first, last)
    }

    /// Where the rows go.
    pub(super) fn targets(&self, times: &[SeriesTimes], unit: TimeUnit) -> Vec<Target> {
        if let Some(partition) = self.partition {
            return vec![Target::partition(partition)];
        }
        let mut partitions: BTreeMap<i64, Partition> = BTreeMap::new();
        let mut current: Option<Partition> = None;
        for &time in times.iter().flat_map(|times| &times.times) {
            if current.is_none_or(|partition| !partition.range.contains(time)) {
                let partition = self.kind.of(time, unit);
                partitions.insert(partition.range.start, partition);
                current = Some(partition);
            }
        }
        partitions.into_values().map(Target::partition).collect()
    }
}

/// The next job for a table whose partitions are of length `kind`, if there is one that the fences allow.
pub(crate) fn next_job(state: &TableState, kind: PartitionKind, effort: Effort, fences: &Fences) -> Result<Option<Job>> {
    if let Some(spill) = state.segments.iter().find(|entry| entry.partition.is_none()) {
        // Oldest first: what is split no longer stands between neighbours.
        return Ok(Some(Job { inputs: vec![spill.clone()], partition: None, kind }));
    }
    for (partition, segments) in by_partition(state) {
        let generations = generations(segments);
        // How segments stand is looked up only where there would be something to do.
        if choose(state, &generations, effort).is_none() {
            continue;
        }
        for alike in between_fences(&generations, fences)? {
            if let Some(chosen) = choose(state, alike, effort) {
                let mut inputs: Vec<_> = chosen.iter().flatten().cloned().collect();
                inputs.sort_by_key(|entry| (entry.last_sequence, entry.id));
                return Ok(Some(Job { inputs, partition: Some(partition), kind: partition.kind }));
            }
        }
    }
    Ok(None)
}

fn choose<'a>(state: &TableState, generations: &'a [Generation], effort: Effort) -> Option<&'a [Generation]> {
    match effort {
        Effort::Background => same_size(generations),
        Effort::Full => foldable(generations).or_else(|| masked(state, generations)),
        Effort::Spills => None,
    }
}

/// Neighbours that stand alike with all deliveries; those left out have to stay as they are.
fn between_fences<'a>(generations: &'a [Generation], fences: &Fences) -> Result<Vec<&'a [Generation]>> {
    let mut alike = Vec::new();
    let (mut start, mut before) = (0, None);
    for (at, generation) in generations.iter().enumerate() {
        let standings = generation.iter().map(|entry| fences.standing(entry)).collect::<Result<Vec<_>>>()?;
        let own = standings.first().cloned().flatten().filter(|_| standings.windows(2).all(|pair| pair[0] == pair[1]));
        if own.is_none() || own != before {
            alike.extend((start < at).then(|| &generations[start..at]));
            start = at + usize::from(own.is_none());
        }
        before = own;
    }
    alike.extend((start < generations.len()).then(|| &generations[start..]));
    Ok(alike)
}

/// Records whose deletions mask nothing any more, in the other tables neither: a transaction deletes in several, and more than once in one.
pub(crate) fn retirable_deletions(state: &TableState, others: &[TableState]) -> Vec<Sequence> {
    let masking: HashSet<Sequence> = others.iter().chain([state]).flat_map(masking).collect();
    let mut retirable: Vec<_> = state.deletions.iter().map(|pending| pending.sequence).collect();
    retirable.dedup();
    retirable.retain(|sequence| !masking.contains(sequence));
    retirable
}

/// Records with a deletion that may still mask rows of a table.
fn masking(state: &TableState) -> impl Iterator<Item = Sequence> {
    let masks = |pending: &&PendingDeletion| {
        let range = pending.deletion.range;
        let segment = state
            .segments
            .iter()
            .any(|entry| entry.deletions_through < pending.sequence && range.touches(entry.times.0, entry.times.1));
        segment || state.runs().any(|run| run.sequences.1 < pending.sequence)
    };
    state.deletions.iter().filter(masks).map(|pending| pending.sequence)
}

type Generation = Vec<Arc<SegmentEntry>>;

/// Segments by the widest partition that holds them: partitions nest, and tables may have coarsened.
pub(crate) fn by_partition(state: &TableState) -> Vec<(Partition, Vec<Arc<SegmentEntry>>)> {
    let mut by_start: Vec<(Partition, Arc<SegmentEntry>)> =
        state.segments.iter().filter_map(|entry| entry.partition.map(|partition| (partition, entry.clone()))).collect();
    by_start.sort_by_key(|(partition, entry)| (partition.range.start, std::cmp::Reverse(partition.kind), entry.id));
    let mut groups: Vec<(Partition, Vec<Arc<SegmentEntry>>)> = Vec::new();
    for (partition, entry) in by_start {
        match groups.last_mut() {
            Some((widest, members)) if partition.range.start < widest.range.end => members.push(entry),
            _ => groups.push((partition, vec![entry])),
        }
    }
    groups
}

fn generations(mut segments: Vec<Arc<SegmentEntry>>) -> Vec<Generation> {
    segments.sort_by_key(|entry| (entry.first_sequence, entry.id));
    let mut generations: Vec<Generation> = Vec::new();
    let mut reach = 0;
    for entry in segments {
        match generations.last_mut() {
            Some(generation) if entry.first_sequence <= reach => generation.push(entry.clone()),
            _ => generations.push(vec![entry.clone()]),
        }
        reach = reach.max(entry.last_sequence);
    }
    generations
}

fn rows(generation: &Generation) -> u64 {
    generation.iter().map(|entry| entry.rows).sum()
}

/// Enough neighbours of one size class.
fn same_size(generations: &[Generation]) -> Option<&[Generation]> {
    let class = |generation: &Generation| rows(generation).max(1).ilog2() / 3;
    let alike = generations.chunk_by(|a, b| class(a) == class(b));
    alike.filter_map(|run| run.get(..FAN_IN)).find(|run| run.iter().map(rows).sum::<u64>() <= MERGED_ROWS)
}

/// The first neighbours that fit together, and any generation of several parts.
fn foldable(generations: &[Generation]) -> Option<&[Generation]> {
    for start in 0..generations.len() {
        let mut total = 0;
        let fitting = generations[start..]
            .iter()
            .take_while(|generation| {
                total += rows(generation);
                total <= MERGED_ROWS
            })
            .count();
        if fitting >= 2 {
            return Some(&generations[start..start + fitting]);
        }
        if generations[start].len() > 1 && rows(&generations[start]) <= MERGED_ROWS {
            return Some(&generations[start..=start]);
        }
    }
    None
}

/// A generation that deletions still mask.
fn masked<'a>(state: &TableState, generations: &'a [Generation]) -> Option<&'a [Generation]> {
    let touched = |entry: &Arc<SegmentEntry>| {
        state.deletions.iter().any(|pending| {
            pending.sequence > entry.deletions_through && pending.deletion.range.touches(entry.times.0, entry.times.1)
        })
    };
    let at = generations.iter().position(|generation| generation.iter().any(touched))?;
    Some(&generations[at..=at])
}
