//! How many cuts a second one PostgreSQL takes, of how many gateways, and what becomes of its tables.
//!
//!     cargo run --release -p alluvium-sync --example heads -- [GATEWAYS] [ROUNDS] [CONNECTIONS] [SETTING=VALUE ...]
//!
//! The server is one of its own, started by `tests/postgres`, with the settings of a fresh installation but for those given. In each round every gateway
//! registers its next cut, in a random order, by the function that it calls in production and as the login that it has; commits wait for the disk.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alluvium_sync::postgres::{Central, Options};
use alluvium_sync::remote::{FORMAT, Hash, Incarnation, Link, Manifest, Period, PeriodKind, Table, TimeUnit, Unit};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What is measured.
struct Plan {
    gateways: u32,
    rounds: u32,
    connections: usize,
    settings: Vec<String>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut words: Vec<_> = std::env::args().skip(1).collect();
    let settings = words.extract_if(.., |word| word.contains('=')).collect();
    let number = |at: usize, usual: u32| words.get(at).map_or(Ok(usual), |word| word.parse());
    let plan = Plan { gateways: number(0, 100_000)?, rounds: number(1, 3)?, connections: number(2, 16)? as usize, settings };
    let (_server, socket, port) = start(&plan.settings)?;
    let as_user = |user| format!("host={socket} port={port} user={user} dbname=postgres");
    let mut central = Central::connect(&Options::new(as_user("postgres"))).await?;
    central.migrate().await?;
    let sql = connect(&as_user("postgres")).await?;
    provision(&sql, plan.gateways).await?;
    println!("{} gateways, {} connections, {}", plan.gateways, plan.connections, settings_told(&sql).await?);
    println!("round   cuts/s  commits/s    p50 ms    p99 ms    max ms   WAL B/cut   HOT %   heads MiB   dead %   all MiB");
    let heads: Arc<Vec<_>> = Arc::new((0..plan.gateways).map(|number| Mutex::new(Gateway::new(number))).collect());
    for round in 1..=plan.rounds {
        let before = Figures::read(&sql).await?;
        let (took, mut waits) = advance_all(&heads, &as_user("alluvium_gateway"), plan.connections).await?;
        // Sessions tell what they counted when they end, and a little later.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = Figures::read(&sql).await?;
        waits.sort_unstable();
        report(round, took, &waits, &before, &after);
    }
    let begun = Instant::now();
    let status = central.status(None).await?;
    println!("status of {} gateways: {:.1} s", status.gateways.len(), begun.elapsed().as_secs_f64());
    let wrong =
        status.gateways.iter().filter(|gateway| gateway.head.as_ref().map(|head| head.cut) != Some(plan.rounds.into())).count();
    if wrong > 0 {
        return Err(format!("{wrong} gateways have another head").into());
    }
    Ok(())
}

/// A server that ends with this process.
fn start(settings: &[String]) -> Outcome<(Child, String, u16)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/postgres");
    let mut child = Command::new(script).args(settings).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (socket, port) = (words.next().ok_or("no socket")?.to_owned(), words.next().ok_or("no port")?.parse()?);
    Ok((child, socket, port))
}

async fn connect(conninfo: &str) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(conninfo, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// All at once, as no operator would: secrets follow from the number.
async fn provision(sql: &Client, gateways: u32) -> Outcome<()> {
    let statement = format!(
        "CREATE EXTENSION IF NOT EXISTS pgstattuple;
        INSERT INTO alluvium.gateways (name, secret)
            SELECT 'gateway-' || n, sha256(convert_to(encode(sha256(convert_to(n::text, 'UTF8')), 'hex'), 'UTF8'))
            FROM generate_series(0, {gateways} - 1) AS n;
        VACUUM ANALYZE alluvium.gateways"
    );
    for part in statement.split(';') {
        sql.batch_execute(part).await?;
    }
    Ok(())
}

async fn settings_told(sql: &Client) -> Outcome<String> {
    let statement = "SELECT 'PostgreSQL ' || current_setting('server_version') || ', ' || string_agg(name || ' ' || current_setting(name), ', ' ORDER BY name)
        FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size', 'autovacuum')";
    Ok(sql.query_one(statement, &[]).await?.try_get(0)?)
}

/// The end of one gateway's chain.
struct Gateway {
    name: String,
    secret: String,
    incarnation: Incarnation,
    cut: u64,
    previous: Option<Link>,
}

impl Gateway {
    fn new(number: u32) -> Gateway {
        let digest = Sha256::digest(number.to_string().as_bytes());
        let mut incarnation = [0; 16];
        incarnation.copy_from_slice(&digest[..16]);
        let secret = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Gateway { name: format!("gateway-{number}"), secret, incarnation: Incarnation(incarnation), cut: 0, previous: None }
    }

    /// The next cut: ten minutes of one table.
    fn next(&self) -> Manifest {
        let (after, through) = (self.cut * 600, self.cut * 600 + 600);
        let period = Period { kind: PeriodKind::Day, start: 1_764_374_400 };
        Manifest {
            format: FORMAT.to_owned(),
            gateway: self.name.clone(),
            incarnation: self.incarnation,
            cut: self.cut + 1,
            previous: self.previous,
            after,
            through,
            sealed_at: jiff::Timestamp::now(),
            audit: None,
            tables: vec![Table { table: 1, name: "air".to_owned(), unit: TimeUnit::Milli, dropped: false }],
            units: vec![Unit { table: 1, period, records: (after + 1, through), rows: 6_000, first: 0, last: 600_000 }],
            metadata: None,
            erasures: vec![],
            gaps: vec![],
        }
    }

    async fn advance(&mut self, client: &Client) -> Outcome<()> {
        let bytes = self.next().encode()?;
        let hash = Hash::of(&bytes);
        let (digits, text) = (hash.to_string(), std::str::from_utf8(&bytes)?);
        let arguments: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
            [(&self.name, Type::TEXT), (&self.secret, Type::TEXT), (&digits, Type::TEXT), (&text, Type::TEXT)];
        let row = client.query_typed_one("SELECT alluvium_v1.advance($1, $2, $3, $4)::text", &arguments).await?;
        let answer: &str = row.try_get(0)?;
        if !answer.contains("advanced") {
            return Err(answer.into());
        }
        self.cut += 1;
        self.previous = Some(Link { incarnation: self.incarnation, hash });
        Ok(())
    }
}

/// Each gateway once, in a random order. How long it took, and each of them.
async fn advance_all(heads: &Arc<Vec<Mutex<Gateway>>>, conninfo: &str, connections: usize) -> Outcome<(Duration, Vec<Duration>)> {
    let mut order: Vec<_> = (0..heads.len()).collect();
    fastrand::shuffle(&mut order);
    let (order, next) = (Arc::new(order), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (client, heads, order, next) = (connect(conninfo).await?, Arc::clone(heads), Arc::clone(&order), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut waits = Vec::new();
            while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let asked = Instant::now();
                heads[at].lock().await.advance(&client).await?;
                waits.push(asked.elapsed());
            }
            Outcome::Ok(waits)
        }));
    }
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    Ok((begun.elapsed(), waits))
}

/// What the server counted.
struct Figures {
    commits: i64,
    updates: i64,
    hot: i64,
    wal: i64,
    heads: i64,
    all: i64,
    dead: f64,
}

impl Figures {
    async fn read(sql: &Client) -> Outcome<Figures> {
        let statement = "SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()), s.n_tup_upd, s.n_tup_hot_upd,
                (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint, pg_total_relation_size(s.relid), pg_database_size(current_database()),
                (SELECT dead_tuple_percent FROM pgstattuple(s.relid))
            FROM pg_stat_user_tables s WHERE s.schemaname = 'alluvium' AND s.relname = 'gateways'";
        let row = sql.query_one(statement, &[]).await?;
        Ok(Figures {
            commits: row.try_get(0)?,
            updates: row.try_get(1)?,
            hot: row.try_get(2)?,
            wal: row.try_get(3)?,
            heads: row.try_get(4)?,
            all: row.try_get(5)?,
            dead: row.try_get(6)?,
        })
    }
}

fn report(round: u32, took: Duration, waits: &[Duration], before: &Figures, after: &Figures) {
    let (cuts, seconds) = (waits.len() as f64, took.as_secs_f64());
    let at = |share: f64| {
        waits.get(((waits.len().saturating_sub(1)) as f64 * share) as usize).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
    };
    let (updates, hot) = ((after.updates - before.updates) as f64, (after.hot - before.hot) as f64);
    let mebibytes = |bytes: i64| bytes as f64 / 1_048_576.0;
    println!(
        "{round:>5} {:>8.0} {:>10.0} {:>9.2} {:>9.2} {:>9.1} {:>11.0} {:>7.2} {:>11.1} {:>8.2} {:>9.0}",
        cuts / seconds,
        (after.commits - before.commits) as f64 / seconds,
        at(0.5),
        at(0.99),
        at(1.0),
        (after.wal - before.wal) as f64 / cuts,
        100.0 * hot / updates.max(1.0),
        mebibytes(after.heads),
        after.dead,
        mebibytes(after.all),
    );
}
