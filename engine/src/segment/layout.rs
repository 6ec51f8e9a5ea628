//! Which rows share a page, and which rows of a page belong to which series.

use crate::error::{Error, Result};
use crate::model::{SeriesId, SeriesKey};

/// Rows of the largest page. Pages four times as large compress 3 % better, and take small reads twice as long.
pub(super) const PAGE_ROWS: usize = 2_048;
/// Rows of a full page where texts are so long that pages must be smaller.
pub(super) const FEWEST_PAGE_ROWS: usize = 64;
/// A series of at least this part of a full page begins a page of its own, so that whole pages, and their statistics, are of one
/// series.
const LONG_SERIES_PART: usize = 4;

/// Rows of one series, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct SeriesRun {
    /// The series.
    pub(crate) series: SeriesId,
    /// Its tag values.
    pub(crate) key: SeriesKey,
    /// How many rows.
    pub(crate) rows: usize,
}

/// The rows of one page, in every column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageSpan {
    /// The first, counted through the segment.
    pub(crate) first_row: u32,
    /// How many.
    pub(crate) rows: u32,
}

impl PageSpan {
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.first_row as usize..self.first_row as usize + self.rows as usize
    }
}

/// The rows of one series within one page, sorted by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slice {
    /// The series.
    pub(crate) series: SeriesId,
    /// The page.
    pub(crate) page: u32,
    /// The first row, counted through the segment.
    pub(crate) first_row: u32,
    /// How many rows; at least one.
    pub(crate) rows: u32,
    /// Time of the first row.
    pub(crate) min_time: i64,
    /// Time of the last row.
    pub(crate) max_time: i64,
}

/// Cuts rows into pages. A long series has pages of its own, of nearly equal size; a shorter one lies whole within one page.
pub(super) fn plan(runs: &[SeriesRun], times: &[i64], page_rows: usize) -> Result<(Vec<PageSpan>, Vec<Slice>)> {
    let mut plan = Plan { pages: Vec::new(), slices: Vec::new(), page_start: 0, row: 0, times, page_rows };
    for run in runs {
        plan.add(run)?;
    }
    plan.cut();
    if plan.row != times.len() || plan.row == 0 {
        return Err(Error::Internal(format!("runs of {} rows for a segment of {}", plan.row, times.len())));
    }
    Ok((plan.pages, plan.slices))
}

struct Plan<'a> {
    pages: Vec<PageSpan>,
    slices: Vec<Slice>,
    page_start: usize,
    row: usize,
    times: &'a [i64],
    page_rows: usize,
}

impl Plan<'_> {
    fn add(&mut self, run: &SeriesRun) -> Result<()> {
        let long = run.rows >= self.page_rows / LONG_SERIES_PART;
        if long || self.row - self.page_start + run.rows > self.page_rows {
            self.cut();
        }
        let pages = run.rows.div_ceil(self.page_rows);
        for page in 0..pages {
            let rows = run.rows * (page + 1) / pages - run.rows * page / pages;
            self.slice(run.series, rows)?;
            if long {
                self.cut();
            }
        }
        Ok(())
    }

    fn slice(&mut self, series: SeriesId, rows: usize) -> Result<()> {
        let times = self.times.get(self.row..self.row + rows).filter(|times| times.is_sorted());
        let Some((min, max)) = times.and_then(|times| Some((*times.first()?, *times.last()?))) else {
            return Err(Error::Internal("rows for a segment are too few or not sorted by time".into()));
        };
        self.slices.push(Slice {
            series,
            page: self.pages.len() as u32,
            first_row: self.row as u32,
            rows: rows as u32,
            min_time: min,
            max_time: max,
        });
        self.row += rows;
        Ok(())
    }

    fn cut(&mut self) {
        if self.row > self.page_start {
            let rows = (self.row - self.page_start) as u32;
            self.pages.push(PageSpan { first_row: self.page_start as u32, rows });
            self.page_start = self.row;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(lengths: &[usize]) -> (Vec<u32>, Vec<(u32, u32, u32)>) {
        let runs: Vec<SeriesRun> = (0u32..)
            .zip(lengths)
            .map(|(id, rows)| SeriesRun { series: SeriesId(id), key: SeriesKey::default(), rows: *rows })
            .collect();
        let times: Vec<i64> = lengths.iter().flat_map(|rows| 0..*rows as i64).collect();
        let (pages, slices) = plan(&runs, &times, 8_192).unwrap();
        let mut row = 0;
        for page in &pages {
            assert_eq!(page.first_row, row);
            row += page.rows;
        }
        assert_eq!(row as usize, times.len());
        (pages.iter().map(|page| page.rows).collect(), slices.iter().map(|s| (s.series.0, s.page, s.rows)).collect())
    }

    #[test]
    fn long_series_have_pages_of_their_own() {
        let (pages, slices) = planned(&[5_000, 20_000, 3_000]);
        assert_eq!(pages, [5_000, 6_666, 6_667, 6_667, 3_000]);
        assert_eq!(slices, [(0, 0, 5_000), (1, 1, 6_666), (1, 2, 6_667), (1, 3, 6_667), (2, 4, 3_000)]);
    }

    #[test]
    fn short_series_share_pages_and_are_never_cut() {
        let (pages, slices) = planned(&[10, 2_000, 2_000, 2_000, 2_000, 500, 4_000, 7]);
        assert_eq!(pages, [8_010, 500, 4_000, 7]);
        assert_eq!(slices.iter().map(|slice| slice.1).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 2, 3]);
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        let run = SeriesRun { series: SeriesId(0), key: SeriesKey::default(), rows: 2 };
        assert!(plan(std::slice::from_ref(&run), &[2, 1], 64).is_err());
        assert!(plan(&[run], &[1, 2, 3], 64).is_err());
        assert!(plan(&[], &[], 64).is_err());
    }
}
