//! Writer streams: what comes on one, from its first frame to its last.

mod columns;
mod job;
mod lane;
mod run;
mod seats;
mod slot;

use std::collections::HashMap;
use std::sync::Arc;

use alluvium::{Action, Target, WriterId, WriterPast};
use alluvium_protocol::code::Code;
use alluvium_protocol::message::{Applied, BatchRefused, DescribeTable, Failed, Message, OpenWriter, Opened, Skip};
use alluvium_protocol::mutation::{Mutation, MutationBatch};
use alluvium_protocol::rows::{ARROW_BATCH, ROW_BATCH, split};
use alluvium_protocol::writer::{Incoming, Receiver};
use tokio::sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender};

use super::metrics::{Counted, Kind};
use super::session::Session;
use super::shares::Taken;
use super::stream::{Ended, Reader, Received, Writer};
use super::{failed, intake};
pub(super) use job::{Content, Done, Job, Numbers, What, WriterKey};
pub(super) use lane::gone;
pub(crate) use lane::{LaneThreads, Lanes};
use run::Run;
pub(crate) use seats::Seats;
use slot::{Slot, spec};

/// Tables that a stream may describe.
const SLOTS: usize = 1_024;

/// Serves a writer stream whose first frame was read. It ends when the client ends it, when another stream goes on with the same
/// writer, or with what went wrong; whatever was handed to a lane by then is done.
pub(super) async fn serve(session: &Session, open: &OpenWriter, mut reader: Reader, mut writer: Writer) {
    let key = Arc::new(WriterKey { principal: session.caller.principal().into(), id: WriterId(open.writer) });
    let Some(mut seat) = session.server.seats.take(&key).await else { return writer.fail(superseded().into()).await };
    let applied = match begin(session, &key, open).await {
        Ok(applied) => applied,
        Err(failed) => return writer.fail(failed.into()).await,
    };
    let _counted = Counted::among(&session.server.metrics.writer_streams);
    let mut stream = Stream::new(session, key, applied);
    let opened = Opened { applied_through: applied, window_bytes: session.server.settings.window_bytes };
    let mut outcome = writer.message(&opened).await;
    while outcome.is_ok() {
        outcome = tokio::select! {
            biased;
            () = seat.asked_for() => Err(superseded().into()),
            () = session.server.is_closing() => Err(failed::closing().into()),
            Some(done) = stream.done.recv() => stream.answer(done, &mut writer).await,
            received = reader.next(), if stream.has_room() => match received {
                Ok(Some(received)) => stream.take(received, &mut reader, &mut writer).await,
                Ok(None) => break,
                Err(ended) => Err(ended),
            },
        };
    }
    reader.stop();
    // Others may go on with this writer only when nothing of it is under way any more.
    while stream.under_way > 0
        && let Some(done) = stream.done.recv().await
    {
        let answered = stream.answer(done, &mut writer).await;
        outcome = outcome.and(answered);
    }
    match outcome {
        Ok(()) => writer.finish().await,
        Err(ended) => writer.fail(ended).await,
    }
}

async fn begin(session: &Session, key: &WriterKey, open: &OpenWriter) -> Result<u64, Failed> {
    let past = open.acknowledged.map_or(WriterPast::New, WriterPast::Acknowledged);
    let (principal, id) = (key.principal.clone(), key.id);
    session.server.engine(move |db| db.writers().open(&principal, id, past)).await
}

fn superseded() -> Failed {
    Failed::new(Code::Superseded, "the same writer was opened on another stream, where it goes on")
}

/// Where a stream stands.
#[derive(Debug)]
struct Stream<'s> {
    session: &'s Session,
    key: Arc<WriterKey>,
    receiver: Receiver,
    applied: u64,
    slots: HashMap<u16, Slot>,
    lane: Sender<Job>,
    /// Batches handed to the lane, and their bytes, of which nothing was heard yet.
    under_way: usize,
    bytes: usize,
    tell: UnboundedSender<Done>,
    done: UnboundedReceiver<Done>,
}

impl<'s> Stream<'s> {
    fn new(session: &'s Session, key: Arc<WriterKey>, applied: u64) -> Self {
        let (tell, done) = mpsc::unbounded_channel();
        let lane = session.server.lanes.of(&key);
        let (slots, receiver) = (HashMap::new(), Receiver::new(applied));
        Stream { session, key, receiver, applied, slots, lane, under_way: 0, bytes: 0, tell, done }
    }

    /// Whether the client may have more under way. It is to keep to the window; if it does not, it waits.
    fn has_room(&self) -> bool {
        self.under_way == 0 || self.room() > 0
    }

    /// Bytes more that the client may have under way.
    fn room(&self) -> usize {
        (self.session.server.settings.window_bytes as usize).saturating_sub(self.bytes)
    }

    async fn take(&mut self, received: Received, reader: &mut Reader, writer: &mut Writer) -> Result<(), Ended> {
        match received.frame.kind {
            ROW_BATCH => self.run(Run::gather(received, reader, self.room()), writer).await,
            ARROW_BATCH => self.rows(received, writer).await,
            MutationBatch::KIND => self.mutations(received, writer).await,
            DescribeTable::KIND => self.describe(&DescribeTable::read(&received.frame)?).await,
            Skip::KIND => self.skip(&Skip::read(&received.frame)?).await,
            kind => Err(alluvium_protocol::Malformed::Kind { kind }.into()),
        }
    }

    async fn describe(&mut self, described: &DescribeTable) -> Result<(), Ended> {
        let slot = Slot::new(described)?;
        self.session.access().scope(&self.session.caller, Action::Write, &described.table)?;
        if described.create {
            self.make(described).await?;
        }
        if self.slots.len() >= SLOTS && !self.slots.contains_key(&described.slot) {
            return Err(Failed::new(Code::Limit, format!("a stream describes {SLOTS} tables at most")).into());
        }
        self.slots.insert(described.slot, slot);
        Ok(())
    }

    /// Makes what is missing of a table, if the principal may.
    async fn make(&mut self, described: &DescribeTable) -> Result<(), Failed> {
        let spec = spec(described)?;
        let server = &self.session.server;
        let is_there = server.db.table(&described.table).is_ok_and(|schema| {
            spec.tags.iter().all(|tag| schema.tag_position(tag).is_some())
                && spec.fields.iter().all(|(name, _)| schema.field_position(name).is_some())
        });
        if is_there {
            return Ok(());
        }
        self.session.access().permit(&self.session.caller, Action::Define, Target::Table(&described.table))?;
        server.engine(move |db| intake::make(db, &spec)).await
    }

    /// Batches of rows that came together: as one where nothing is wrong with any of them, else each by itself.
    async fn run(&mut self, run: Run, writer: &mut Writer) -> Result<(), Ended> {
        if let Some((numbers, content)) = self.decode_run(&run) {
            for number in numbers.first..=numbers.last {
                self.receiver.batch(number).map_err(failed::out_of_order)?;
            }
            return self.hand_over(numbers, content, run.bytes(), None).await;
        }
        for received in run.batches {
            self.rows(received, writer).await?;
        }
        Ok(())
    }

    /// What several batches are together, if all of them are to be applied.
    fn decode_run(&self, run: &Run) -> Option<(Numbers, Content)> {
        let (slot, numbers) = run.several()?;
        let slot = self.slots.get(&slot).filter(|_| self.receiver.is_next(numbers.first))?;
        let scope = self.session.access().held(&self.session.caller, Action::Write, &slot.table)?;
        let rows = slot.decode_together(&run.frames()).ok()?;
        let table = slot.table.clone();
        intake::are_within(&rows, &slot.tags(), &scope).then(|| (numbers, Content::Run { table, rows, counts: run.counts() }))
    }

    async fn rows(&mut self, received: Received, writer: &mut Writer) -> Result<(), Ended> {
        let (head, _) = split(received.frame.kind, &received.frame.payload)?;
        if !self.is_next(head.number, writer).await? {
            return Ok(());
        }
        let slot = self.slots.get(&head.slot);
        let slot = slot.ok_or_else(|| Failed::new(Code::Protocol, format!("slot {} was not described", head.slot)))?;
        let scope = match self.session.access().scope(&self.session.caller, Action::Write, &slot.table) {
            Ok(scope) => scope,
            Err(failed) => return self.refuse(head.number, failed, writer).await,
        };
        let rows = match slot.decode(&received.frame) {
            Ok(rows) => rows,
            Err(failed) if failed.code() == Code::Protocol => return Err(failed.into()),
            Err(failed) => return self.refuse(head.number, failed, writer).await,
        };
        let who = (self.session.access(), &self.session.caller);
        if let Err(failed) = intake::check_rows(who, &slot.table, &rows, &slot.tags(), &scope) {
            return self.refuse(head.number, failed, writer).await;
        }
        let content = Content::Rows(vec![(slot.table.clone(), rows)]);
        self.hand_over(Numbers::one(head.number), content, received.frame.payload.len(), received.room).await
    }

    async fn mutations(&mut self, received: Received, writer: &mut Writer) -> Result<(), Ended> {
        let batch = MutationBatch::read(&received.frame)?;
        if batch.number == 0 {
            return Err(Failed::new(Code::Protocol, "batches are numbered from 1").into());
        }
        if !self.is_next(batch.number, writer).await? {
            return Ok(());
        }
        for mutation in &batch.mutations {
            let (action, target) = asks(mutation);
            if let Err(failed) = self.session.access().permit(&self.session.caller, action, target) {
                return self.refuse(batch.number, failed, writer).await;
            }
        }
        let (numbers, bytes) = (Numbers::one(batch.number), received.frame.payload.len());
        self.hand_over(numbers, Content::Mutations(batch.mutations), bytes, received.room).await
    }

    async fn skip(&mut self, skip: &Skip) -> Result<(), Ended> {
        self.receiver.skip(skip.number).map_err(failed::out_of_order)?;
        self.hand_over(Numbers::one(skip.number), Content::Nothing, 0, None).await
    }

    /// Whether a batch is to be applied. If it was before, that is said again.
    async fn is_next(&mut self, number: u64, writer: &mut Writer) -> Result<bool, Ended> {
        match self.receiver.batch(number).map_err(failed::out_of_order)? {
            Incoming::Apply => Ok(true),
            Incoming::HeldUp => Ok(false),
            Incoming::Known if number <= self.applied => {
                writer.message(&Applied { through: self.applied }).await?;
                Ok(false)
            }
            Incoming::Known => Ok(false),
        }
    }

    async fn hand_over(&mut self, numbers: Numbers, content: Content, bytes: usize, room: Option<Taken>) -> Result<(), Ended> {
        let (writer, done) = (self.key.clone(), self.tell.clone());
        let job = Job { writer, numbers, begins: false, content, bytes, done, room };
        self.lane.send(job).await.map_err(|_| gone())?;
        self.under_way += numbers.count();
        self.bytes += bytes;
        Ok(())
    }

    async fn refuse(&mut self, number: u64, failed: Failed, writer: &mut Writer) -> Result<(), Ended> {
        self.receiver.refused(number);
        self.session.server.metrics.batches_refused.inc();
        self.session.server.metrics.error(Kind::Writer, failed.code());
        writer.message(&BatchRefused { number, failed }).await
    }

    /// Tells what came of batches: of those that are done by now together.
    async fn answer(&mut self, done: Done, writer: &mut Writer) -> Result<(), Ended> {
        let before = self.applied;
        let mut next = Some(done);
        while let Some(done) = next {
            self.under_way -= done.numbers.count();
            self.bytes -= done.bytes;
            match done.what {
                What::Applied { .. } => self.applied = done.numbers.last,
                What::HeldUp(_) => {}
                What::Ended(failed) => return Err(failed.into()),
                What::Refused(failed) => {
                    if self.applied > before {
                        writer.message(&Applied { through: self.applied }).await?;
                    }
                    return self.refuse(done.numbers.first, failed, writer).await;
                }
            }
            next = self.done.try_recv().ok();
        }
        if self.applied > before { writer.message(&Applied { through: self.applied }).await } else { Ok(()) }
    }
}

/// What has to be allowed for a mutation.
fn asks(mutation: &Mutation) -> (Action, Target<'_>) {
    match mutation {
        Mutation::PutDocument { collection, .. } | Mutation::MergeDocument { collection, .. } => {
            (Action::Write, Target::Collection(collection))
        }
        Mutation::DeleteDocument { collection, .. } => (Action::Delete, Target::Collection(collection)),
        Mutation::PutPair { key, .. } | Mutation::Increment { key, .. } => (Action::Write, Target::Key(key)),
        Mutation::DeletePair { key, .. } => (Action::Delete, Target::Key(key)),
        Mutation::Push { queue, .. } => (Action::Write, Target::Queue(queue)),
    }
}
