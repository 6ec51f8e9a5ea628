//! Which source rows make each row of a merge.

use std::ops::Range;

/// A row of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowRef {
    pub(crate) source: u32,
    pub(crate) row: u32,
}

/// For each row of the result, the source rows it is made of.
#[derive(Debug, Default)]
pub(crate) struct MergePlan {
    /// The time of each row of the result.
    pub(crate) times: Vec<i64>,
    /// Source rows, result row by result row; within one, oldest source first.
    parts: Vec<RowRef>,
    /// Where each result row's parts begin, and one more for the end; `None` while every row has just one part.
    starts: Option<Vec<u32>>,
}

impl MergePlan {
    /// Rows of the result.
    pub(crate) fn rows(&self) -> usize {
        self.times.len()
    }

    /// All rows of one source, in their order.
    #[cfg(feature = "internals")]
    pub(crate) fn of_one(times: Vec<i64>) -> MergePlan {
        let parts = (0..times.len() as u32).map(|row| RowRef { source: 0, row }).collect();
        MergePlan { times, parts, starts: None }
    }

    /// The source rows that make result row `row`, oldest first.
    pub(crate) fn parts(&self, row: usize) -> &[RowRef] {
        match &self.starts {
            None => &self.parts[row..=row],
            Some(starts) => &self.parts[starts[row] as usize..starts[row + 1] as usize],
        }
    }

    /// All source rows of some result rows, and whether each result row has just one.
    pub(crate) fn parts_of(&self, rows: Range<usize>) -> (&[RowRef], bool) {
        match &self.starts {
            None => (&self.parts[rows], true),
            Some(starts) => {
                let parts = &self.parts[starts[rows.start] as usize..starts[rows.end] as usize];
                (parts, parts.len() == rows.len())
            }
        }
    }
}

/// Builds a plan series by series.
#[derive(Debug, Default)]
pub(crate) struct PlanBuilder {
    plan: MergePlan,
    scratch: Vec<(i64, RowRef)>,
}

/// Sorted times of one series in one source; `first_row` is the row of `times[0]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) source: u32,
    pub(crate) first_row: u32,
    pub(crate) times: &'a [i64],
}

impl PlanBuilder {
    /// Adds the rows of one series, its stretches oldest first, except those that `dropped` names by (source, time).
    /// Answers how many rows of the result they make.
    pub(crate) fn push_series(&mut self, stretches: &[Stretch<'_>], dropped: impl Fn(u32, i64) -> bool) -> usize {
        let before = self.plan.rows();
        if follow_each_other(stretches) {
            for stretch in stretches {
                self.push_stretch(stretch, &dropped);
            }
        } else {
            self.push_overlapping(stretches, &dropped);
        }
        self.plan.rows() - before
    }

    /// Adds one row made of the given (source, row) parts, oldest first.
    pub(crate) fn push_row(&mut self, time: i64, parts: impl IntoIterator<Item = (u32, u32)>) {
        self.begin_row(time);
        for (position, (source, row)) in parts.into_iter().enumerate() {
            if position > 0 {
                self.starts_needed();
            }
            self.plan.parts.push(RowRef { source, row });
        }
    }

    /// The plan of everything added.
    pub(crate) fn finish(mut self) -> MergePlan {
        if let Some(starts) = &mut self.plan.starts {
            starts.push(self.plan.parts.len() as u32);
        }
        self.plan
    }

    fn push_stretch(&mut self, stretch: &Stretch<'_>, dropped: &impl Fn(u32, i64) -> bool) {
        for (offset, &time) in stretch.times.iter().enumerate() {
            if !dropped(stretch.source, time) {
                self.begin_row(time);
                self.plan.parts.push(RowRef { source: stretch.source, row: stretch.first_row + offset as u32 });
            }
        }
    }

    fn push_overlapping(&mut self, stretches: &[Stretch<'_>], dropped: &impl Fn(u32, i64) -> bool) {
        let mut rows = std::mem::take(&mut self.scratch);
        rows.clear();
        for stretch in stretches {
            let refs = stretch.times.iter().enumerate().filter(|&(_, &time)| !dropped(stretch.source, time));
            rows.extend(
                refs.map(|(offset, &time)| (time, RowRef { source: stretch.source, row: stretch.first_row + offset as u32 })),
            );
        }
        // Stable, so that equal times stay oldest first; and fast, since the input is a few sorted stretches.
        rows.sort_by_key(|&(time, _)| time);
        let mut previous = None;
        for &(time, part) in &rows {
            if previous == Some(time) {
                self.starts_needed();
            } else {
                self.begin_row(time);
            }
            self.plan.parts.push(part);
            previous = Some(time);
        }
        self.scratch = rows;
    }

    fn begin_row(&mut self, time: i64) {
        if let Some(starts) = &mut self.plan.starts {
            starts.push(self.plan.parts.len() as u32);
        }
        self.plan.times.push(time);
    }

    /// From the first duplicate on, parts and rows no longer correspond one to one.
    fn starts_needed(&mut self) {
        let rows = self.plan.times.len() as u32;
        self.plan.starts.get_or_insert_with(|| (0..rows).collect());
    }
}

/// Whether no stretch reaches back to the times of those before it, nor repeats a time itself.
fn follow_each_other(stretches: &[Stretch<'_>]) -> bool {
    stretches.windows(2).all(|pair| match (pair[0].times.last(), pair[1].times.first()) {
        (Some(last), Some(first)) => last < first,
        _ => false,
    })
}
