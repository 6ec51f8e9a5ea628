//! Tag columns: a tag has one value for all rows of a series, so they are made from the runs.

use parquet::file::writer::TrackedWrite;

use super::blocks::Sink;
use super::bounds::Bounds;
use super::choose::{Plan, worth_compressing};
use super::chunk::{self, Body, Entries};
use super::codec::{self, Encoding};
use super::footer::WrittenColumn;
use super::layout::{PageSpan, SeriesRun, Slice};
use super::values::ColumnKind;
use super::{bits, hybrid};
use crate::error::{Error, Result};

/// The values of one tag: the distinct ones, sorted, and which of them each run has.
struct TagValues<'a> {
    sorted: Vec<&'a str>,
    /// Index of each run's value; `None` where it is missing.
    of_runs: Vec<Option<u32>>,
    /// Bits of the largest index.
    width: u32,
}

impl<'a> TagValues<'a> {
    fn new(tag: usize, runs: &'a [SeriesRun]) -> TagValues<'a> {
        let mut sorted: Vec<&str> = runs.iter().filter_map(|run| run.key.tag(tag)).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let index = |value: &str| sorted.binary_search(&value).ok().map(|place| place as u32);
        let of_runs = runs.iter().map(|run| run.key.tag(tag).and_then(index)).collect();
        let width = bits::width_of(sorted.len().saturating_sub(1) as u64);
        TagValues { sorted, of_runs, width }
    }

    fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        for text in &self.sorted {
            plain.extend_from_slice(&(text.len() as u32).to_le_bytes());
            plain.extend_from_slice(text.as_bytes());
        }
        plain
    }

    /// Encodes one page, whose rows belong to `runs`, each with its rows.
    fn encode(&self, runs: &[(usize, u32)], body: &mut Vec<u8>) -> Body {
        body.clear();
        let (mut levels, mut indexes) = (Vec::new(), Vec::new());
        let mut bounds = Bounds::default();
        for (run, rows) in runs {
            let value = self.of_runs.get(*run).copied().flatten();
            levels.extend(std::iter::repeat_n(u32::from(value.is_some()), *rows as usize));
            match value {
                None => bounds.nulls += u64::from(*rows),
                Some(index) => {
                    indexes.extend(std::iter::repeat_n(index, *rows as usize));
                    bounds = bounds.merge(Bounds::of_text(self.sorted[index as usize].as_bytes()));
                }
            }
        }
        body.extend_from_slice(&[0; 4]);
        hybrid::encode(&levels, 1, body);
        let length = (body.len() - 4) as u32;
        body[..4].copy_from_slice(&length.to_le_bytes());
        let values_at = body.len();
        codec::encode_indexes(&indexes, self.width, body);
        Body { values_at, present: indexes.len(), bounds }
    }
}

/// Writes the column of the tag at this position.
pub(super) fn write(
    out: &mut TrackedWrite<&mut Sink>,
    tag: usize,
    runs: &[SeriesRun],
    pages: &[PageSpan],
    slices: &[Slice],
) -> Result<WrittenColumn> {
    let values = TagValues::new(tag, runs);
    let plain = values.plain();
    if u32::try_from(plain.len()).is_err() {
        return Err(Error::Internal("more than 4 GiB of tag values in a segment".into()));
    }
    // Which runs each page has rows of: a run's slices follow one another.
    let mut by_page: Vec<Vec<(usize, u32)>> = vec![Vec::new(); pages.len()];
    let mut run = 0;
    for slice in slices {
        while runs.get(run).is_some_and(|run| run.series != slice.series) {
            run += 1;
        }
        by_page[slice.page as usize].push((run, slice.rows));
    }
    let mut first = Vec::new();
    values.encode(&by_page[0], &mut first);
    let plan = Plan { encoding: Encoding::Dictionary, compressor: worth_compressing(&[&plain, &first])? };
    let entries = Some(Entries { count: values.sorted.len() as u32, plain: &plain }).filter(|entries| entries.count > 0);
    // Without any value there is no dictionary, and no value that would need one.
    let plan = if entries.is_some() { plan } else { Plan { encoding: Encoding::Plain, compressor: None } };
    chunk::write(out, ColumnKind::Tag, pages, plan, entries, &mut |page, body| {
        let made = values.encode(&by_page[page], body);
        if values.sorted.is_empty() {
            body.truncate(made.values_at);
        }
        Ok(made)
    })
}
