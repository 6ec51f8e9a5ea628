//! Which cuts are restored: a branch, and where on it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Options;
use super::error::{NotRestored, Tip};
use crate::prove::{Branch, Cut, CutId, Problem, Proof, Prover};
use crate::remote::{Hash, Incarnation, Key};

/// The cuts to be restored and those behind them on the same branch, oldest first.
#[derive(Debug)]
pub(super) struct Lineage<'p> {
    cuts: Vec<(CutId, &'p Cut)>,
    /// How many of them are to be restored: one at least.
    wanted: usize,
    /// What is wrong with the bucket, and may be.
    pub(super) tolerated: Vec<Problem>,
}

/// Metadata that are to be restored.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) key: Key,
    pub(super) hash: Hash,
    /// Lines in it.
    pub(super) lines: u64,
    /// The last record that they are of.
    pub(super) through: u64,
    pub(super) at: Timestamp,
    /// Whether they are as old as was asked for. Of those that are not, tables and series alone are looked at: those of the rows.
    pub(super) is_of_then: bool,
}

impl<'p> Lineage<'p> {
    /// Chooses, as asked for.
    pub(super) fn choose(prover: &'p Prover, proof: &Proof, options: &Options) -> Result<Self, NotRestored> {
        let branch = choose_branch(prover, proof, options.incarnation)?;
        let (mut cuts, broken) = prover.chain((branch.incarnation, branch.last));
        cuts.reverse();
        let wanted = match options.until {
            None => cuts.len(),
            Some(until) => cuts.iter().rposition(|(_, cut)| cut.sealed_at <= until).map_or(0, |at| at + 1),
        };
        let mut lineage = Lineage { cuts, wanted, tolerated: Vec::new() };
        let mut problems: Vec<_> = proof.problems.iter().filter(|problem| lineage.concerns(problem)).cloned().collect();
        problems.extend(broken.filter(|broken| !problems.contains(broken)));
        let hopeless = |problem: &Problem| matches!(problem, Problem::Conflict { .. });
        if problems.iter().any(hopeless) || !(problems.is_empty() || options.allow_missing) {
            return Err(NotRestored::Unproved { problems });
        }
        match (options.until, lineage.cuts.first()) {
            (Some(until), Some((_, first))) if wanted == 0 => {
                return Err(NotRestored::TooEarly { until, first: first.sealed_at });
            }
            _ => {}
        }
        lineage.tolerated = problems;
        Ok(lineage)
    }

    /// The cuts to be restored, oldest first.
    pub(super) fn wanted(&self) -> &[(CutId, &'p Cut)] {
        &self.cuts[..self.wanted]
    }

    /// Those behind them, oldest first.
    pub(super) fn later(&self) -> &[(CutId, &'p Cut)] {
        &self.cuts[self.wanted..]
    }

    /// All cuts of the branch as far as they are known, oldest first.
    pub(super) fn all(&self) -> &[(CutId, &'p Cut)] {
        &self.cuts
    }

    /// The last cut to be restored.
    pub(super) fn last(&self) -> Option<(CutId, &'p Cut)> {
        self.wanted().last().copied()
    }

    /// Up to which record the incarnations of the branch are its own: what others of them wrote later is of another branch.
    pub(super) fn limits(&self) -> BTreeMap<Incarnation, u64> {
        self.cuts.iter().map(|((incarnation, _), cut)| (*incarnation, cut.records.1)).collect()
    }

    /// The metadata to be restored, oldest first: all there are of some incarnation, and what changed since.
    pub(super) fn metadata(&self, gateway: &str, until: Option<Timestamp>) -> Vec<Source> {
        let mut sources: Vec<_> = self.wanted().iter().filter_map(|(id, cut)| Some((*id, cut.metadata?))).collect();
        let is_of_then = |at: Timestamp| until.is_none_or(|until| at <= until);
        // Lines of the last ones may be newer than that: those before them are as of then.
        let of_then = sources.iter().rposition(|(_, delta)| is_of_then(delta.at)).map_or(0, |at| at + 1);
        let begin = sources.iter().take(of_then).rposition(|(_, delta)| delta.after == 0).unwrap_or(0);
        let source = |(at, ((incarnation, cut), delta)): (usize, (CutId, crate::remote::Delta))| Source {
            key: Key::Metadata { gateway: gateway.to_owned(), incarnation, cut, hash: delta.hash },
            hash: delta.hash,
            lines: delta.keys,
            through: delta.through,
            at: delta.at,
            is_of_then: at < of_then,
        };
        sources.drain(..).enumerate().skip(begin).map(source).collect()
    }

    /// Whether the metadata of a name are known not to be there.
    pub(super) fn lacks_metadata(&self, key: &Key) -> bool {
        let Key::Metadata { incarnation, cut, .. } = key else { return false };
        self.tolerated.contains(&Problem::NoMetadata { incarnation: *incarnation, cut: *cut })
    }

    /// Whether something that is wrong is so with what is to be restored.
    fn concerns(&self, problem: &Problem) -> bool {
        let is_wanted =
            |incarnation: &Incarnation, number: &u64| self.wanted().iter().any(|(id, _)| *id == (*incarnation, *number));
        let is_all = self.wanted == self.cuts.len();
        match problem {
            // Nobody knows what it was. Where a later cut is there and not wanted, it is none of those wanted.
            Problem::Altered { key, .. } => match key.parse() {
                Ok(Key::Manifest { incarnation, cut, .. }) => {
                    is_all || !self.later().iter().any(|((of, number), _)| *of == incarnation && *number <= cut)
                }
                _ => false,
            },
            Problem::Conflict { incarnation, cut }
            | Problem::Broken { incarnation, cut, .. }
            | Problem::MetadataBetween { incarnation, cut }
            | Problem::NoMetadata { incarnation, cut } => is_wanted(incarnation, cut),
            // That of a cut behind another of the branch is of another branch, or else the branch ends there.
            Problem::NoManifest { .. } => false,
            Problem::Unannounced { incarnation, .. } => {
                is_all && self.cuts.last().is_some_and(|((last, _), _)| last == incarnation)
            }
        }
    }
}

fn choose_branch<'b>(prover: &Prover, proof: &'b Proof, wanted: Option<Incarnation>) -> Result<&'b Branch, NotRestored> {
    let tip = |branch: &Branch| Tip {
        incarnation: branch.incarnation,
        cut: branch.last,
        sealed_at: prover.chain((branch.incarnation, branch.last)).0.first().map(|(_, cut)| cut.sealed_at),
    };
    let tips = || proof.branches.iter().map(tip).collect();
    let found: Vec<_> = proof.branches.iter().filter(|branch| wanted.is_none_or(|wanted| wanted == branch.incarnation)).collect();
    match (&found[..], wanted) {
        ([branch], _) => Ok(branch),
        ([], Some(incarnation)) if !proof.branches.is_empty() => Err(NotRestored::NoBranch { incarnation, branches: tips() }),
        ([], _) => Err(NotRestored::Unproved { problems: proof.problems.clone() }),
        _ => Err(NotRestored::ManyBranches { branches: tips() }),
    }
}

/// What is wrong and was allowed, in words.
pub(super) fn in_words(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}
