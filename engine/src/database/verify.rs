//! Reading everything and checking every checksum.

use std::collections::HashSet;

use super::inner::Inner;
use crate::audit;
use crate::error::{Error, Result};
use crate::format::names;
use crate::keyspace::Transaction;
use crate::model::{Sequence, SeriesId};
use crate::record::SegmentEntry;
use crate::recover;
use crate::segment::{self, PageCache, Segment};
use crate::table::Table;
use crate::wal;

/// What was checked and what is wrong.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Everything that is not as it was written.
    pub problems: Vec<Problem>,
}

/// Something damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the database directory.
    pub file: String,
    /// What is wrong, and where.
    pub detail: String,
}

impl VerifyReport {
    fn problem(&mut self, file: impl Into<String>, detail: impl ToString) {
        self.problems.push(Problem { file: file.into(), detail: detail.to_string() });
    }
}

impl Inner {
    pub(super) fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport> {
        self.check_open()?;
        let mut report = VerifyReport::default();
        let tables = self.publisher.registry.all();
        let segments: u64 =
            tables.iter().flat_map(|table| table.snapshot().segments.iter().map(|entry| entry.bytes).collect::<Vec<_>>()).sum();
        let log = self.committer.bytes_on_disk();
        let catalog = self.publisher.catalog.get();
        let catalog_bytes = catalog.as_ref().map_or(Ok(0), |catalog| catalog.bytes_on_disk())?;
        let total = segments + log + self.feed.history.bytes_on_disk() + catalog_bytes;

        if !recover::check_identity(&self.components, &self.layout, &self.identity)? {
            report.problem(names::IDENTITY, "one of its two copies is damaged: the other still serves");
        }
        report.files += 1;
        self.verify_log(&mut report)?;
        report.bytes = log;
        self.verify_history(&mut report);
        progress(report.bytes, total);
        if let Some(catalog) = catalog {
            for error in catalog.verify()? {
                report.problem(names::CATALOG, error);
            }
            report.files += 1;
            report.bytes += catalog_bytes;
            progress(report.bytes, total);
        }
        self.verify_trail(&mut report)?;
        let passing = PageCache::new(0);
        for table in &tables {
            for entry in table.snapshot().segments.iter() {
                self.verify_segment(table, entry, &passing, &mut report);
                report.files += 1;
                report.bytes += entry.bytes;
                progress(report.bytes, total);
            }
        }
        Ok(report)
    }

    /// Every frame is read while nobody writes.
    fn verify_log(&self, report: &mut VerifyReport) -> Result<()> {
        let scan = self.committer.between_groups(|_| wal::scan(&*self.components.disk, &self.layout.log(), &mut |_| Ok(())))?;
        report.files += scan.files.len() as u64;
        for damage in &scan.damage {
            report.problem(recover::relative_path(damage.file), recover::describe(damage));
        }
        Ok(())
    }

    fn verify_history(&self, report: &mut VerifyReport) {
        let history = &self.feed.history;
        report.files += history.files() as u64;
        report.bytes += history.bytes_on_disk();
        for (file, detail) in history.verify(self.feed.log.first().unwrap_or(Sequence::MAX)) {
            report.problem(format!("{}/{file}", names::HISTORY), detail);
        }
    }

    fn verify_trail(&self, report: &mut VerifyReport) -> Result<()> {
        let transaction = Transaction::exclusive(self.publisher.keyspace.head()?, self.engine_clock.now());
        let wrong = match audit::check(&transaction) {
            Ok(wrong) => wrong,
            Err(Error::Internal(wrong)) => Some(wrong),
            // What cannot be read of the catalog was told above.
            Err(Error::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(wrong) = wrong {
            report.problem(names::CATALOG, format!("audit trail: {wrong}"));
        }
        Ok(())
    }

    fn verify_segment(&self, table: &Table, entry: &SegmentEntry, passing: &PageCache, report: &mut VerifyReport) {
        let file = format!("{}/{}", names::SEGMENTS, segment::file_name(entry));
        let found = self.store.open(entry).and_then(|segment| {
            let mut found = segment.verify(&entry.hash)?;
            found.extend(contradictions(table, entry, &segment, passing)?);
            Ok(found)
        });
        match found {
            Ok(found) => found.into_iter().for_each(|detail| report.problem(&file, detail)),
            Err(Error::Damaged { detail, .. }) => report.problem(&file, detail),
            Err(error) => report.problem(&file, error),
        }
    }
}

/// Where the segment list and the rows of a segment disagree.
fn contradictions(table: &Table, entry: &SegmentEntry, segment: &Segment, passing: &PageCache) -> Result<Vec<String>, Error> {
    let index = segment.index();
    let mut found = Vec::new();
    if index.rows() as u64 != entry.rows || index.points() != entry.points {
        found.push(format!(
            "{} rows and {} values, the segment list says {} and {}",
            index.rows(),
            index.points(),
            entry.rows,
            entry.points
        ));
    }
    let known = table.series.read().len();
    let series: HashSet<SeriesId> = index.series().collect();
    if let Some(unknown) = series.iter().find(|series| series.0 >= known) {
        found.push(format!("series {} is unknown", unknown.0));
    }
    for page in 0..index.pages.len() {
        let times = segment.times(page, passing)?;
        for slice in &index.slices[index.page_slices(page)] {
            let first = (slice.first_row - index.pages[page].first_row) as usize;
            let rows = times.get(first..first + slice.rows as usize).unwrap_or_default();
            let sorted = rows.windows(2).all(|pair| pair[0] < pair[1]);
            let bounds = (rows.first(), rows.last()) == (Some(&slice.min_time), Some(&slice.max_time));
            let partition = entry.partition.is_none_or(|partition| rows.iter().all(|&time| partition.range.contains(time)));
            if !(sorted && bounds && partition) {
                found.push(format!("rows of series {} in page {page} are out of order, bounds or partition", slice.series.0));
            }
        }
    }
    Ok(found)
}
