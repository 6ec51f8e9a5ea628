//! Deliveries: what others are to hold of a database, taken, sent and noted.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::Database;
use super::inner::Inner;
use crate::delivery::{self, Announced, Cut, DeliveryHead, DeliveryState, Fences, SealedState, Sent, Wanted, Within};
use crate::error::Result;
use crate::format::names;
use crate::ingest::Work;
use crate::keyspace::Access;
use crate::maintain::Effort;
use crate::model::{Partition, PartitionKind, Sequence, TableId, TableSchema};
use crate::record::{Receipt, ReceiptKind, Record, SegmentEntry, SegmentId};
use crate::segment;

/// How much a cut takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutWhat {
    /// What lies in segments already, if that is anything new.
    Sealed,
    /// Everything there is, which is sealed first, if that is anything new.
    News,
    /// The same, and the cut is taken even if it says nothing: for metadata, which are told of otherwise.
    All,
}

/// Which segments to send first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SendOrder {
    /// Those with the latest records.
    #[default]
    Newest,
    /// Those with the earliest.
    Oldest,
}

/// A segment that holds units which nobody else holds. Its file stays as long as this is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Shipment {
    /// Its table, as it stands now.
    pub table: Arc<TableSchema>,
    /// Its partition.
    pub partition: Partition,
    /// The first and the last of the records that it may hold rows of.
    pub records: (Sequence, Sequence),
    /// Rows.
    pub rows: u64,
    /// Earliest and latest time, both within, in the table's unit.
    pub times: (i64, i64),
    /// Where it is.
    pub path: PathBuf,
    /// Size of the file.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub hash: [u8; 32],
    /// The incarnation whose units it is wanted for: an earlier one, where these were not held yet when the delivery forked.
    pub incarnation: [u8; 16],
    /// When the oldest cut was taken whose units these are, by the wall clock, in microseconds since 1970.
    pub taken_at: i64,
    entry: Arc<SegmentEntry>,
}

/// Segments that are being sent, and how often.
pub(super) type UnderWay = Mutex<HashMap<SegmentId, usize>>;

/// Keeps a segment as it is while it is sent: it is not folded together with others.
#[derive(Debug)]
pub struct Sending {
    id: SegmentId,
    under_way: Arc<UnderWay>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock();
        if let Some(times) = under_way.get_mut(&self.id) {
            *times -= 1;
            if *times == 0 {
                under_way.remove(&self.id);
            }
        }
    }
}

/// A delivery: what someone is to hold of this database, and how far he does.
///
/// ```
/// use alluvium::{CutWhat, Database, FieldType, RowBuilder, SendOrder, TableSpec};
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// let table = db.create_table(TableSpec::new("air").field("co2", FieldType::Float64))?;
/// let mut rows = RowBuilder::new(table);
/// rows.row(1_700_000_000_000_000).value("co2", 612.5)?;
/// db.append("air", &rows.finish()?)?;
///
/// let copy = db.delivery("copy");
/// copy.begin()?;
/// let cut = copy.cut(CutWhat::All)?.unwrap();
/// // ... tell of cut.units wherever they are to be held, then:
/// copy.announce(cut.number, [7; 32], 0)?;
/// for shipment in copy.pending(SendOrder::Oldest, 100)? {
///     // ... send the file at shipment.path, then:
///     copy.hold(&[shipment])?; // or, to look for it once more: copy.sent(&shipment, place)?
/// }
/// assert_eq!(copy.state()?.delivered.unwrap().cut, 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'d> {
    db: &'d Database,
    name: &'d str,
}

impl Database {
    /// The delivery of a name. Whether there is one shows when it is used.
    pub fn delivery<'d>(&'d self, name: &'d str) -> Delivery<'d> {
        Delivery { db: self, name }
    }

    /// All deliveries, by name.
    pub fn deliveries(&self) -> Result<Vec<DeliveryState>> {
        self.read(delivery::list)
    }
}

impl Delivery<'_> {
    /// Makes it, unless there is one of this name: from now on deletions are remembered, and segments kept apart, until it has cut
    /// them.
    pub fn begin(&self) -> Result<DeliveryState> {
        let incarnation = self.db.inner.shared.random()?;
        let name = self.name.to_owned();
        let mut access = self.db;
        access.free(move |transaction| delivery::begin(transaction, &name, incarnation)).map(|(state, _)| state)
    }

    /// How it stands, which takes longer the more is left. [`Error::NoSuchDelivery`](crate::Error::NoSuchDelivery) where it was not begun, as with all that follows.
    pub fn state(&self) -> Result<DeliveryState> {
        self.db.read(|transaction| delivery::state(transaction, self.name))
    }

    /// Takes the next cut. `None` where there is nothing new.
    pub fn cut(&self, what: CutWhat) -> Result<Option<Cut>> {
        self.db.inner.check_open()?;
        let head = self.head()?;
        if what != CutWhat::Sealed {
            self.db.inner.seal_everything()?;
        } else if self.db.inner.sealed_through.load(Ordering::Acquire) <= head.through {
            // Asked often, it keeps nobody from compacting.
            return Ok(None);
        }
        // Nobody makes segments, or drops tables, meanwhile.
        let inner = &self.db.inner;
        let _compacting = inner.compacting.lock();
        let _sealing = inner.sealing.lock();
        inner.split_spilled()?;
        let (name, sealed) = (self.name.to_owned(), inner.sealed_state()?);
        let mut access = self.db;
        let cut = access.free(move |transaction| delivery::take(transaction, &name, &sealed, what == CutWhat::All));
        cut.map(|(cut, _)| cut)
    }

    /// How far it went.
    pub fn head(&self) -> Result<DeliveryHead> {
        self.db.read(|transaction| delivery::head(transaction, self.name))
    }

    /// The first cut that was not announced.
    pub fn next(&self) -> Result<Option<Cut>> {
        self.db.read(|transaction| delivery::next(transaction, self.name))
    }

    /// Notes that a cut, the next one, was announced by something of a hash, with all metadata that changed up to a record, or up to
    /// that of the cut before where that is later.
    pub fn announce(&self, cut: u64, hash: [u8; 32], metadata_through: Sequence) -> Result<()> {
        let name = self.name.to_owned();
        let mut access = self.db;
        let announce = move |transaction: &mut _| delivery::announce(transaction, &name, cut, hash, metadata_through);
        access.free(announce).map(drop)
    }

    /// Segments of announced cuts that hold units which nobody else holds, but those that are being sent: the first so many.
    pub fn pending(&self, order: SendOrder, limit: usize) -> Result<Vec<Shipment>> {
        self.pending_if(order, limit, |_| true)
    }

    /// The same of those that are worth sending already.
    pub fn pending_if(&self, order: SendOrder, limit: usize, is_due: impl Fn(&Shipment) -> bool) -> Result<Vec<Shipment>> {
        let inner = &self.db.inner;
        inner.check_open()?;
        let state = self.db.read(|transaction| delivery::announced_through(transaction, self.name))?;
        let (number, through) = state;
        let view = inner.publisher.keyspace.head()?;
        let under_way: HashSet<_> = inner.under_way.lock().keys().copied().collect();
        let mut entries = Vec::new();
        for table in inner.publisher.registry.all() {
            if !delivery::lacks_any(&view, number, table.id)? {
                continue;
            }
            let schema = table.schema();
            let segments = table.snapshot().segments;
            let announced = segments.iter().filter(|entry| entry.last_sequence <= through && !under_way.contains(&entry.id));
            entries.extend(announced.filter_map(|entry| Some((schema.clone(), entry.partition?, entry.clone()))));
        }
        entries.sort_by_key(|(_, _, entry)| (entry.last_sequence, entry.id));
        if order == SendOrder::Newest {
            entries.reverse();
        }
        let mut pending = Vec::new();
        for (table, partition, entry) in entries {
            if pending.len() == limit {
                break;
            }
            if let Within::Wanted(wanted) = delivery::within_segment(&view, number, &entry)? {
                pending.extend(Some(Shipment::new(inner, table, partition, entry, wanted)).filter(&is_due));
            }
        }
        Ok(pending)
    }

    /// Keeps a segment as it is as long as the answer is kept, so that what was begun to be sent need not be sent again.
    pub fn sending(&self, shipment: &Shipment) -> Sending {
        let under_way = self.db.inner.under_way.clone();
        *under_way.lock().entry(shipment.entry.id).or_default() += 1;
        Sending { id: shipment.entry.id, under_way }
    }

    /// Notes that segments, each sent as the incarnation's that it was wanted for, are held by whom this is for. Answers how many units were wanting until now.
    pub fn hold(&self, shipments: &[Shipment]) -> Result<u64> {
        let entries: Vec<_> = shipments.iter().map(|shipment| (shipment.entry.clone(), shipment.incarnation)).collect();
        let name = self.name.to_owned();
        let mut access = self.db;
        access.free(move |transaction| delivery::hold(transaction, &name, &entries)).map(|(held, _)| held)
    }

    /// Notes that a segment was sent as the incarnation's that it was wanted for, and what it is called there. It need not be sent any more, and is
    /// held once it was looked for. Answers how many units were not sent until now.
    pub fn sent(&self, shipment: &Shipment, place: &str) -> Result<u64> {
        let (name, place) = (self.name.to_owned(), place.to_owned());
        let (entry, incarnation) = (shipment.entry.clone(), shipment.incarnation);
        let mut access = self.db;
        access.free(move |transaction| delivery::sent(transaction, &name, &entry, incarnation, &place)).map(|(units, _)| units)
    }

    /// Notes that the file of a segment is not what it should be, which the next cut says: a receipt tells of it, and once, however often it is
    /// noted. What can be read of it is read here all the same, and if it is mended it is sent.
    pub fn damaged(&self, shipment: &Shipment, detail: &str) -> Result<()> {
        self.db.inner.check_open()?;
        self.db.inner.note_damage(&shipment.entry, detail)
    }

    /// Segments that were sent and not looked for since: the first so many.
    pub fn unconfirmed(&self, limit: usize) -> Result<Vec<Sent>> {
        self.db.read(|transaction| delivery::unconfirmed(transaction, self.name, limit))
    }

    /// Notes that segments that were sent were found where they were sent to. Answers how many units are held that were not.
    pub fn confirm(&self, found: &[Sent]) -> Result<u64> {
        let (name, found) = (self.name.to_owned(), found.to_vec());
        let mut access = self.db;
        access.free(move |transaction| delivery::confirm(transaction, &name, &found)).map(|(held, _)| held)
    }

    /// Notes that a segment that was sent was not found: what it holds is wanted again. Answers how many units that is.
    pub fn missed(&self, missing: &Sent) -> Result<u64> {
        let (name, missing) = (self.name.to_owned(), missing.clone());
        let mut access = self.db;
        access.free(move |transaction| delivery::missed(transaction, &name, &missing)).map(|(wanted, _)| wanted)
    }

    /// Goes on behind a cut that both sides know, or from the beginning, under a new incarnation: for who meets another of his name, or
    /// someone who has forgotten what he held. What was announced behind it is cut again, and of what was let go of since a receipt tells; what was
    /// only cut is announced as the new incarnation's.
    pub fn fork(&self, common: Option<Announced>) -> Result<DeliveryState> {
        let incarnation = self.db.inner.shared.random()?;
        let name = self.name.to_owned();
        let mut access = self.db;
        // First, so that it is said at least once whatever happens.
        self.db.inner.tell_forgotten(&name, common.map_or(0, |common| common.through))?;
        let fork = move |transaction: &mut _| {
            delivery::rebase(transaction, &name, incarnation, common)?;
            delivery::state(transaction, &name)
        };
        access.free(fork).map(|(state, _)| state)
    }

    /// What whoever sends has noted under a name.
    pub fn note(&self, note: &[u8]) -> Result<Option<Vec<u8>>> {
        self.db.read(|transaction| delivery::note(transaction, self.name, note))
    }

    /// All notes whose names begin so, by name.
    pub fn notes(&self, beginning: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.db.read(|transaction| delivery::notes(transaction, self.name, beginning, beginning)?.collect())
    }

    /// The first so many of these whose names are not before one.
    pub fn notes_from(&self, beginning: &[u8], from: &[u8], most: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.db.read(|transaction| delivery::notes(transaction, self.name, beginning, from)?.take(most).collect())
    }

    /// How many of these there are.
    pub fn count_notes(&self, beginning: &[u8]) -> Result<u64> {
        self.db.read(|transaction| {
            delivery::notes(transaction, self.name, beginning, beginning)?.try_fold(0, |count, note| note.map(|_| count + 1))
        })
    }

    /// Notes something under a name; `None` forgets it.
    pub fn put_note(&self, note: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.put_notes(vec![(note.to_owned(), value.map(<[u8]>::to_vec))])
    }

    /// The same of several, all or none.
    pub fn put_notes(&self, notes: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<()> {
        let name = self.name.to_owned();
        let mut access = self.db;
        let put = move |transaction: &mut _| {
            notes.iter().try_for_each(|(note, value)| delivery::put_note(transaction, &name, note, value.as_deref()))
        };
        access.free(put).map(drop)
    }

    /// Whether nobody holds a unit of these records yet: of the partition of a length that begins then, in the table's unit of time.
    pub fn wants(&self, table: TableId, kind: PartitionKind, start: i64, records: (Sequence, Sequence)) -> Result<bool> {
        self.db.read(|transaction| delivery::wants(transaction, self.name, table, (kind, start), records))
    }

    /// Forgets it and all that was noted of it: nothing of it is wanted any more. Answers whether there was one.
    pub fn remove(&self) -> Result<bool> {
        let name = self.name.to_owned();
        let mut access = self.db;
        access.free(move |transaction| delivery::remove(transaction, &name)).map(|(there, _)| there)
    }
}

impl Shipment {
    fn new(inner: &Inner, table: Arc<TableSchema>, partition: Partition, entry: Arc<SegmentEntry>, wanted: Wanted) -> Self {
        Shipment {
            table,
            partition,
            records: (entry.first_sequence, entry.last_sequence),
            rows: entry.rows,
            times: entry.times,
            path: inner.store.path(&entry),
            bytes: entry.bytes,
            hash: entry.hash,
            incarnation: wanted.incarnation,
            taken_at: wanted.taken_at,
            entry,
        }
    }
}

impl Inner {
    /// What compaction has to keep apart.
    pub(super) fn fences(&self) -> Result<Fences> {
        let under_way = self.under_way.lock().keys().copied().collect();
        Fences::new(self.publisher.keyspace.head()?, under_way)
    }

    /// Makes segments of spilled rows that each lie in one partition. To be asked by who keeps others from sealing and compacting.
    fn split_spilled(&self) -> Result<()> {
        for table in self.publisher.registry.all() {
            while self.ballast.lend(|| self.compact_table(&table, Effort::Spills))? {
                self.check_open()?;
            }
        }
        Ok(())
    }

    /// Leaves a receipt of a damaged segment, unless there is one.
    fn note_damage(&self, entry: &SegmentEntry, detail: &str) -> Result<()> {
        let file = format!("{}/{}", names::SEGMENTS, segment::file_name(entry));
        let catalog = self.publisher.catalog.get().ok_or_else(|| self.ballast.refusal())?;
        if catalog.receipts()?.iter().any(|(_, known)| known.kind == ReceiptKind::SegmentDamage && known.file == file) {
            return Ok(());
        }
        let receipt = Receipt {
            at_micros: self.engine_clock.now().wall_micros,
            kind: ReceiptKind::SegmentDamage,
            file,
            sequences: Some((entry.first_sequence, entry.last_sequence)),
            table: Some(entry.table),
            series: Vec::new(),
            times: Some(entry.times),
            bytes: entry.bytes,
            detail: detail.to_owned(),
        };
        self.ballast.lend(|| self.committer.submit(Work::record(Record::Receipt(receipt.clone()))?)).map(drop)
    }

    /// What there is to be cut, likewise.
    fn sealed_state(&self) -> Result<SealedState> {
        let tables = self.publisher.registry.all();
        let (receipts, dropped) = match self.publisher.catalog.get() {
            Some(catalog) => (catalog.receipts()?, catalog.dropped_tables()?),
            None => return Err(self.ballast.refusal()),
        };
        let deletions = tables.iter().flat_map(|table| table.snapshot().deletions.to_vec());
        let mut deletions: Vec<_> = deletions.map(|pending| (pending.sequence, (*pending.deletion).clone())).collect();
        deletions.sort_by_key(|(sequence, deletion)| (*sequence, deletion.table));
        Ok(SealedState {
            through: self.sealed_through.load(Ordering::Acquire),
            segments: tables.iter().map(|table| (table.id, table.snapshot().segments)).collect(),
            dropped: dropped.iter().map(|schema| schema.id).collect(),
            deletions,
            receipts,
        })
    }
}
