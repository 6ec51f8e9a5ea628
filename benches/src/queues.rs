//! Queues: durable cycles of push, pop and acknowledge from many threads, beside a table in SQLite, and with a backlog.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use alluvium::{Database, NewItem, QueueSpec};
use anyhow::{Result, anyhow};
use rusqlite::{Connection, OptionalExtension};

use crate::threads::rate;

const QUEUE: &str = "jobs";
const PAYLOAD: [u8; 100] = [7; 100];
/// Items pushed together while a backlog is made.
const BATCH: usize = 1_000;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Threads
    #[arg(long, default_value_t = 16)]
    threads: usize,
    /// Seconds for each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Items of the backlog
    #[arg(long, default_value_t = 1_000_000)]
    backlog: usize,
    /// Where the data go
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// A queue of either kind.
trait Store: Sync {
    /// Pushes an item, pops one, acknowledges it; each durable before the next.
    fn cycle(&self) -> Result<()>;
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let directory = crate::data_directory(options.dir.as_deref())?.join("queues");
    let fresh = |name: &str| crate::fresh_directory(&directory, name);
    let database = open(&fresh("alluvium")?)?;
    let sqlite = Sqlite::open(&fresh("sqlite")?)?;
    beside("none", &database, &sqlite, options)?;
    let mut queue = database.queue(QUEUE);
    for pushed in (0..options.backlog).step_by(BATCH) {
        let count = BATCH.min(options.backlog - pushed);
        queue.push_all(vec![NewItem::new(PAYLOAD); count])?;
    }
    sqlite.fill(options.backlog)?;
    beside(&options.backlog.to_string(), &database, &sqlite, options)?;
    let began = Instant::now();
    let sizes = queue.sizes()?;
    println!("sizes: {sizes:?} in {:?}", began.elapsed());
    database.close()?;
    Ok(())
}

/// Both, with so many items waiting.
fn beside(waiting: &str, database: &Database, sqlite: &Sqlite, options: &Options) -> Result<()> {
    for threads in [1, options.threads] {
        let own = cycles(database, threads, options.seconds)?;
        let lite = cycles(sqlite, threads, options.seconds)?;
        println!("{threads} threads, {waiting} waiting: Alluvium {own:.0} cycles/s, SQLite {lite:.0}, {:.1} ×", own / lite);
    }
    Ok(())
}

/// Cycles per second of some threads.
fn cycles(store: &impl Store, threads: usize, seconds: u64) -> Result<f64> {
    rate(threads, seconds, &|_, _| store.cycle())
}

fn open(path: &Path) -> Result<Database> {
    let database = Database::open(path)?;
    database.create_queue(&QueueSpec::new(QUEUE))?;
    Ok(database)
}

impl Store for Database {
    fn cycle(&self) -> Result<()> {
        let mut queue = self.queue(QUEUE);
        queue.push(NewItem::new(PAYLOAD))?;
        // Another thread may have the item by now; then there is none to acknowledge for this one.
        if let Some(leased) = queue.pop()? {
            queue.ack(leased.lease)?;
        }
        Ok(())
    }
}

/// A table as an application would set it up: WAL, `synchronous=FULL`, a transaction for each step, prepared statements. Threads
/// share one connection, since SQLite has one writer at a time.
struct Sqlite {
    connection: Mutex<Connection>,
}

impl Sqlite {
    fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path.join("queue.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(
            "create table items (id integer primary key, priority integer, until integer, tries integer, payload blob);
             create index ready on items (until, priority desc, id);",
        )?;
        Ok(Sqlite { connection: Mutex::new(connection) })
    }

    fn fill(&self, items: usize) -> Result<()> {
        self.with(|connection| {
            let fill = connection.unchecked_transaction()?;
            let mut push = fill.prepare("insert into items values (null, 0, 0, 0, ?)")?;
            (0..items).try_for_each(|_| push.execute([&PAYLOAD[..]]).map(drop))?;
            drop(push);
            fill.commit()
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let connection = self.connection.lock().map_err(|_| anyhow!("a thread panicked"))?;
        Ok(work(&connection)?)
    }
}

impl Store for Sqlite {
    fn cycle(&self) -> Result<()> {
        self.with(|connection| {
            let mut push = connection.prepare_cached("insert into items values (null, 0, 0, 0, ?)")?;
            push.execute([&PAYLOAD[..]])
        })?;
        let popped = self.with(|connection| {
            let mut pop = connection.prepare_cached(
                "update items set until = 1, tries = tries + 1
                 where id = (select id from items where until = 0 order by priority desc, id limit 1) returning id, payload",
            )?;
            pop.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))).optional()
        })?;
        if let Some((id, _)) = popped {
            self.with(|connection| connection.prepare_cached("delete from items where id = ? and until = 1")?.execute([id]))?;
        }
        Ok(())
    }
}
