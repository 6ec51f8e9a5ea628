//! Damage at rest: every bit of a small database turned, every file cut at every length, one at a time.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use alluvium::record::{Receipt, ReceiptKind};
use alluvium::{Database, Error, Query, TimeRange};
use fastrand::Rng;

use super::power::failed;
use super::sample::{DAY, DAYS, Sample, settings};
use super::{Progress, Violation, at, ensure, memory, parallel};
use crate::answers;
use crate::feed::Found;
use crate::model::{Model, Row, Span};
use crate::questions::Question;
use crate::sim::{Image, Machine, ROOT};

/// Trials in one piece of work.
const PIECE: usize = 256;

/// One piece of damage.
#[derive(Debug, Clone)]
pub struct Damage {
    /// The file.
    pub file: Arc<Path>,
    /// What happens to it.
    pub what: What,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// A bit is turned.
    Flip(usize),
    /// It ends early.
    Cut(usize),
}

/// How much damage.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Whether every bit of the log's padding and of all footers is turned, and not only of one footer of each table.
    pub all: bool,
    /// Flips spread over all files.
    pub others: usize,
    /// Cuts spread over all files.
    pub cuts: usize,
}

/// Damage to a sample: every bit of the log and of segment footers, as far as planned, and some of the rest.
pub fn choose(sample: &Sample, seed: u64, plan: Plan) -> Vec<Damage> {
    let Plan { all, others, cuts } = plan;
    let mut rng = Rng::with_seed(seed);
    let flip = |file: &Arc<Path>, bit| Damage { file: file.clone(), what: What::Flip(bit) };
    let named = |(file, len): (PathBuf, usize)| (Arc::<Path>::from(file), len);
    let mut damage = Vec::new();
    for (file, len) in
        sample.files("log").into_iter().map(named).filter(|(file, _)| file.extension().is_some_and(|kind| kind == "log"))
    {
        let written = written(&sample.image.files[&*file].to_vec());
        let chosen = (0..len).filter(|byte| all || written.iter().any(|part| part.contains(byte)));
        damage.extend(chosen.flat_map(|byte| byte * 8..byte * 8 + 8).map(|bit| flip(&file, bit)));
    }
    let mut tables = BTreeSet::new();
    for (file, len) in sample.files("segments").into_iter().map(named) {
        if !tables.insert(table_of(&file)) && !all {
            continue;
        }
        let footer = footer_start(&sample.image.files[&*file].to_vec());
        damage.extend((footer * 8..len * 8).map(|bit| flip(&file, bit)));
    }
    let files: Vec<_> = sample.files("").into_iter().map(named).filter(|(_, len)| *len > 0).collect();
    let each = |count: usize, number: usize| count / files.len() + usize::from(number < count % files.len());
    for (number, (file, len)) in files.iter().enumerate() {
        damage.extend((0..each(others, number)).map(|_| flip(file, rng.usize(0..len * 8))));
        damage.extend(spread(*len, each(cuts, number)).map(|len| Damage { file: file.clone(), what: What::Cut(len) }));
    }
    damage
}

/// What the name of a segment begins with.
fn table_of(segment: &Path) -> Option<String> {
    let name = segment.file_name()?.to_str()?;
    Some(name.split_once('-')?.0.to_owned())
}

/// The bytes of a log file that are not padding: its header twice, and every group.
fn written(bytes: &[u8]) -> Vec<Range<usize>> {
    let groups = super::hostile::groups(bytes).into_iter().map(|start| start..start + super::hostile::group_len(bytes, start));
    [0..40, 4_096..4_136].into_iter().chain(groups).collect()
}

/// As many lengths below `len` as asked for, evenly; all of them where that is more.
fn spread(len: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(len);
    (0..count).map(move |n| n * len / count)
}

/// Where the footer of a Parquet file begins: its length stands before the last four bytes.
pub(super) fn footer_start(bytes: &[u8]) -> usize {
    let end = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().expect("four bytes"));
    end - length as usize
}

/// Tries each piece of damage. Answers how many there were.
pub fn run(sample: &Sample, damage: &[Damage], tell: &(dyn Fn(&Progress) + Sync)) -> Result<u64, Violation> {
    let whole = sample.model(|_| false);
    let questions = questions(&whole);
    let trial = Trial { sample, whole: &whole, digest: whole.digest(), questions: &questions };
    let memory = memory::Bound::begin();
    let work = |piece: usize, progress: &Progress| {
        for damage in damage[piece * PIECE..].iter().take(PIECE) {
            trial.run(damage).and_then(|()| memory.check()).map_err(at(format_args!("{damage:?}")))?;
            progress.trials.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    parallel(damage.len().div_ceil(PIECE), work, tell)
}

struct Trial<'a> {
    sample: &'a Sample,
    whole: &'a Model,
    digest: u64,
    questions: &'a [(Question, Vec<Row>)],
}

/// What is asked besides everything, and the right answers.
fn questions(whole: &Model) -> Vec<(Question, Vec<Row>)> {
    let mut rng = Rng::with_seed(5);
    let now = DAYS * DAY / 1_000_000;
    let random = (0..24).map(|_| Question::random(&mut rng, whole, now));
    random.map(|question| (question.clone(), question.expect(whole))).collect()
}

/// What receipts admit to be lost.
#[derive(Default)]
struct Losses {
    records: Vec<(u64, u64)>,
    torn: bool,
    /// Segments by table number and day.
    segments: Vec<(String, i64)>,
}

impl Trial<'_> {
    fn run(&self, damage: &Damage) -> Result<(), Violation> {
        let image = self.damaged(damage);
        let machine = Machine::from_image(&image, 1);
        let db = machine.open(settings()).map_err(|error| Violation(format!("does not open: {error}")))?;
        let receipts = db.inspect().map_err(failed("inspect"))?.receipts;
        let losses = Losses::of(receipts.into_iter().map(|receipt| receipt.receipt), &db);
        losses.are_bounded(damage, self.sample)?;
        match answers::digest(&db) {
            Ok(found) if found == self.digest => self.answers_questions(&db, damage),
            Ok(_) => self.admits(&db, damage, &losses),
            Err(error) => {
                names(&error, damage)?;
                self.answers_the_rest(&db, damage)
            }
        }?;
        self.feeds(&db, damage)?;
        let problems = db.verify(&mut |_, _| {}).map_err(failed("verify"))?.problems;
        let in_segment = damage.file.starts_with(Path::new(ROOT).join("segments")) && matches!(damage.what, What::Flip(_));
        ensure(!(in_segment && problems.is_empty()), || "verify finds nothing".to_owned())
    }

    /// The feed tells all there was, or names what is missing; that is so only where the damage is in what it is read from.
    fn feeds(&self, db: &Database, damage: &Damage) -> Result<(), Violation> {
        let feed = Found::read(db, 1, "").map_err(failed("read the feed"))?;
        let within = |dir: &str| damage.file.starts_with(Path::new(ROOT).join(dir));
        if within("log") {
            return Ok(());
        }
        ensure(feed.is_whole() || within("history"), || "a gap in the feed".to_owned())?;
        feed.agrees(&self.whole.told).map_err(|what| Violation(format!("the feed: {what}")))
    }

    fn damaged(&self, damage: &Damage) -> Image {
        let mut image = self.sample.image.clone();
        let content = image.files.get_mut(&*damage.file).expect("a file of the sample");
        match damage.what {
            What::Flip(bit) => content.flip(bit),
            What::Cut(len) => content.set_len(len),
        }
        image
    }

    /// Two of the questions, others for other damage, have the right answer.
    fn answers_questions(&self, db: &Database, damage: &Damage) -> Result<(), Violation> {
        let (What::Flip(place) | What::Cut(place)) = damage.what;
        for (question, expected) in [place, place / 8].map(|place| &self.questions[place % self.questions.len()]) {
            let answer = question.ask(db).map_err(|error| Violation(format!("{question:?} fails: {error}")))?;
            ensure(answer == *expected, || format!("{question:?} is answered wrongly"))?;
        }
        Ok(())
    }

    /// What is missing is what receipts say.
    fn admits(&self, db: &Database, damage: &Damage, losses: &Losses) -> Result<(), Violation> {
        let found = answers::digest(db).map_err(failed("read"))?;
        let mut model = self.sample.model(|sequence| losses.covers(sequence));
        for (table, day) in &losses.segments {
            let span = Span { table: table.clone(), first_tag: None, start: day * DAY, end: (day + 1) * DAY };
            model.apply(&crate::model::Effect::Delete(span));
        }
        if model.digest() == found {
            return Ok(());
        }
        // Of what is lost, the catalog may have been told what was deleted.
        if self.sample.model_with_deletions(|sequence| losses.covers(sequence)).digest() == found {
            return Ok(());
        }
        // A log that ends early, at a place where it might have ended, is like one to which less was written.
        let ends_early = losses.torn || matches!(damage.what, What::Cut(len) if len % 4_096 == 0);
        let ended = |last: u64| self.sample.model(|sequence| sequence > last).digest() == found;
        ensure(ends_early && self.sample.sequences().any(ended), || "a wrong answer".to_owned())
    }

    /// All but one day of one table is answered, and rightly.
    fn answers_the_rest(&self, db: &Database, damage: &Damage) -> Result<(), Violation> {
        let mut refused = 0;
        for (name, table) in &self.whole.tables {
            for day in 0..=DAYS {
                let range = TimeRange::new(day * DAY, (day + 1) * DAY);
                match answers::rows(db, &Query::table(name).range(range)) {
                    Ok(rows) => {
                        let expected: Vec<Row> = table.all().filter(|row| range.contains(row.time)).collect();
                        ensure(rows == expected, || format!("day {day} of {name} is wrong"))?;
                    }
                    Err(error) => {
                        names(&error, damage)?;
                        refused += 1;
                    }
                }
            }
        }
        ensure(refused <= 1, || format!("{refused} days cannot be read"))
    }
}

/// The error says which file is damaged.
fn names(error: &Error, damage: &Damage) -> Result<(), Violation> {
    let file = damage.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let named = matches!(error, Error::Damaged { .. }) && error.to_string().contains(file);
    ensure(named, || format!("an error that does not name the damage: {error:?}"))
}

impl Losses {
    fn covers(&self, sequence: u64) -> bool {
        self.records.iter().any(|(first, last)| (*first..=*last).contains(&sequence))
    }

    fn of(receipts: impl Iterator<Item = Receipt>, db: &Database) -> Losses {
        let mut losses = Losses::default();
        for receipt in receipts {
            match receipt.kind {
                ReceiptKind::TornTail => losses.torn = true,
                ReceiptKind::LogDamage => losses.records.extend(receipt.sequences),
                ReceiptKind::SegmentDamage => {
                    let table = receipt
                        .table
                        .and_then(|id| db.tables().iter().find(|table| table.id == id).map(|table| table.name.clone()));
                    losses.segments.extend(table.zip(receipt.times.map(|(first, _)| first.div_euclid(DAY))));
                }
                ReceiptKind::CatalogRebuilt | ReceiptKind::Evicted => {}
            }
        }
        losses
    }

    /// A flip costs at most the record it is in; a cut what lies behind it in the same file.
    fn are_bounded(&self, damage: &Damage, sample: &Sample) -> Result<(), Violation> {
        let lost = sample.sequences().filter(|sequence| self.covers(*sequence)).count();
        match damage.what {
            What::Flip(_) => {
                ensure(lost <= 1 && self.segments.is_empty(), || {
                    format!("a flip costs {lost} records and segments {:?}", self.segments)
                })?;
                ensure(!self.torn, || "a flip in what was durable passes for a torn tail".to_owned())
            }
            What::Cut(_) => ensure(self.segments.len() <= 1, || format!("a cut costs segments {:?}", self.segments)),
        }
    }
}
