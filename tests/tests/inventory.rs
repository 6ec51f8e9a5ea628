//! Rows read where they lie: DuckDB, by the query that `sync inventory --sql` prints, and a database say the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use alluvium::{Database, Error, FieldType, Filter, Partitioning, RowBuilder, Settings, TableSpec, TimeRange, TimeUnit};
use alluvium_tests::binary::{fail, succeed};
use serde_json::Value;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(60);

/// Compares what a query answers with what `alluvium query --format csv` printed, as values of the columns' types. Arguments: a file with the
/// query, a file with the CSV.
const COMPARE: &str = r#"
import base64, csv, decimal, re, sys, duckdb
duckdb.sql("SET TimeZone = 'UTC'")
query = open(sys.argv[1], encoding='utf-8').read().strip().rstrip(';')
answer = duckdb.sql(query)
names, kinds = answer.columns, [str(kind) for kind in answer.types]
rows = duckdb.sql(f'SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({query})').fetchall()
def of_duckdb(kind, text):
    if text is None: return None
    if kind.startswith('TIMESTAMP'):
        day, time = re.sub(r'\+00$', '', text).split(' ')
        return day + 'T' + (re.sub(r'0+$', '', time).rstrip('.') if '.' in time else time) + 'Z'
    return of_csv(kind, text) if kind != 'BLOB' else text
def of_csv(kind, text):
    if text == '': return None
    if kind in ('DOUBLE', 'FLOAT'): return repr(float(text))
    if kind in ('BIGINT', 'UBIGINT'): return int(text)
    if kind.startswith('DECIMAL'): return decimal.Decimal(text)
    if kind == 'BLOB': return ''.join(f'\\x{byte:02X}' for byte in base64.b64decode(text))
    return text
with open(sys.argv[2], encoding='utf-8', newline='') as file:
    head, *lines = list(csv.reader(file))
order = lambda row: [(value is not None, str(value)) for value in row]
found = sorted(([of_duckdb(kind, text) for kind, text in zip(kinds, row)] for row in rows), key=order)
expected = sorted(([of_csv(kind, text) for kind, text in zip(kinds, line)] for line in lines), key=order)
# It numbers names that it does not tell apart.
assert [name.split('_')[0].lower() for name in names] == [name.split('_')[0].lower() for name in head], (names, head)
for row in found:
    if row not in expected: print('too much', row)
for row in expected:
    if row not in found: print('lacking', row)
print('equal' if found == expected else 'different', len(expected))
"#;

fn python() -> String {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("python-tool");
    let python = Command::new(tool).args(["duckdb", "2.0.1", "python"]).output().unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    String::from_utf8(python.stdout).unwrap().trim().to_owned()
}

/// How many rows of a table both have, who have the same.
fn compared(dir: &Path, data: &Path, bucket: &Path, table: &str, more: &[&str]) -> u64 {
    let (query, rows) = (dir.join("query.sql"), dir.join("rows.csv"));
    let asked = ["sync", "inventory", bucket.to_str().unwrap(), "--sql", "--table", table];
    // Not with the database's help.
    std::fs::write(&query, succeed(&dir.join("nowhere"), asked.iter().chain(more))).unwrap();
    std::fs::write(&rows, succeed(data, ["query", "--table", table, "--format", "csv"])).unwrap();
    let answer = Command::new(python()).args(["-c", COMPARE]).args([&query, &rows]).output().unwrap();
    let told = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.status.success(), "{}\n{}", String::from_utf8_lossy(&answer.stderr), std::fs::read_to_string(&query).unwrap());
    let equal =
        told.trim().strip_prefix("equal ").unwrap_or_else(|| panic!("{told}\n{}", std::fs::read_to_string(&query).unwrap()));
    equal.parse().unwrap()
}

fn sync(data: &Path, bucket: &Path) {
    succeed(data, ["sync", "run", "--once", "--gateway", "Küche 1", "--to", bucket.to_str().unwrap()]);
}

/// Names and tags as nobody should have them.
const TABLE: &str = "pump \"night\" ä's";
const TAGS: [&str; 2] = ["room \"x\"", "Ort'"];
const TAG_ADDED: &str = "added";
const ROOMS: [Option<&str>; 5] = [None, Some("it's"), Some("\"a\", b"), Some("Küche\\n"), Some("%_")];
const PLACES: [Option<&str>; 3] = [None, Some("O'"), Some("NULL")];
/// 2025-03-01T00:00:00Z
const START: i64 = 1_740_787_200;

/// What happens to a table.
struct Life {
    data: PathBuf,
    bucket: PathBuf,
    random: fastrand::Rng,
    unit: TimeUnit,
}

impl Life {
    fn new(dir: &Path, unit: TimeUnit) -> Self {
        let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        println!("ALLUVIUM_SEED={seed}");
        // A folder whose name is a pattern to others.
        let (data, bucket) = (dir.join("data"), dir.join("bu[c]ket *'1'"));
        Life { data, bucket, random: fastrand::Rng::with_seed(seed), unit }
    }

    fn open(&self) -> Database {
        let settings = Settings { background: false, ..Settings::default() };
        let begun = Instant::now();
        loop {
            match Database::builder().settings(settings.clone()).open(&self.data) {
                // A process that another test is about to start holds what is open here until it has begun.
                Err(Error::Locked { .. }) if begun.elapsed() < SOON => std::thread::sleep(Duration::from_millis(5)),
                opened => return opened.unwrap(),
            }
        }
    }

    fn create(&self, db: &Database) {
        let spec = TableSpec::new(TABLE).partitioning(Partitioning::Hour).time_unit(self.unit);
        let spec = TAGS.iter().fold(spec, |spec, tag| spec.tag(*tag));
        let spec = spec.field("v", FieldType::Float64).field("V", FieldType::Int64).field("d", FieldType::Decimal { scale: 2 });
        let spec = spec.field("say \"it's\"", FieldType::Utf8).field("b", FieldType::Binary);
        let spec = spec.field("u", FieldType::UInt64).field("f", FieldType::Float32).field("on", FieldType::Bool);
        db.create_table(spec).unwrap();
    }

    /// A time of five hours, most of them again and again, some of them one unit apart.
    fn time(&mut self) -> i64 {
        (START + self.random.i64(0..60) * 300) * self.unit.per_second() + self.random.i64(0..2)
    }

    /// Rows, new ones and others in place of what is there; values of each may be missing.
    fn append(&mut self, db: &Database) {
        let schema = db.table(TABLE).unwrap();
        let mut rows = RowBuilder::new(schema.clone());
        for _ in 0..self.random.usize(30..90) {
            let mut row = rows.row(self.time());
            let added = schema.tag_position(TAG_ADDED).and(PLACES[self.random.usize(..3)]);
            let tags = [(TAGS[0], ROOMS[self.random.usize(..5)]), (TAGS[1], PLACES[self.random.usize(..3)]), (TAG_ADDED, added)];
            for (name, value) in tags {
                row = if let Some(value) = value { row.tag(name, value).unwrap() } else { row };
            }
            for field in &schema.fields {
                if self.random.u8(..4) > 0 {
                    row = row.value(&field.name, self.value(field.kind)).unwrap();
                }
            }
        }
        db.append(TABLE, &rows.finish().unwrap()).unwrap();
    }

    fn value(&mut self, kind: FieldType) -> alluvium::model::Value {
        let random = &mut self.random;
        let small = random.i64(-500..500);
        match kind {
            FieldType::Float64 => random.choice([small as f64 / 3.0, f64::NAN, f64::INFINITY, -0.0]).unwrap().into(),
            FieldType::Float32 => random.choice([small as f32 / 3.0, -0.0, f32::NAN]).unwrap().into(),
            FieldType::Int64 => random.choice([small, i64::MIN, i64::MAX]).unwrap().into(),
            FieldType::UInt64 => random.choice([0, u64::MAX]).unwrap().into(),
            FieldType::Bool => random.bool().into(),
            FieldType::Utf8 => random.choice(["a, \"b\"", "it's", "Küche\nunten", "NULL"]).unwrap().into(),
            FieldType::Binary => vec![0x80, 0xff, random.u8(0x80..)].into(),
            FieldType::Decimal { .. } => alluvium::model::Value::Decimal(small),
        }
    }

    /// Deletes some time of all series, or of some.
    fn delete(&mut self, db: &Database) {
        let (one, other) = (self.time(), self.time());
        let range = TimeRange::new(one.min(other), one.max(other) + 1);
        let room = ROOMS[self.random.usize(1..5)].unwrap();
        let filters = match self.random.u8(..3) {
            0 => vec![],
            1 => vec![Filter::equal(TAGS[0], room)],
            _ => vec![Filter::equal(TAGS[0], room), Filter::equal(TAGS[1], "O'")],
        };
        db.delete(TABLE, &filters, range).unwrap();
    }

    /// Some of both, then everything to the bucket.
    fn live(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let db = self.open();
            for _ in 0..3 {
                self.append(&db);
                if self.random.bool() {
                    self.delete(&db);
                }
                if self.random.bool() {
                    db.seal().unwrap();
                }
            }
            db.close().unwrap();
            sync(&self.data, &self.bucket);
        }
    }
}

fn lives(unit: TimeUnit) {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::new(dir.path(), unit);
    let compared = |life: &Life| compared(dir.path(), &life.data, &life.bucket, TABLE, &[]);
    // Of the same name before, dropped with all it had.
    let db = life.open();
    life.create(&db);
    life.append(&db);
    db.close().unwrap();
    sync(&life.data, &life.bucket);
    let db = life.open();
    db.drop_table(TABLE).unwrap();
    life.create(&db);
    db.close().unwrap();
    sync(&life.data, &life.bucket);
    assert_eq!(compared(&life), 0);
    life.live(3);
    assert!(compared(&life) > 0);
    let db = life.open();
    db.add_columns(TABLE, &[TAG_ADDED.to_owned()], &[("later".to_owned(), FieldType::Float64)]).unwrap();
    db.close().unwrap();
    life.live(3);
    assert!(compared(&life) > 0);
    // Under other names objects stay what they are.
    let db = life.open();
    db.rename_table(TABLE, "elsewhere").unwrap();
    db.rename_table("elsewhere", TABLE).unwrap();
    db.compact().unwrap();
    db.close().unwrap();
    life.live(2);
    let listed = listed(&life.bucket, &[]);
    assert!(compared(&life) > 0 && listed.iter().all(|object| object["table"] == TABLE), "{listed:?}");
    // What is listed is there, and less than all that is there: that of the dropped table is not.
    let there = |object: &Value| life.bucket.join(object["object"].as_str().unwrap()).metadata().unwrap().len();
    assert!(listed.iter().all(|object| object["bytes"] == there(object)));
    assert!(listed.iter().all(|object| object["number"] == 1), "{listed:?}");
}

#[test]
fn a_query_has_each_row_once_and_none_that_was_deleted() {
    lives(TimeUnit::Micro);
}

#[test]
fn units_of_time_are_told_apart() {
    lives(TimeUnit::Nano);
    lives(TimeUnit::Milli);
}

/// What is listed of a bucket.
fn listed(bucket: &Path, more: &[&str]) -> Vec<Value> {
    let asked = ["sync", "inventory", bucket.to_str().unwrap(), "--format", "json"];
    let told = succeed(&bucket.join("nowhere"), asked.iter().chain(more));
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Two that go on from the same place are two gateways of one name.
#[test]
fn of_a_fork_each_branch_is_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::new(dir.path(), TimeUnit::Micro);
    let db = life.open();
    life.create(&db);
    db.close().unwrap();
    life.live(2);
    let other = dir.path().join("other");
    succeed(&other, ["restore", "--from", life.bucket.to_str().unwrap()]);
    life.live(2);
    let first = std::mem::replace(&mut life.data, other);
    life.live(2);
    let said = fail(2, &life.data, ["sync", "inventory", life.bucket.to_str().unwrap(), "--json", "--sql"]);
    assert!(said.contains("--json"), "{said}");
    let said = fail(1, &life.data, ["sync", "inventory", life.bucket.to_str().unwrap()]);
    assert!(said.contains("went on in several places"), "{said}");
    let proof: Value =
        serde_json::from_str(&succeed(dir.path(), ["sync", "prove", "--json", life.bucket.to_str().unwrap()])).unwrap();
    let branches = proof["gateways"][0]["branches"].as_array().unwrap();
    let tips: Vec<_> = branches.iter().map(|branch| branch["incarnation"].as_str().unwrap()).collect();
    assert_eq!(tips.len(), 2);
    let of = |data: &Path| -> String {
        let own: Value = serde_json::from_str(&succeed(data, ["sync", "status", "--json"])).unwrap();
        own["incarnation"].as_str().unwrap().to_owned()
    };
    for data in [&first, &life.data] {
        let own = of(data);
        assert!(tips.contains(&own.as_str()), "{own} is none of {tips:?}");
        assert!(compared(dir.path(), data, &life.bucket, TABLE, &["--incarnation", &own]) > 0);
    }
}

#[test]
fn objects_are_listed_and_what_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::new(dir.path(), TimeUnit::Micro);
    let db = life.open();
    life.create(&db);
    db.create_table(TableSpec::new("none").field("v", FieldType::Float64)).unwrap();
    db.close().unwrap();
    life.live(2);
    let bucket = life.bucket.to_str().unwrap();
    let listed = listed(&life.bucket, &[]);
    let csv = succeed(dir.path(), ["sync", "inventory", bucket, "--format", "csv"]);
    assert!(csv.starts_with("table,number,period,first_record,last_record,bytes,incarnation,object\n"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + listed.len());
    let people = succeed(dir.path(), ["sync", "inventory", bucket, "--table", TABLE]);
    assert!(listed.iter().all(|object| people.contains(object["period"].as_str().unwrap())), "{people}");
    assert_eq!(compared(dir.path(), &life.data, &life.bucket, "none", &[]), 0);
    // A target by its name.
    let settings = dir.path().join("alluvium.toml");
    std::fs::write(&settings, format!("[sync.targets.cloud]\nurl = {bucket:?}\n")).unwrap();
    let by_name = succeed(dir.path(), ["sync", "inventory", "cloud", "--format", "csv", "--config", settings.to_str().unwrap()]);
    let only = succeed(dir.path(), ["sync", "inventory", "--format", "csv", "--config", settings.to_str().unwrap()]);
    assert_eq!((&by_name, &only), (&csv, &csv));
    let said = fail(2, dir.path(), ["sync", "inventory", bucket, "--sql"]);
    assert!(said.contains("--table") && said.contains("\"none\""), "{said}");
    let said = fail(1, dir.path(), ["sync", "inventory", bucket, "--table", "other"]);
    assert!(said.contains("\"other\"") && said.contains("\"none\""), "{said}");
    let said = fail(1, dir.path(), ["sync", "inventory", dir.path().join("nowhere").to_str().unwrap()]);
    assert!(said.contains("there is no folder"), "{said}");
    // Something is missing, and is no longer after it was allowed.
    std::fs::remove_file(life.bucket.join(listed[0]["object"].as_str().unwrap())).unwrap();
    let said = fail(1, dir.path(), ["sync", "inventory", bucket]);
    assert!(said.contains("not in the bucket"), "{said}");
    let rest = succeed(dir.path(), ["sync", "inventory", bucket, "--allow-missing", "--format", "csv"]);
    assert_eq!(rest.lines().count(), listed.len());
    let query = succeed(dir.path(), ["sync", "inventory", bucket, "--allow-missing", "--table", TABLE, "--sql"]);
    assert!(query.contains("unit missing") || query.contains("units missing"), "{query}");
}
