//! Reading the catalog.

use std::num::NonZeroU64;
use std::ops::RangeInclusive;

use redb::{ReadableDatabase, ReadableTable};

use super::guard::Failure;
use super::tables::{self, Kind, State};
use super::{Catalog, snapshot};
use crate::clock::EngineTime;
use crate::error::{Error, Result};
use crate::model::{Sequence, SeriesId, SeriesKey, TableId, TableSchema};
use crate::record::{DecodeError, Deletion, Receipt, SegmentEntry, SegmentId};

/// Series handed out at once by [`Catalog::series`].
const SERIES_AT_ONCE: usize = 4096;

impl Catalog {
    /// Every table, by number.
    pub(crate) fn tables(&self) -> Result<Vec<TableSchema>> {
        self.rows(Kind::Tables, tables::decode_table)
    }

    /// Every table that was dropped, by number, as it last stood.
    pub(crate) fn dropped_tables(&self) -> Result<Vec<TableSchema>> {
        self.rows(Kind::Dropped, tables::decode_table)
    }

    /// Visits every series of a table, by number. Memory stays bounded, however many there are.
    pub(crate) fn series(&self, table: TableId, visit: &mut dyn FnMut(SeriesId, SeriesKey) -> Result<()>) -> Result<()> {
        let last = tables::series_number(table, SeriesId(u32::MAX));
        let mut from = Some(tables::series_number(table, SeriesId(0)));
        while let Some(first) = from {
            let some = self.some_rows(Kind::Series, first..=last, SERIES_AT_ONCE, |_, value| tables::decode_series(value))?;
            from = match some.last() {
                Some((key, _)) if some.len() == SERIES_AT_ONCE && *key < last => Some(key + 1),
                _ => None,
            };
            some.into_iter().try_for_each(|(key, tags)| visit(tables::series_of(key), tags))?;
        }
        Ok(())
    }

    /// Every segment, by number, without its index.
    pub(crate) fn segments(&self) -> Result<Vec<SegmentEntry>> {
        self.rows(Kind::Segments, tables::decode_segment)
    }

    /// The index of a segment; `None` if there is no such segment.
    pub(crate) fn segment_index(&self, id: SegmentId) -> Result<Option<Vec<u8>>> {
        self.row(Kind::SegmentIndex, id.0, |bytes| Ok(bytes.to_vec()))
    }

    /// Every deletion that some segment may be older than, with the sequence of its record, by sequence.
    pub(crate) fn deletions(&self) -> Result<Vec<(Sequence, Deletion)>> {
        let records = self.rows(Kind::Deletions, |key, value| Ok((key, tables::decode_deletions(value)?)))?;
        let each = |(sequence, deletions): (_, Vec<_>)| deletions.into_iter().map(move |deletion| (sequence, deletion));
        Ok(records.into_iter().flat_map(each).collect())
    }

    /// Every receipt with the sequence of its record, by sequence.
    pub(crate) fn receipts(&self) -> Result<Vec<(Sequence, Receipt)>> {
        self.rows(Kind::Receipts, |key, value| Ok((key, tables::decode_receipt(value)?)))
    }

    /// The last sequence covered by segments; 0 before the first seal.
    pub(crate) fn sealed_through(&self) -> Result<Sequence> {
        Ok(self.state(State::SealedThrough)?.unwrap_or(0))
    }

    /// Bytes written to the database directory since it was created, as of the last checkpoint.
    pub(crate) fn bytes_written(&self) -> Result<u64> {
        Ok(self.state(State::BytesWritten)?.unwrap_or(0))
    }

    /// What the engine's clock showed at the last checkpoint.
    pub(crate) fn engine_time(&self) -> Result<EngineTime> {
        let engine_micros = self.state(State::EngineMicros)?.unwrap_or(0);
        let boot = self.state(State::Boot)?.and_then(NonZeroU64::new);
        let machine = boot.zip(self.state(State::SinceBoot)?);
        Ok(EngineTime { engine_micros, machine })
    }

    pub(super) fn state(&self, state: State) -> Result<Option<u64>> {
        self.row(Kind::State, state as u64, tables::decode_number)
    }

    /// Reads everything there is, snapshots included, and says what is wrong with it. A damaged page that no answer needs is
    /// a problem too, but does not keep the catalog from answering.
    pub(crate) fn verify(&self) -> Result<Vec<Error>> {
        let mut problems = self.store.scrub()?;
        for kind in Kind::ALL {
            let checked = self.for_each_row(kind, |key, value| {
                if let Err(error) = kind.check_row(key, value) {
                    problems.push(tables::bad_row(self.store.path(), kind, key, &error));
                }
                Ok(())
            });
            match checked {
                Ok(()) => {}
                Err(damaged @ Error::Damaged { .. }) => {
                    problems.push(damaged);
                    break;
                }
                Err(other) => return Err(other),
            }
        }
        for sequence in Self::snapshots(&self.components, &self.dir)? {
            match snapshot::check(&*self.components.disk, &self.dir, sequence) {
                Ok(()) => {}
                Err(damaged @ Error::Damaged { .. }) => problems.push(damaged),
                Err(other) => return Err(other),
            }
        }
        Ok(problems)
    }

    fn row<T>(&self, kind: Kind, key: u64, decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>) -> Result<Option<T>> {
        self.with_database(|database| {
            let key = tables::number_key(key);
            let table = database.begin_read()?.open_table(kind.definition())?;
            let Some(value) = table.get(&key[..])? else { return Ok(None) };
            decode(value.value()).map(Some).map_err(|error| self.bad_row(kind, &key, &error))
        })
    }

    fn rows<T>(&self, kind: Kind, decode: impl Fn(u64, &[u8]) -> Result<T, DecodeError>) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        self.for_each_row(kind, |key, value| {
            let row = tables::number_of(key).and_then(|number| decode(number, value));
            rows.push(row.map_err(|error| self.bad_row(kind, key, &error))?);
            Ok(())
        })?;
        Ok(rows)
    }

    fn for_each_row(&self, kind: Kind, mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Failure>) -> Result<()> {
        self.with_database(|database| {
            let table = database.begin_read()?.open_table(kind.definition())?;
            for row in table.iter()? {
                let (key, value) = row?;
                visit(key.value(), value.value())?;
            }
            Ok(())
        })
    }

    fn some_rows<T>(
        &self,
        kind: Kind,
        keys: RangeInclusive<u64>,
        limit: usize,
        decode: impl Fn(u64, &[u8]) -> Result<T, DecodeError>,
    ) -> Result<Vec<(u64, T)>> {
        self.with_database(|database| {
            let table = database.begin_read()?.open_table(kind.definition())?;
            let mut rows = Vec::new();
            let (first, last) = (tables::number_key(*keys.start()), tables::number_key(*keys.end()));
            for row in table.range(&first[..]..=&last[..])?.take(limit) {
                let (key, value) = row?;
                let key = key.value();
                let decoded = tables::number_of(key).and_then(|number| Ok((number, decode(number, value.value())?)));
                rows.push(decoded.map_err(|error| self.bad_row(kind, key, &error))?);
            }
            Ok(rows)
        })
    }

    fn bad_row(&self, kind: Kind, key: &[u8], error: &DecodeError) -> Failure {
        Failure::Own(tables::bad_row(self.store.path(), kind, key, error))
    }
}
