//! What becomes of each column of a file: the table decides, then the command line, then a look at the file.

use std::collections::HashSet;

use alluvium::{FieldType, TableSchema, TimeUnit};

use super::Failure;
use super::column::{ColumnSpec, Role};
use super::infer::Guess;
use super::rows::{TIME, check_name};
use super::time::EpochUnit;

/// What the user asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// The table to import into.
    pub(crate) table: String,
    /// The column with the times.
    pub(crate) time: Option<String>,
    /// The unit of integer times.
    pub(crate) unit: Option<EpochUnit>,
    /// Columns that are tags.
    pub(crate) tags: Vec<String>,
    /// Columns of a given type.
    pub(crate) types: Vec<(String, FieldType)>,
    /// Rows in a batch.
    pub(crate) batch_rows: usize,
}

/// A column as the first look at the file found it.
#[derive(Debug, Clone)]
pub(crate) struct SeenColumn {
    /// Name.
    pub(crate) name: String,
    /// Type of its values, if there were any.
    pub(crate) kind: Option<FieldType>,
    /// Whether its values are times and nothing else.
    pub(crate) is_time: bool,
    /// Whether, as times, they need more than microseconds.
    pub(crate) below_micros: bool,
    /// Whether the format says that it is a tag.
    pub(crate) is_tag: bool,
}

impl SeenColumn {
    pub(crate) fn new(name: String, guess: &Guess) -> Self {
        SeenColumn {
            name,
            kind: guess.field_type(),
            is_time: guess.is_time_text(),
            below_micros: guess.is_below_micros(),
            is_tag: false,
        }
    }
}

/// What the first look at a file found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Its columns, in order.
    pub(crate) columns: Vec<SeenColumn>,
    /// Of a format in which times are not a column: whether they need more than microseconds.
    pub(crate) own_time: Option<bool>,
}

/// What becomes of a file.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    /// The column with the times; `None` where the format has them apart.
    pub(crate) time: Option<String>,
    /// The unit of the table's times.
    pub(crate) unit: TimeUnit,
    /// All other columns.
    pub(crate) columns: Vec<ColumnSpec>,
}

/// Names of time columns, in any case, apart from `time` itself.
const TIME_NAMES: [&str; 7] = ["time", "timestamp", "ts", "date", "datetime", "date_time", "_time"];

/// Decides on the columns of a file.
pub(crate) fn decide(wishes: &Wishes, table: Option<&TableSchema>, seen: &Seen) -> Result<Decision, Failure> {
    check_names(wishes, seen)?;
    let time = match seen.own_time {
        Some(_) => None,
        None => Some(time_column(wishes, seen)?),
    };
    let below_micros = seen.own_time.unwrap_or_else(|| time.is_some_and(|column| column.below_micros));
    let unit = match table {
        Some(table) => table.time_unit,
        None if below_micros => TimeUnit::Nano,
        None => TimeUnit::default(),
    };
    let time = time.map(|column| column.name.clone());
    let mut columns = Vec::with_capacity(seen.columns.len());
    for column in &seen.columns {
        if time.as_ref() == Some(&column.name) {
            if wishes.tags.contains(&column.name) || wishes.types.iter().any(|(name, _)| *name == column.name) {
                return Err(input(format!("column {:?} holds the times: it cannot be a tag or have a type", column.name)));
            }
            continue;
        }
        check_name(&column.name).map_err(|misfit| input(misfit.into()))?;
        columns.push(decide_column(wishes, table, column)?);
    }
    Ok(Decision { time, unit, columns })
}

fn decide_column(wishes: &Wishes, table: Option<&TableSchema>, column: &SeenColumn) -> Result<ColumnSpec, Failure> {
    let name = &column.name;
    let wished = wish_for(wishes, name)?;
    let role = match table.and_then(|table| role_in(table, name)) {
        Some(role) => {
            if wished.is_some_and(|wished| wished != role) || (column.is_tag && role != Role::Tag) {
                let table = table.map_or("", |table| &table.name);
                return Err(input(format!(
                    "column {name:?} is {} in table {table:?} and {} here: columns keep what they are, import into another table",
                    describe(role),
                    describe(wished.unwrap_or(Role::Tag))
                )));
            }
            return Ok(ColumnSpec { name: name.clone(), role, fixed: true });
        }
        None => wished,
    };
    let fixed = role.is_some() || column.is_tag;
    let found = if column.is_tag { Role::Tag } else { column.kind.map_or(Role::Undecided, Role::Field) };
    Ok(ColumnSpec { name: name.clone(), role: role.unwrap_or(found), fixed })
}

fn wish_for(wishes: &Wishes, name: &str) -> Result<Option<Role>, Failure> {
    let tag = wishes.tags.iter().filter(|tag| *tag == name).map(|_| Role::Tag);
    let types = wishes.types.iter().filter(|(typed, _)| typed == name).map(|(_, kind)| Role::Field(*kind));
    let mut found = tag.chain(types);
    let first = found.next();
    match found.find(|other| Some(*other) != first) {
        Some(other) => {
            let first = describe(first.unwrap_or(other));
            Err(input(format!("column {name:?} cannot be both {first} and {}", describe(other))))
        }
        None => Ok(first),
    }
}

fn role_in(table: &TableSchema, name: &str) -> Option<Role> {
    if table.tag_position(name).is_some() {
        return Some(Role::Tag);
    }
    table.fields.get(table.field_position(name)?).map(|field| Role::Field(field.kind))
}

/// The role in words.
pub(crate) fn describe(role: Role) -> String {
    match role {
        Role::Tag => "a tag".to_owned(),
        Role::Field(kind) => format!("a {kind} field"),
        Role::Undecided => "a field".to_owned(),
    }
}

/// The column with the times: as asked for, or `time`, or one named like that, or the first with nothing but times in it.
fn time_column<'a>(wishes: &Wishes, seen: &'a Seen) -> Result<&'a SeenColumn, Failure> {
    let named = |name: &str| seen.columns.iter().find(|column| column.name == name);
    if let Some(name) = &wishes.time {
        return named(name).ok_or_else(|| no_such_column("--time", name, seen));
    }
    let like_time = || seen.columns.iter().find(|column| TIME_NAMES.iter().any(|name| column.name.eq_ignore_ascii_case(name)));
    let with_times = || seen.columns.iter().find(|column| column.is_time);
    named(TIME)
        .or_else(like_time)
        .or_else(with_times)
        .ok_or_else(|| input(format!("no column looks like the time: name it with --time COL; there are {}", list(seen))))
}

/// Every name once, and every wish about a column that exists.
fn check_names(wishes: &Wishes, seen: &Seen) -> Result<(), Failure> {
    let mut names = HashSet::new();
    for column in &seen.columns {
        if !names.insert(column.name.as_str()) {
            return Err(input(format!("two columns are named {:?}: rename one", column.name)));
        }
    }
    let tags = wishes.tags.iter().map(|name| ("--tag", name));
    let types = wishes.types.iter().map(|(name, _)| ("--type", name));
    match tags.chain(types).find(|(_, name)| !names.contains(name.as_str())) {
        Some((option, name)) => Err(no_such_column(option, name, seen)),
        None => Ok(()),
    }
}

fn no_such_column(option: &str, name: &str, seen: &Seen) -> Failure {
    input(format!("{option} {name}: there is no such column; there are {}", list(seen)))
}

fn list(seen: &Seen) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<_> = seen.columns.iter().take(SHOWN).map(|column| column.name.as_str()).collect();
    if names.len() < seen.columns.len() {
        names.push("…");
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn input(message: String) -> Failure {
    Failure::Input(message)
}
