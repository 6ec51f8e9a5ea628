//! Queues.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Action, Error, Lease, Leased, NewItem, Pop, QueueSpec, Retry, Target};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{Answer, Guard, Problem};
use crate::commands::queue::describe;
use crate::commands::values::bytes_of;
use crate::serve::Server;

/// Items of a page, and of one call.
const PAGE: usize = 1_000;
/// How long a pop may wait: less than proxies let a request be silent.
const LONGEST_WAIT: Duration = Duration::from_secs(50);

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/queues", get(list))
        .route("/queues/{name}", get(read).put(make).patch(alter).delete(remove))
        .route("/queues/{name}/push", post(push))
        .route("/queues/{name}/pop", post(pop))
        .route("/queues/{name}/ack", post(ack))
        .route("/queues/{name}/nack", post(nack))
        .route("/queues/{name}/extend", post(extend))
        .route("/queues/{name}/items", get(peek))
        .route("/queues/{name}/dead", get(dead))
        .route("/queues/{name}/requeue", post(requeue))
        .route("/queues/{name}/purge", post(purge))
}

/// Settings; those not named are as they are by default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    lease_seconds: Option<f64>,
    tries: Option<u32>,
    back_off_seconds: Option<f64>,
    back_off_limit_seconds: Option<f64>,
    dead_letters: Option<bool>,
    deduplication_seconds: Option<f64>,
    /// Refuses where there is one.
    #[serde(default)]
    if_absent: bool,
}

impl New {
    /// Settings with what is named here in place of what was.
    fn over(&self, spec: QueueSpec) -> Answer<QueueSpec> {
        let QueueSpec { name, lease, tries, back_off, back_off_limit, dead_letters, deduplication, .. } = spec;
        let time = |given: Option<f64>, before| given.map_or(Ok(before), seconds);
        Ok(QueueSpec::new(&name)
            .lease(time(self.lease_seconds, lease)?)
            .tries(self.tries.unwrap_or(tries))
            .back_off(time(self.back_off_seconds, back_off)?, time(self.back_off_limit_seconds, back_off_limit)?)
            .dead_letters(self.dead_letters.unwrap_or(dead_letters))
            .deduplication(time(self.deduplication_seconds, deduplication)?))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Purged {
    /// Only dead ones.
    #[serde(default)]
    dead: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pushed {
    items: Vec<PushedItem>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PushedItem {
    payload: Option<String>,
    base64: Option<String>,
    #[serde(default)]
    priority: u8,
    /// µs since 1970, UTC.
    due: Option<i64>,
    key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Popped {
    #[serde(default = "one")]
    at_most: usize,
    lease_seconds: Option<f64>,
    /// For how long to wait for something to come.
    wait_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leases {
    leases: Vec<String>,
    /// How long to wait, or to have them.
    seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paged {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requeued {
    #[serde(default)]
    items: Vec<u64>,
    /// All there are.
    #[serde(default)]
    all: bool,
}

type Named = Result<Path<String>, PathRejection>;

fn one() -> usize {
    1
}

async fn list(guard: Guard) -> Answer<Json<Value>> {
    let rights = guard.server.access.rights(&guard.caller)?;
    let seen = guard.engine(move |db| {
        let seen = db.queues()?.into_iter().filter(|queue| rights.permit(Action::Read, Target::Queue(&queue.name)));
        seen.map(|queue| Ok(describe::queue(&queue, &db.queue(&queue.name).sizes()?))).collect::<Result<Vec<Value>, Error>>()
    });
    Ok(Json(json!({ "queues": seen.await? })))
}

async fn read(guard: Guard, name: Named) -> Answer<Json<Value>> {
    let Path(name) = name?;
    guard.permit(Action::Read, Target::Queue(&name))?;
    let found = guard.engine(move |db| {
        let found = db.queues()?.into_iter().find(|queue| queue.name == name);
        let found = found.ok_or(Error::NoSuchQueue { name })?;
        Ok(describe::queue(&found, &db.queue(&found.name).sizes()?))
    });
    Ok(Json(found.await?))
}

/// Makes one, or gives it other settings.
async fn make(guard: Guard, name: Named, new: Result<Option<Json<New>>, JsonRejection>) -> Answer<StatusCode> {
    let (Path(name), Json(new)) = (name?, new?.unwrap_or_default());
    guard.permit(Action::Define, Target::Queue(&name))?;
    let (spec, if_absent) = (new.over(QueueSpec::new(&name))?, new.if_absent);
    let is_new = guard.engine(move |db| match db.create_queue(&spec) {
        Err(Error::QueueExists { .. }) if !if_absent => db.alter_queue(&spec).map(|()| false),
        made => made.map(|()| true),
    });
    Ok(if is_new.await? { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
}

/// Gives one other settings; those not named stay as they are.
async fn alter(guard: Guard, name: Named, new: Result<Json<New>, JsonRejection>) -> Answer<StatusCode> {
    let (Path(name), Json(new)) = (name?, new?);
    guard.permit(Action::Define, Target::Queue(&name))?;
    let altered = guard.engine(move |db| {
        let before = db.queues()?.into_iter().find(|queue| queue.name == name).ok_or(Error::NoSuchQueue { name })?;
        Ok(new.over(before).map(|spec| db.alter_queue(&spec)))
    });
    altered.await???;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(guard: Guard, name: Named) -> Answer<StatusCode> {
    let Path(name) = name?;
    guard.permit(Action::Define, Target::Queue(&name))?;
    guard.engine(move |db| db.drop_queue(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn push(guard: Guard, name: Named, pushed: Result<Json<Pushed>, JsonRejection>) -> Answer<(StatusCode, Json<Value>)> {
    let (Path(name), Json(Pushed { items })) = (name?, pushed?);
    guard.permit(Action::Write, Target::Queue(&name))?;
    let items = items.into_iter().map(new_item).collect::<Answer<Vec<_>>>()?;
    let pushed = guard.engine(move |db| db.queue(&name).push_all(items)).await?;
    let pushed: Vec<_> = pushed.iter().map(|pushed| json!({ "id": pushed.id, "duplicate": pushed.duplicate })).collect();
    Ok((StatusCode::CREATED, Json(json!({ "items": pushed }))))
}

async fn pop(guard: Guard, name: Named, popped: Result<Option<Json<Popped>>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), popped) = (name?, popped?.map(|Json(popped)| popped));
    guard.permit(Action::Consume, Target::Queue(&name))?;
    let Popped { at_most, lease_seconds, wait_seconds } =
        popped.unwrap_or(Popped { at_most: 1, lease_seconds: None, wait_seconds: None });
    let how = Pop::at_most(at_most);
    let how = match lease_seconds {
        Some(lease) => how.lease(seconds(lease)?),
        None => how,
    };
    let wait = wait_seconds.map_or(Ok(Duration::ZERO), seconds)?;
    if wait > LONGEST_WAIT {
        let longest = LONGEST_WAIT.as_secs();
        return Err(Problem::invalid(format_args!("wait_seconds is {longest} at most: ask again where nothing came")));
    }
    let wait = if at_most == 0 { Duration::ZERO } else { wait };
    let popped = pop_within(&guard, name, how, wait).await?;
    Ok(Json(json!({ "items": popped.iter().map(describe::leased).collect::<Vec<_>>() })))
}

/// Pops; where there is nothing, when something is pushed or comes due within a time.
async fn pop_within(guard: &Guard, name: String, how: Pop, within: Duration) -> Answer<Vec<Leased>> {
    let until = Instant::now() + within;
    loop {
        let asked = name.clone();
        let (popped, mut watch, quiet) = guard
            .engine(move |db| {
                let mut queue = db.queue(&asked);
                // Before it looks, so that nothing is missed in between.
                let watch = queue.watch()?;
                Ok((queue.pop_many(how)?, watch, queue.quiet_for()?))
            })
            .await?;
        let now = Instant::now();
        if !popped.is_empty() || now >= until {
            return Ok(popped);
        }
        tokio::select! {
            () = guard.server.is_closing() => return Ok(popped),
            () = watch.changed() => {}
            () = sleep_until(quiet.map_or(until, |quiet| until.min(now + quiet))) => {}
        }
        guard.permit(Action::Consume, Target::Queue(&name))?;
    }
}

async fn ack(guard: Guard, name: Named, leases: Result<Json<Leases>, JsonRejection>) -> Answer<StatusCode> {
    let (Path(name), Json(Leases { leases, .. })) = (name?, leases?);
    guard.permit(Action::Consume, Target::Queue(&name))?;
    let leases = parse(&leases)?;
    guard.engine(move |db| db.queue(&name).ack_all(&leases)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn nack(guard: Guard, name: Named, leases: Result<Json<Leases>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(Leases { leases, seconds: after })) = (name?, leases?);
    guard.permit(Action::Consume, Target::Queue(&name))?;
    let leases = parse(&leases)?;
    let retry = after.map(seconds).transpose()?.map_or(Retry::BackOff, Retry::After);
    let nacked = guard.engine(move |db| db.queue(&name).nack_all(&leases, retry)).await?;
    Ok(Json(json!({ "items": nacked.iter().map(describe::nacked).collect::<Vec<_>>() })))
}

async fn extend(guard: Guard, name: Named, leases: Result<Json<Leases>, JsonRejection>) -> Answer<StatusCode> {
    let (Path(name), Json(Leases { leases, seconds: time })) = (name?, leases?);
    guard.permit(Action::Consume, Target::Queue(&name))?;
    let leases = parse(&leases)?;
    let time = seconds(time.ok_or_else(|| Problem::invalid("how long is not said: give seconds"))?)?;
    guard.engine(move |db| db.queue(&name).extend_all(&leases, time)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn peek(guard: Guard, name: Named, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<Value>> {
    let (Path(name), Query(Paged { limit, .. })) = (name?, paged?);
    guard.permit(Action::Read, Target::Queue(&name))?;
    let items = guard.engine(move |db| db.queue(&name).peek(limit.unwrap_or(PAGE).min(PAGE))).await?;
    Ok(Json(json!({ "items": items.iter().map(describe::item).collect::<Vec<_>>() })))
}

async fn dead(guard: Guard, name: Named, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<Value>> {
    let (Path(name), Query(Paged { after, limit })) = (name?, paged?);
    guard.permit(Action::Read, Target::Queue(&name))?;
    let limit = limit.unwrap_or(PAGE).min(PAGE);
    let items = guard.engine(move |db| db.queue(&name).dead(after, limit)).await?;
    let next = items.last().filter(|_| items.len() == limit).map(|last| last.id);
    Ok(Json(json!({ "items": items.iter().map(describe::item).collect::<Vec<_>>(), "next": next })))
}

async fn requeue(guard: Guard, name: Named, asked: Result<Json<Requeued>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(Requeued { items, all })) = (name?, asked?);
    guard.permit(Action::Write, Target::Queue(&name))?;
    let requeued = guard.engine(move |db| {
        let (mut queue, mut requeued) = (db.queue(&name), 0);
        if !all {
            return queue.requeue(&items).map(|()| items.len());
        }
        loop {
            let some = queue.requeue_dead(PAGE)?;
            requeued += some;
            if some < PAGE {
                return Ok(requeued);
            }
        }
    });
    Ok(Json(json!({ "items": requeued.await? })))
}

/// Takes all items away, or all dead ones.
async fn purge(guard: Guard, name: Named, asked: Result<Json<Purged>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(Purged { dead })) = (name?, asked?);
    guard.permit(Action::Delete, Target::Queue(&name))?;
    let purge = move |db: &alluvium::Database| if dead { db.queue(&name).purge_dead() } else { db.queue(&name).purge() };
    Ok(Json(json!({ "items": guard.engine(purge).await? })))
}

fn new_item(PushedItem { payload, base64, priority, due, key }: PushedItem) -> Answer<NewItem> {
    let item = NewItem::new(bytes_of(payload, base64).map_err(Problem::invalid)?).priority(priority);
    let item = due.map_or(item.clone(), |due| item.due(due));
    Ok(key.map_or(item.clone(), |key| item.deduplicate(&key)))
}

fn parse(leases: &[String]) -> Answer<Vec<Lease>> {
    leases.iter().map(|lease| lease.parse().map_err(|error: Error| error.into())).collect()
}

fn seconds(seconds: f64) -> Answer<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| Problem::invalid(format_args!("{seconds} seconds: {error}")))
}
