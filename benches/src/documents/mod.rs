//! Documents: durable puts from many threads beside redb and SQLite, point reads, indexed queries, the change feed, opening after
//! a crash, and what writers of documents leave to writers of rows. All with as many documents in the store.

pub(crate) mod crash;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use alluvium::{
    CollectionSpec, Database, DocumentQuery, FieldType, PutDocument, RowBuilder, Settings, TableSchema, TableSpec, Where,
};
use anyhow::{Result, anyhow};
use arrow::array::RecordBatch;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use redb::{Durability, TableDefinition};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::fresh_directory;
use crate::threads::rate;

const DEVICES: &str = "devices";
const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new(DEVICES);
/// Documents put together while the store is filled.
const BATCH: usize = 1_000;
/// Documents of a site.
const PER_SITE: usize = 50;
/// Rows of a batch, and threads that write documents meanwhile.
const ROWS: usize = 1_000;
const WRITERS: usize = 2;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Threads
    #[arg(long, default_value_t = 16)]
    threads: usize,
    /// Seconds for each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Documents in the store
    #[arg(long, default_value_t = 1_000_000)]
    documents: usize,
    /// MiB of memory for pages of documents, for Alluvium and SQLite alike
    #[arg(long, default_value_t = 8)]
    cache: usize,
    /// Where the data go
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Only this part
    #[arg(long, value_enum)]
    part: Option<Part>,
    /// Puts without redb and SQLite beside them, for a profiler
    #[arg(long)]
    alone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Durable puts, beside redb and SQLite
    Puts,
    /// Point reads and indexed queries
    Reads,
    /// The change feed
    Feed,
    /// Rows beside writers of documents
    Mixed,
    /// Opening after a crash
    Crash,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let directory = crate::data_directory(options.dir.as_deref())?.join("documents");
    let Options { seconds, documents, .. } = *options;
    let own = fresh_directory(&directory, "alluvium")?;
    let database = open(&own, options.cache)?;
    database.collections().create(CollectionSpec::new(DEVICES).index("by_site", &["site"])?)?;
    let began = Instant::now();
    fill(&database, documents)?;
    println!("{documents} documents put in {:.1} s, {BATCH} at a time", began.elapsed().as_secs_f64());
    let wanted = |part: Part| options.part.is_none_or(|only| only == part);
    if wanted(Part::Puts) {
        puts(&database, &directory, options)?;
    }
    if wanted(Part::Reads) {
        reads(&database, options)?;
    }
    if wanted(Part::Feed) {
        feed(&database)?;
    }
    if wanted(Part::Mixed) {
        mixed(&database, seconds)?;
    }
    database.close()?;
    if wanted(Part::Crash) {
        crash::measure(&own, options)?;
    }
    Ok(())
}

fn id(number: usize) -> String {
    format!("device-{number:07}")
}

/// Another one with each version: SQLite writes nothing where nothing changes.
fn document(number: usize, version: u64) -> Value {
    json!({
        "serial": format!("SN{number:09}"),
        "site": format!("site-{}", number / PER_SITE),
        "model": "PT-100",
        "starts": version,
        "kw": (number % 70) as f64 / 10.0,
        "tags": ["outdoor", "leased"],
    })
}

fn open(path: &Path, cache: usize) -> Result<Database> {
    let settings = Settings { catalog_cache_bytes: cache << 20, ..Settings::default() };
    Ok(Database::builder().settings(settings).open(path)?)
}

fn fill(database: &Database, documents: usize) -> Result<()> {
    for first in (0..documents).step_by(BATCH) {
        let some = (first..documents.min(first + BATCH)).map(|number| (Some(id(number)), document(number, 0)));
        let outcome = database.collection(DEVICES).put_many(some.collect())?;
        anyhow::ensure!(outcome.failed.is_empty(), "documents were refused: {:?}", outcome.failed.first());
    }
    Ok(())
}

/// A document of the store, other ones for each thread.
fn chosen(documents: usize, thread: usize, done: u64) -> usize {
    let step = 7_919 * (thread as u64 + 1);
    usize::try_from(done.wrapping_mul(step) % documents as u64).unwrap_or_default()
}

/// Puts a document that is there.
fn put(database: &Database, documents: usize, thread: usize, done: u64) -> Result<()> {
    let number = chosen(documents, thread, done);
    database.collection(DEVICES).put(&id(number), &document(number, done + 1), PutDocument::default())?;
    Ok(())
}

fn puts(
    database: &Database,
    directory: &Path,
    &Options { threads, seconds, documents, cache, alone, .. }: &Options,
) -> Result<()> {
    let put = |thread: usize, done: u64| put(database, documents, thread, done);
    if alone {
        println!("durable puts: {:.0}/s from {threads} threads", rate(threads, seconds, &put)?);
        return Ok(());
    }
    let redb = Redb::open(&fresh_directory(directory, "redb")?, documents)?;
    let sqlite = Sqlite::open(&fresh_directory(directory, "sqlite")?, documents, cache)?;
    let alone = rate(1, seconds, &put)?;
    let own = rate(threads, seconds, &put)?;
    let redb = rate(1, seconds, &|thread, done| redb.put(chosen(documents, thread, done), done + 1))?;
    let lite = rate(threads, seconds, &|thread, done| sqlite.put(chosen(documents, thread, done), done + 1))?;
    println!(
        "durable puts: {own:.0}/s from {threads} threads ({alone:.0} from one); redb one by one {redb:.0}, {:.1} ×; SQLite from {threads} \
         threads {lite:.0}, {:.1} ×",
        own / redb,
        own / lite
    );
    Ok(())
}

fn reads(database: &Database, &Options { seconds, documents, .. }: &Options) -> Result<()> {
    // As many as the catalog's cache holds.
    let some = documents.min(10_000);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let ids: Vec<String> = (0..some).map(id).collect();
    let order: Vec<usize> = (0..some).map(|_| random.random_range(0..some)).collect();
    let get = |_: usize, done: u64| -> Result<()> {
        let at = order[usize::try_from(done).unwrap_or_default() % some];
        database.collection(DEVICES).get(&ids[at])?.map(drop).ok_or_else(|| anyhow!("{} is not there", ids[at]))
    };
    rate(1, 1, &get)?;
    let reads = rate(1, seconds, &get)?;
    let query = DocumentQuery::new().filter(Where::equal("site", "site-7")?).limit(PER_SITE * 2);
    let page = database.collection(DEVICES).query(&query)?;
    let found = page.documents.len();
    let queries = rate(1, seconds, &|_, _| database.collection(DEVICES).query(&query).map(drop).map_err(Into::into))?;
    println!(
        "point reads {reads:.0}/s on one core; {queries:.0} indexed queries/s, each finds {found} and examines {}",
        page.examined
    );
    Ok(())
}

fn feed(database: &Database) -> Result<()> {
    let began = Instant::now();
    let (mut changes, mut events) = (0_u64, 0);
    for change in database.changes().read()? {
        match change {
            Ok(change) => {
                changes += 1;
                events += change.events.len();
            }
            Err(alluvium::Error::Gap { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("change feed: {events} events of {changes} records in {seconds:.2} s, {:.0} events/s", events as f64 / seconds);
    Ok(())
}

/// Rows alone, and beside writers of documents at full speed.
fn mixed(database: &Database, seconds: u64) -> Result<()> {
    let schema = database.create_table(TableSpec::new("readings").tag("device").field("value", FieldType::Float64))?;
    let mut time = 1_700_000_000_000_000_i64;
    let alone = ingest(database, &schema, &mut time, seconds)?;
    let stop = AtomicBool::new(false);
    let (beside, mut latencies) = std::thread::scope(|scope| {
        let write = |writer: usize| -> Result<Vec<Duration>> {
            let mut latencies = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = chosen(1_000, writer, latencies.len() as u64);
                let began = Instant::now();
                database.collection(DEVICES).put(
                    &id(number),
                    &document(number, latencies.len() as u64),
                    PutDocument::default(),
                )?;
                latencies.push(began.elapsed());
            }
            Ok(latencies)
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        let beside = ingest(database, &schema, &mut time, seconds);
        stop.store(true, Ordering::Relaxed);
        let written = writers.into_iter().map(|writer| writer.join().map_err(|_| anyhow!("a thread panicked"))?);
        let latencies: Vec<Duration> = written.collect::<Result<Vec<_>>>()?.concat();
        Ok::<_, anyhow::Error>((beside?, latencies))
    })?;
    latencies.sort_unstable();
    let percentile = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or_default();
    println!(
        "durable batches of {ROWS} rows: {alone:.0} rows/s alone, {beside:.0} beside {WRITERS} writers of documents ({:.0} %), whose \
         {:.0} puts/s took {:?} at p50 and {:?} at p99",
        100.0 * beside / alone,
        latencies.len() as f64 / seconds as f64,
        percentile(0.5),
        percentile(0.99)
    );
    Ok(())
}

fn ingest(database: &Database, schema: &std::sync::Arc<TableSchema>, time: &mut i64, seconds: u64) -> Result<f64> {
    let batches: Vec<RecordBatch> = (0..64).map(|_| batch(schema, time)).collect::<Result<_>>()?;
    let began = Instant::now();
    let mut rows = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        for batch in &batches {
            database.append("readings", batch)?;
            rows += ROWS;
        }
    }
    Ok(rows as f64 / began.elapsed().as_secs_f64())
}

fn batch(schema: &std::sync::Arc<TableSchema>, time: &mut i64) -> Result<RecordBatch> {
    let mut rows = RowBuilder::new(schema.clone());
    for number in 0..ROWS {
        *time += 1_000;
        let device = format!("device-{}", number % 200);
        rows.row(*time).tag("device", &device)?.value("value", number as f64 * 0.1)?;
    }
    Ok(rows.finish()?)
}

/// Documents in redb, as the library is used by itself: a commit for each, which is durable.
struct Redb(redb::Database);

impl Redb {
    fn open(path: &Path, documents: usize) -> Result<Self> {
        let store = Redb(redb::Database::create(path.join("documents.redb"))?);
        for first in (0..documents).step_by(100 * BATCH) {
            store.put_all(first..documents.min(first + 100 * BATCH), 0)?;
        }
        Ok(store)
    }

    fn put(&self, number: usize, version: u64) -> Result<()> {
        self.put_all(number..number + 1, version)
    }

    fn put_all(&self, numbers: std::ops::Range<usize>, version: u64) -> Result<()> {
        let mut write = self.0.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        {
            let mut table = write.open_table(TABLE)?;
            for number in numbers {
                table.insert(id(number).as_str(), document(number, version).to_string().as_bytes())?;
            }
        }
        Ok(write.commit()?)
    }
}

/// Documents in SQLite: WAL, `synchronous=FULL`, an index on the site, a transaction for each. Threads share one connection, since
/// SQLite has one writer at a time.
struct Sqlite(Mutex<Connection>);

impl Sqlite {
    fn open(path: &Path, documents: usize, cache: usize) -> Result<Self> {
        let mut connection = Connection::open(path.join("documents.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -i64::try_from(cache << 10)?)?;
        connection.execute_batch(
            "create table documents (id text primary key, content text) without rowid;
             create index by_site on documents (content ->> 'site');",
        )?;
        let fill = connection.transaction()?;
        {
            let mut put = fill.prepare(SQLITE_PUT)?;
            for number in 0..documents {
                put.execute((id(number), document(number, 0).to_string()))?;
            }
        }
        fill.commit()?;
        Ok(Sqlite(Mutex::new(connection)))
    }

    fn put(&self, number: usize, version: u64) -> Result<()> {
        let (id, content) = (id(number), document(number, version).to_string());
        let connection = self.0.lock().map_err(|_| anyhow!("a thread panicked"))?;
        connection.prepare_cached(SQLITE_PUT)?.execute((id, content))?;
        Ok(())
    }
}

const SQLITE_PUT: &str = "insert into documents values (?, ?) on conflict (id) do update set content = excluded.content";
