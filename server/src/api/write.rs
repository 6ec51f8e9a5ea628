//! Writing rows: `POST /write`, as JSON or as JSON lines, of one table or several, all or nothing.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;

use aide::OperationInput;
use aide::axum::ApiRouter;
use aide::axum::routing::post_with;
use aide::generate::GenContext;
use aide::openapi::{Operation, RequestBody};
use aide::operation::set_body;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::answer::media;
use super::body::{Received, receive};
use super::document::{hears, says};
use super::{Answer, Guard, Problem};
use crate::import::{Batch, EpochUnit, Look, MOST_BYTES, Objects, Part, Refused, too_many, visit_array};
use crate::remote::ARROW_STREAM;
use crate::serve::intake::{Numbered, Put};
use crate::serve::{Server, ipc};

/// Kinds of bodies, as the document names them.
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
/// The header that makes a request count once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    ApiRouter::new().api_route("/write", post_with(write, says("write", "Writes rows of one table or several, all or none.")))
}

/// Rows of a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewRows")]
struct Table<'a> {
    table: String,
    /// Makes the table, or the columns that it lacks.
    #[serde(default)]
    create: bool,
    /// Which of the columns that are made are tags.
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    time_unit: Unit,
    /// Objects by the names of columns, each with its time.
    #[serde(borrow)]
    #[schemars(with = "Vec<Map<String, Value>>")]
    rows: &'a RawValue,
}

/// The same for lines of which each is a row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The table of which every line is a row; without, lines name their tables.
    table: Option<String>,
    /// Makes the table, or the columns that it lacks.
    #[serde(default)]
    create: bool,
    /// Which of the columns that are made are tags, with commas between.
    #[serde(default)]
    tags: String,
    #[serde(default)]
    time_unit: Unit,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WrittenRows")]
struct Written {
    rows: u64,
    #[serde(flatten)]
    counted: Option<Counted>,
}

/// Of which writer it was the batch of which number, where that was said.
#[derive(Debug, Serialize, JsonSchema)]
struct Counted {
    writer: String,
    number: u64,
    /// Whether it was written before, by the same request.
    again: bool,
}

/// What says more than the address.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the document of the API is made of it")]
struct Headers {
    /// Makes the request count once: `WRITER/NUMBER`.
    #[schemars(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
    /// `gzip`, where the body is packed.
    #[schemars(rename = "Content-Encoding")]
    content_encoding: Option<String>,
}

/// Rows in one form or another.
#[derive(Debug)]
struct Rows(Body);

impl<S: Send + Sync> FromRequest<S> for Rows {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Rows(request.into_body()))
    }
}

impl OperationInput for Rows {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        hears::<Headers>(context, operation);
        let content = [
            (JSON.to_owned(), media::<OneOrMany>(context)),
            (LINES.to_owned(), media::<String>(context)),
            (ARROW_STREAM.to_owned(), media::<String>(context)),
        ];
        let body = RequestBody { content: content.into_iter().collect(), required: true, ..RequestBody::default() };
        set_body(context, operation, body);
    }
}

/// Rows of a table, or of several.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only the document of the API is made of it")]
enum OneOrMany {
    One(Table<'static>),
    Many(Vec<Table<'static>>),
}

/// The unit of integer times.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    S,
    Ms,
    #[default]
    Us,
    Ns,
}

impl From<Unit> for EpochUnit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::S => EpochUnit::Second,
            Unit::Ms => EpochUnit::Milli,
            Unit::Us => EpochUnit::Micro,
            Unit::Ns => EpochUnit::Nano,
        }
    }
}

async fn write(
    guard: Guard,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    Rows(body): Rows,
) -> Answer<Json<Written>> {
    let Query(asked) = asked?;
    let (form, numbered) = (Form::of(&headers)?, numbered(&headers)?);
    form.check(&asked)?;
    let mut received = receive(&guard.server, &guard.caller, &headers, body).await?;
    let put = guard.put(numbered, move |look| Ok((read(&mut received, form, &asked, look)?, ())));
    let (Put { rows, again }, ()) = put.await?;
    let counted = numbered.map(|Numbered { writer, number }| Counted { writer: writer.to_string(), number, again });
    Ok(Json(Written { rows, counted }))
}

/// Which batch of which writer a request says that it is.
pub(super) fn numbered(headers: &HeaderMap) -> Answer<Option<Numbered>> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().map_err(|_| Problem::invalid("Idempotency-Key is to be of ASCII"))?;
    Ok(Some(Numbered::read(key)?))
}

/// How rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Lines,
    Arrow,
}

impl Form {
    fn of(headers: &HeaderMap) -> Answer<Form> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            JSON => Ok(Form::Json),
            LINES | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => Ok(Form::Lines),
            ARROW_STREAM => Ok(Form::Arrow),
            other => {
                let said = format!("rows come as {JSON}, {LINES} or {ARROW_STREAM}, not as {other:?}");
                Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, said))
            }
        }
    }

    /// Refuses to have a table named in two places, or in none, and to make one of which not all is known.
    fn check(self, asked: &Asked) -> Answer<()> {
        match (self, &asked.table) {
            (Form::Json, Some(_)) => {
                Err(Problem::invalid("the table of JSON stands in the body: name it in the query for lines of JSON, each a row"))
            }
            (Form::Arrow, None) => Err(Problem::invalid("the table of an Arrow stream stands in the query: ?table=NAME")),
            (Form::Arrow, _) if asked.create => {
                Err(Problem::invalid("an Arrow stream is of a table that is there: make it first, with its columns"))
            }
            _ => Ok(()),
        }
    }
}

fn read(received: &mut Received, form: Form, asked: &Asked, look: &mut Look<'_, Problem>) -> Answer<Vec<Part>> {
    let body = received.open()?;
    if let (Form::Arrow, Some(table)) = (form, &asked.table) {
        return Ok(vec![of_arrow(&body, table, look)?]);
    }
    let text = std::str::from_utf8(&body).map_err(|error| Problem::invalid(format_args!("the body is no text: {error}")))?;
    let mut reading = Reading { look, parts: Vec::new(), named: HashSet::new(), bytes: 0 };
    match &asked.table {
        Some(table) => {
            let tags: Vec<String> = asked.tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
            reading.table(table, asked.create.then_some(&tags), asked.time_unit, |take| lines(text).try_for_each(take))?;
        }
        None if form == Form::Lines => lines(text).try_for_each(|line| reading.tables(line))?,
        None => match text.trim_ascii_start().starts_with('[') {
            true => visit_array(text, &mut |one| reading.tables(one)).map_err(refused)?,
            false => reading.tables(text)?,
        },
    }
    Ok(reading.parts)
}

fn of_arrow(body: &[u8], table: &str, look: &mut Look<'_, Problem>) -> Answer<Part> {
    let absent = || Problem::new(StatusCode::NOT_FOUND, format!("there is no table {table:?}: make it first, with its columns"));
    let schema = look(table)?.ok_or_else(absent)?;
    let decoded = ipc::decode(body, &schema.arrow());
    let rows = decoded.map_err(|why| Problem::invalid(format_args!("it is no Arrow IPC stream of table {table:?}: {why}")))?;
    let fields = rows.columns().iter().skip(1 + schema.tags.len());
    let points = fields.map(|column| (column.len() - column.null_count()) as u64).sum();
    let tags = schema.tags.iter().map(|tag| tag.name.clone()).collect();
    Ok(Part { table: table.to_owned(), batch: Batch { rows, points, added: Vec::new() }, tags })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(str::trim_ascii).filter(|line| !line.is_empty())
}

fn refused(refused: Refused<Problem>) -> Problem {
    match refused {
        Refused::ByVisit(problem) => problem,
        Refused::NoArray(why) => Problem::invalid(format_args!("rows are an array of objects: {why}")),
    }
}

/// What was read so far.
struct Reading<'l, 'r> {
    look: &'r mut Look<'l, Problem>,
    parts: Vec<Part>,
    named: HashSet<String>,
    bytes: usize,
}

impl Reading<'_, '_> {
    /// Reads an object with a table and rows of it.
    fn tables(&mut self, text: &str) -> Answer<()> {
        let read: Result<Table<'_>, _> = serde_json::from_str(text);
        let asked = read.map_err(|error| {
            Problem::invalid(format_args!("it is no object of a \"table\" and its \"rows\", as in PROTOCOL.md: {error}"))
        })?;
        let made = asked.create.then_some(&asked.tags);
        self.table(&asked.table, made, asked.time_unit, |take| visit_array(asked.rows.get(), take).map_err(refused))
    }

    /// Reads rows of a table, which `each` hands over one by one.
    fn table(
        &mut self,
        table: &str,
        made: Option<&Vec<String>>,
        unit: Unit,
        each: impl FnOnce(&mut dyn FnMut(&str) -> Answer<()>) -> Answer<()>,
    ) -> Answer<()> {
        if !self.named.insert(table.to_owned()) {
            return Err(Problem::invalid(format_args!("table {table:?} is named twice: put its rows together")));
        }
        let schema = (self.look)(table)?;
        if schema.is_none() && made.is_none() {
            let said =
                format!("there is no table {table:?}: make it first, or write with \"create\" and the names of its \"tags\"");
            return Err(Problem::new(StatusCode::NOT_FOUND, said));
        }
        let mut objects = Objects::new(table, schema.as_deref(), unit.into(), made.map(Vec::as_slice));
        let before = self.bytes;
        each(&mut |object| {
            objects.take(object)?;
            match before + objects.bytes() {
                bytes if bytes > MOST_BYTES => Err(too_many(bytes).into()),
                _ => Ok(()),
            }
        })?;
        self.bytes += objects.bytes();
        self.parts.push(objects.finish()?);
        Ok(())
    }
}
