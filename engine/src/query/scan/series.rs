//! The merged rows of one series, a page's worth at a time.

use std::collections::VecDeque;

use super::{Piece, Scan};
use crate::error::Result;
use crate::merge::{PlanBuilder, Stretch, gather};
use crate::model::{Block, SeriesId, TimeRange};

/// What a series consists of, step by step.
pub(in crate::query) enum Part {
    /// Rows, each (series, time) once, rising by time. The block's `series` is left empty.
    Rows(Block),
    /// Rows that nothing else touches and that all lie in the range; what is known of them will do.
    Known(Piece),
}

/// What to do with a piece that nothing overlaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) enum Verdict {
    /// Its rows are needed.
    Read,
    /// What is known of it will do.
    Known,
    /// None of its rows is wanted.
    Skip,
}

/// Merges the pieces of a series. At any moment only those pieces are in memory that overlap at one point in time.
#[derive(Debug)]
pub(in crate::query) struct SeriesRows {
    series: SeriesId,
    /// By first time.
    ahead: VecDeque<Piece>,
    /// Loaded rows that later pieces may still overlap, by rank.
    held: Vec<(u32, Block)>,
}

impl SeriesRows {
    pub(super) fn new(series: SeriesId, mut pieces: Vec<Piece>) -> Self {
        pieces.sort_by_key(|piece| (piece.times.0, piece.rank));
        SeriesRows { series, ahead: pieces.into(), held: Vec::new() }
    }

    /// Whether nothing is left.
    pub(in crate::query) fn is_done(&self) -> bool {
        self.ahead.is_empty() && self.held.is_empty()
    }

    /// The next part; `None` at the end. Parts may be empty. `judge` is asked about pieces that nothing overlaps.
    pub(in crate::query) fn next(&mut self, scan: &Scan, judge: &mut dyn FnMut(&Piece) -> Verdict) -> Result<Option<Part>> {
        scan.cancel.check()?;
        if self.held.is_empty() {
            let Some(piece) = self.ahead.pop_front() else { return Ok(None) };
            if self.horizon().is_none_or(|next| next > piece.times.1) {
                return self.alone(scan, piece, judge).map(Some);
            }
            self.hold(scan, piece)?;
        }
        let merged = self.merge_up_to(scan, self.horizon())?;
        if let Some(piece) = self.ahead.pop_front() {
            self.hold(scan, piece)?;
        }
        Ok(Some(Part::Rows(merged)))
    }

    /// The first time of what is not yet loaded.
    fn horizon(&self) -> Option<i64> {
        self.ahead.front().map(|piece| piece.times.0)
    }

    fn alone(&self, scan: &Scan, piece: Piece, judge: &mut dyn FnMut(&Piece) -> Verdict) -> Result<Part> {
        let (first, last) = piece.times;
        match if scan.is_unmasked(self.series, &piece) { judge(&piece) } else { Verdict::Read } {
            Verdict::Skip => Ok(Part::Rows(Block::default())),
            Verdict::Known if scan.range.covers(first, last) => Ok(Part::Known(piece)),
            _ => self.load(scan, &piece, scan.times).map(Part::Rows),
        }
    }

    fn hold(&mut self, scan: &Scan, piece: Piece) -> Result<()> {
        let block = self.load(scan, &piece, true)?;
        if block.rows() > 0 {
            self.held.push((piece.rank, block));
            self.held.sort_by_key(|&(rank, _)| rank);
        }
        Ok(())
    }

    fn masks(&self, scan: &Scan, piece: &Piece) -> Vec<TimeRange> {
        scan.state.masks(self.series, piece.masked_after)
    }

    /// Reads a piece without its deleted rows.
    fn load(&self, scan: &Scan, piece: &Piece, times: bool) -> Result<Block> {
        let masks = self.masks(scan, piece);
        if masks.is_empty() {
            return piece.load(scan, times);
        }
        let block = piece.load(scan, true)?;
        merge(scan, &[(piece.rank, block)], None, &masks)
    }

    /// Merges held rows before `horizon` and keeps the rest.
    fn merge_up_to(&mut self, scan: &Scan, horizon: Option<i64>) -> Result<Block> {
        let held = std::mem::take(&mut self.held);
        let merged = merge(scan, &held, horizon, &[])?;
        for (rank, block) in held {
            let done = horizon.map_or(block.rows(), |horizon| block.times.partition_point(|&time| time < horizon));
            if done < block.rows() {
                self.held.push((rank, block.slice(done, block.rows() - done)));
            }
        }
        Ok(merged)
    }
}

/// Newest-wins merge of blocks of one series, by rank, up to a horizon and without masked times.
fn merge(scan: &Scan, held: &[(u32, Block)], horizon: Option<i64>, masks: &[TimeRange]) -> Result<Block> {
    let stretches: Vec<Stretch<'_>> = held
        .iter()
        .zip(0..)
        .map(|((_, block), source)| {
            let end = horizon.map_or(block.rows(), |horizon| block.times.partition_point(|&time| time < horizon));
            Stretch { source, first_row: 0, times: &block.times[..end] }
        })
        .filter(|stretch| !stretch.times.is_empty())
        .collect();
    let mut builder = PlanBuilder::default();
    builder.push_series(&stretches, |_, time| masks.iter().any(|mask| mask.contains(time)));
    let plan = builder.finish();
    let blocks: Vec<Block> = held.iter().map(|(_, block)| block.clone()).collect();
    let mut merged = Block::default();
    for &field in scan.fields.iter() {
        let kind = scan.schema.fields[field].kind.arrow();
        merged.set_column(field, gather(&plan, &mut blocks.as_slice(), field, &kind, 0..plan.rows())?);
    }
    merged.times = plan.times.into();
    Ok(merged)
}
