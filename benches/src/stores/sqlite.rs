//! SQLite as an application would set it up for this work: WAL, `synchronous=FULL`, a prepared statement, a transaction per
//! batch, a page cache as large as Alluvium's memtables, and the row itself in the primary key's tree. Devices are integers.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use anyhow::{Result, anyhow};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{Footprint, Store, StoreKind};
use crate::fleet::{DEVICES, FIELDS, Question, QuestionKind, Rows, field_name};

const CACHE_KIB: usize = 64 << 10;
/// Statements that stay prepared: every question about every field.
const STATEMENTS: usize = 128;

/// A database file with the table of the fleet. Threads share one connection: SQLite has one writer at a time, and waiting
/// for a lock in the process beats waiting for the file's.
pub(crate) struct Sqlite {
    connection: Mutex<Connection>,
    insert: String,
}

/// Rows ready to be bound.
pub(crate) struct SqliteBatch {
    times: Vec<i64>,
    devices: Vec<u32>,
    columns: Vec<Vec<f64>>,
}

impl Store for Sqlite {
    type Batch = SqliteBatch;
    type Answer = Vec<f64>;

    fn open(kind: StoreKind, directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let connection = Connection::open(directory.join("fleet.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -(CACHE_KIB as i64))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.execute_batch(&schema(kind))?;
        let insert = format!("INSERT INTO readings VALUES (?{})", ", ?".repeat(FIELDS + 1));
        Ok(Sqlite { connection: Mutex::new(connection), insert })
    }

    fn batch(&self, rows: &Rows) -> Result<SqliteBatch> {
        let columns = (0..FIELDS).map(|field| rows.values(field)).collect();
        Ok(SqliteBatch { times: rows.times.clone(), devices: rows.devices.clone(), columns })
    }

    fn append(&self, batch: &SqliteBatch) -> Result<()> {
        let mut connection = self.connection()?;
        let transaction = connection.transaction()?;
        let mut insert = transaction.prepare_cached(&self.insert)?;
        for (row, (time, device)) in batch.times.iter().zip(&batch.devices).enumerate() {
            insert.raw_bind_parameter(1, device)?;
            insert.raw_bind_parameter(2, time)?;
            for (field, column) in batch.columns.iter().enumerate() {
                insert.raw_bind_parameter(field + 3, column[row])?;
            }
            insert.raw_execute()?;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    fn settle(&self) -> Result<()> {
        // Answers with a row, so it has to be read as a query.
        self.connection()?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    fn rows(&self) -> Result<u64> {
        let rows: i64 = self.connection()?.query_row("SELECT count(*) FROM readings", [], |row| row.get(0))?;
        Ok(rows.unsigned_abs())
    }

    fn footprint(&self) -> Result<Footprint> {
        let connection = self.connection()?;
        let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let data = number("page_count")? * number("page_size")?;
        Ok(Footprint { data: data.unsigned_abs(), log: 0, catalog: 0 })
    }

    fn close(self) -> Result<()> {
        let connection = self.connection.into_inner().map_err(|_| anyhow!("a thread panicked while it wrote"))?;
        connection.close().map_err(|(_, error)| error.into())
    }

    fn empty_cache(&self) -> Result<()> {
        Ok(self.connection()?.execute_batch("PRAGMA shrink_memory")?)
    }

    fn answer(&self, question: &Question) -> Result<Vec<f64>> {
        let (sql, parameters) = statement(question);
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(&sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(parameters))?;
        let mut numbers = Vec::new();
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                numbers.push(number(row.get_ref(column)?)?);
            }
        }
        Ok(numbers)
    }

    fn numbers(answer: Vec<f64>) -> Result<Vec<f64>> {
        Ok(answer)
    }
}

impl Sqlite {
    fn connection(&self) -> Result<MutexGuard<'_, Connection>> {
        self.connection.lock().map_err(|_| anyhow!("a thread panicked while it wrote"))
    }
}

fn number(value: rusqlite::types::ValueRef<'_>) -> Result<f64> {
    match value {
        rusqlite::types::ValueRef::Integer(integer) => Ok(integer as f64),
        rusqlite::types::ValueRef::Real(real) => Ok(real),
        other => Err(anyhow!("{other:?} where a number belongs")),
    }
}

fn schema(kind: StoreKind) -> String {
    let key = if kind == StoreKind::SqliteByDevice { "device, time" } else { "time, device" };
    let fields: String = (0..FIELDS).map(|field| format!("{} REAL, ", field_name(field))).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS devices (id INTEGER PRIMARY KEY);
         INSERT OR IGNORE INTO devices SELECT value FROM (WITH RECURSIVE n(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n \
         WHERE value + 1 < {DEVICES}) SELECT value FROM n);
         CREATE TABLE IF NOT EXISTS readings (device INTEGER NOT NULL, time INTEGER NOT NULL, {fields}PRIMARY KEY ({key})) \
         WITHOUT ROWID;"
    )
}

/// The statement for a question, and what to bind.
fn statement(question: &Question) -> (String, Vec<Value>) {
    let field = field_name(question.field);
    let device = Value::Integer(i64::from(question.device));
    let range = [Value::Integer(question.start), Value::Integer(question.end)];
    let all: String = (0..FIELDS).map(|field| format!(", r.{}", field_name(field))).collect();
    let of_device = [device.clone()].into_iter().chain(range).collect();
    match question.kind {
        QuestionKind::Q1 => (
            format!("SELECT time, device, {field} FROM readings WHERE device = ? AND time >= ? AND time < ? ORDER BY time"),
            of_device,
        ),
        QuestionKind::Q2 => (
            format!("SELECT time, device{all} FROM readings r WHERE device = ? AND time >= ? AND time < ? ORDER BY time"),
            of_device,
        ),
        QuestionKind::Q3 => (
            format!(
                "SELECT time - time % {width} AS bucket, avg({field}), min({field}), max({field}) FROM readings \
                 WHERE device = ? GROUP BY bucket ORDER BY bucket",
                width = QuestionKind::MINUTE
            ),
            vec![device],
        ),
        QuestionKind::Q4 => (
            format!(
                "SELECT time - time % {width} AS bucket, avg({field}) FROM readings GROUP BY bucket ORDER BY bucket",
                width = QuestionKind::FIVE_MINUTES
            ),
            Vec::new(),
        ),
        // The newest row of each device by a descending walk of the key, which both layouts can begin at its end.
        QuestionKind::Q5 => (
            format!(
                "SELECT r.time, r.device{all} FROM devices d JOIN readings r ON r.device = d.id AND r.time = \
                 (SELECT time FROM readings WHERE device = d.id ORDER BY time DESC LIMIT 1) ORDER BY r.device"
            ),
            Vec::new(),
        ),
        QuestionKind::Q6 => (format!("SELECT count({field}), sum({field}) FROM readings"), Vec::new()),
        QuestionKind::Q6Filtered => (
            format!("SELECT count({field}), sum({field}) FROM readings WHERE {field} >= ?"),
            vec![Value::Real(question.threshold)],
        ),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::fleet::Generator;

    #[test]
    fn both_layouts_answer_every_question_rightly() {
        for kind in [StoreKind::SqliteByDevice, StoreKind::SqliteByTime] {
            let directory = tempfile::tempdir().unwrap();
            let rows = Generator::new(6).unwrap().rows(150);
            let store = Sqlite::open(kind, directory.path()).unwrap();
            store.append(&store.batch(&rows).unwrap()).unwrap();
            assert_eq!(store.rows().unwrap(), 30_000);
            let mut random = Xoshiro256PlusPlus::seed_from_u64(6);
            for question in QuestionKind::ALL {
                for _ in 0..3 {
                    let question = Question::draw(question, &mut random, &rows, 0);
                    let numbers = Sqlite::numbers(store.answer(&question).unwrap()).unwrap();
                    assert!(!numbers.is_empty());
                    question.check(&numbers, &rows).unwrap();
                }
            }
            store.settle().unwrap();
            assert!(store.footprint().unwrap().data > 30_000 * 60);
            store.close().unwrap();
        }
    }
}
