//! Queues.

use std::sync::Arc;
use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use alluvium::{Action, Error, Lease, Leased, NewItem, Pop, QueueSpec, Retry, Target};
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::response::NoContent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::answer::{Created, MadeOrChanged};
use super::document::{says, says_without};
use super::page::Limit;
use super::{Answer, Guard, Name, Named, Paged, Problem};
use crate::commands::queue::describe;
use crate::commands::values::bytes_of;
use crate::serve::Server;
use crate::told;

/// How long a pop may wait: less than proxies let a request be silent.
const LONGEST_WAIT: Duration = Duration::from_secs(50);
/// Dead items that are let go at once.
const TOGETHER: usize = 1_000;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let queue = get_with(read, says("queue_read", "A queue with its sizes and settings."))
        .put_with(make, says_without("queue_make", "Makes a queue, or gives it other settings."))
        .patch_with(alter, says("queue_alter", "Gives a queue other settings; those not named stay as they are."))
        .delete_with(remove, says("queue_drop", "Drops a queue with all its items."));
    ApiRouter::new()
        .api_route("/queues", get_with(list, says("queue_list", "Queues that one may read, by name.")))
        .api_route("/queues/{name}", queue)
        .api_route("/queues/{name}/push", post_with(push, says("queue_push", "Pushes items, all or none.")))
        .api_route("/queues/{name}/pop", post_with(pop, says_without("queue_pop", "Pops items, with a lease of each.")))
        .api_route("/queues/{name}/ack", post_with(ack, says("queue_ack", "Takes away what was done, all or none.")))
        .api_route("/queues/{name}/nack", post_with(nack, says("queue_nack", "Gives items back, to be tried again.")))
        .api_route("/queues/{name}/extend", post_with(extend, says("queue_extend", "Lets leases last for so long from now.")))
        .api_route(
            "/queues/{name}/items",
            get_with(peek, says("queue_items", "The items that would be popped next, which stay.")),
        )
        .api_route("/queues/{name}/dead", get_with(dead, says("queue_dead", "Items that were tried too often, by number.")))
        .api_route("/queues/{name}/requeue", post_with(requeue, says("queue_requeue", "Lets dead items be popped again.")))
        .api_route("/queues/{name}/purge", post_with(purge, says("queue_purge", "Takes away all items, or all dead ones.")))
}

/// Settings; those not named are as they are by default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewQueue")]
struct New {
    #[schemars(range(min = 0.0))]
    lease_seconds: Option<f64>,
    /// How often an item is tried.
    tries: Option<u32>,
    /// How long an item waits after its first try; twice as long after every other.
    #[schemars(range(min = 0.0))]
    back_off_seconds: Option<f64>,
    #[schemars(range(min = 0.0))]
    back_off_limit_seconds: Option<f64>,
    /// Whether items that were tried too often are kept.
    dead_letters: Option<bool>,
    /// For how long a deduplication key lasts.
    #[schemars(range(min = 0.0))]
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Purge")]
struct Purged {
    /// Only dead ones.
    #[serde(default)]
    dead: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewItems")]
struct Pushed {
    #[schemars(length(max = 1_000))]
    items: Vec<PushedItem>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewItem")]
struct PushedItem {
    /// The payload as text.
    payload: Option<String>,
    /// The payload in base64.
    base64: Option<String>,
    /// Higher ones are popped first.
    #[serde(default)]
    priority: u8,
    /// Not before this time, in µs since 1970, UTC.
    due: Option<i64>,
    /// Another item of this key is not pushed while it lasts.
    key: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Pop")]
struct Popped {
    #[serde(default = "one")]
    #[schemars(range(max = 1_000))]
    at_most: usize,
    #[schemars(range(min = 0.0))]
    lease_seconds: Option<f64>,
    /// For how long to wait for something to come, 50 seconds at most.
    #[schemars(range(min = 0.0, max = 50.0))]
    wait_seconds: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Leases {
    #[schemars(length(max = 1_000))]
    leases: Vec<String>,
    /// How long to wait, or to have them.
    #[schemars(range(min = 0.0))]
    seconds: Option<f64>,
}

/// How many are looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Looked {
    /// Items at most.
    #[serde(default)]
    limit: Limit,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Requeue")]
struct Requeued {
    /// Numbers of dead items.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    items: Vec<u64>,
    /// All there are.
    #[serde(default)]
    all: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Queues {
    queues: Vec<told::Queue>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PushedItems {
    items: Vec<told::PushedItem>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PoppedItems {
    items: Vec<told::Leased>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct GivenBack {
    items: Vec<told::Nacked>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NextItems {
    items: Vec<told::Item>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DeadItems {
    items: Vec<told::Item>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

fn one() -> usize {
    1
}

async fn list(guard: Guard, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<Queues>> {
    let (Query(paged), rights) = (paged?, guard.server.access.rights(&guard.caller)?);
    let seen = guard.engine(move |db| {
        let mut all = db.queues()?;
        all.retain(|queue| rights.permit(Action::Read, Target::Queue(&queue.name)));
        let (page, next) = paged.by_name(all, |queue| &queue.name);
        let sized = |queue: &QueueSpec| Ok(describe::queue(queue, &db.queue(&queue.name).sizes()?));
        Ok(Queues { queues: page.iter().map(sized).collect::<Result<_, Error>>()?, next })
    });
    Ok(Json(seen.await?))
}

async fn read(guard: Guard, name: Named) -> Answer<Json<told::Queue>> {
    let Path(Name { name }) = name?;
    guard.permit(Action::Read, Target::Queue(&name))?;
    let found = guard.engine(move |db| {
        let found = db.queues()?.into_iter().find(|queue| queue.name == name);
        let found = found.ok_or(Error::NoSuchQueue { name })?;
        Ok(describe::queue(&found, &db.queue(&found.name).sizes()?))
    });
    Ok(Json(found.await?))
}

/// Makes one, or gives it other settings.
async fn make(guard: Guard, name: Named, new: Result<Option<Json<New>>, JsonRejection>) -> Answer<MadeOrChanged> {
    let (Path(Name { name }), Json(new)) = (name?, new?.unwrap_or_default());
    guard.permit(Action::Define, Target::Queue(&name))?;
    let (spec, if_absent) = (new.over(QueueSpec::new(&name))?, new.if_absent);
    let is_new = guard.engine(move |db| match db.create_queue(&spec) {
        Err(Error::QueueExists { .. }) if !if_absent => db.alter_queue(&spec).map(|()| false),
        made => made.map(|()| true),
    });
    Ok(if is_new.await? { MadeOrChanged::Made } else { MadeOrChanged::Changed })
}

/// Gives one other settings; those not named stay as they are.
async fn alter(guard: Guard, name: Named, new: Result<Json<New>, JsonRejection>) -> Answer<NoContent> {
    let (Path(Name { name }), Json(new)) = (name?, new?);
    guard.permit(Action::Define, Target::Queue(&name))?;
    let altered = guard.engine(move |db| {
        let before = db.queues()?.into_iter().find(|queue| queue.name == name).ok_or(Error::NoSuchQueue { name })?;
        Ok(new.over(before).map(|spec| db.alter_queue(&spec)))
    });
    altered.await???;
    Ok(NoContent)
}

async fn remove(guard: Guard, name: Named) -> Answer<NoContent> {
    let Path(Name { name }) = name?;
    guard.permit(Action::Define, Target::Queue(&name))?;
    guard.engine(move |db| db.drop_queue(&name)).await?;
    Ok(NoContent)
}

async fn push(guard: Guard, name: Named, pushed: Result<Json<Pushed>, JsonRejection>) -> Answer<Created<PushedItems>> {
    let (Path(Name { name }), Json(Pushed { items })) = (name?, pushed?);
    guard.permit(Action::Write, Target::Queue(&name))?;
    let items = items.into_iter().map(new_item).collect::<Answer<Vec<_>>>()?;
    let pushed = guard.engine(move |db| db.queue(&name).push_all(items)).await?;
    let items = pushed.iter().map(|pushed| told::PushedItem { id: pushed.id, duplicate: pushed.duplicate }).collect();
    Ok(Created(PushedItems { items }))
}

async fn pop(guard: Guard, name: Named, popped: Result<Option<Json<Popped>>, JsonRejection>) -> Answer<Json<PoppedItems>> {
    let (Path(Name { name }), popped) = (name?, popped?.map(|Json(popped)| popped));
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
    Ok(Json(PoppedItems { items: popped.iter().map(describe::leased).collect() }))
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

async fn ack(guard: Guard, name: Named, leases: Result<Json<Leases>, JsonRejection>) -> Answer<NoContent> {
    let (Path(Name { name }), Json(Leases { leases, .. })) = (name?, leases?);
    guard.permit(Action::Consume, Target::Queue(&name))?;
    let leases = parse(&leases)?;
    guard.engine(move |db| db.queue(&name).ack_all(&leases)).await?;
    Ok(NoContent)
}

async fn nack(guard: Guard, name: Named, leases: Result<Json<Leases>, JsonRejection>) -> Answer<Json<GivenBack>> {
    let (Path(Name { name }), Json(Leases { leases, seconds: after })) = (name?, leases?);
    guard.permit(Action::Consume, Target::Queue(&name))?;
    let leases = parse(&leases)?;
    let retry = after.map(seconds).transpose()?.map_or(Retry::BackOff, Retry::After);
    let nacked = guard.engine(move |db| db.queue(&name).nack_all(&leases, retry)).await?;
    Ok(Json(GivenBack { items: nacked.iter().map(describe::nacked).collect() }))
}

async fn extend(guard: Guard, name: Named, leases: Result<Json<Leases>, JsonRejection>) -> Answer<NoContent> {
    let (Path(Name { name }), Json(Leases { leases, seconds: time })) = (name?, leases?);
    guard.permit(Action::Consume, Target::Queue(&name))?;
    let leases = parse(&leases)?;
    let time = seconds(time.ok_or_else(|| Problem::invalid("how long is not said: give seconds"))?)?;
    guard.engine(move |db| db.queue(&name).extend_all(&leases, time)).await?;
    Ok(NoContent)
}

async fn peek(guard: Guard, name: Named, looked: Result<Query<Looked>, QueryRejection>) -> Answer<Json<NextItems>> {
    let (Path(Name { name }), Query(Looked { limit })) = (name?, looked?);
    guard.permit(Action::Read, Target::Queue(&name))?;
    let items = guard.engine(move |db| db.queue(&name).peek(limit.get())).await?;
    Ok(Json(NextItems { items: items.iter().map(describe::item).collect() }))
}

async fn dead(guard: Guard, name: Named, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<DeadItems>> {
    let (Path(Name { name }), Query(paged)) = (name?, paged?);
    guard.permit(Action::Read, Target::Queue(&name))?;
    let (after, limit) = (paged.after_number()?.unwrap_or(0), paged.limit.get());
    let items = guard.engine(move |db| db.queue(&name).dead(after, limit + 1)).await?;
    let (items, next) = paged.first(items, |item| item.id.to_string());
    Ok(Json(DeadItems { items: items.iter().map(describe::item).collect(), next }))
}

async fn requeue(guard: Guard, name: Named, asked: Result<Json<Requeued>, JsonRejection>) -> Answer<Json<told::Items>> {
    let (Path(Name { name }), Json(Requeued { items, all })) = (name?, asked?);
    guard.permit(Action::Write, Target::Queue(&name))?;
    let requeued = guard.engine(move |db| {
        let (mut queue, mut requeued) = (db.queue(&name), 0);
        if !all {
            return queue.requeue(&items).map(|()| items.len());
        }
        loop {
            let some = queue.requeue_dead(TOGETHER)?;
            requeued += some;
            if some < TOGETHER {
                return Ok(requeued);
            }
        }
    });
    Ok(Json(told::Items { items: requeued.await? }))
}

/// Takes all items away, or all dead ones.
async fn purge(guard: Guard, name: Named, asked: Result<Json<Purged>, JsonRejection>) -> Answer<Json<told::Items>> {
    let (Path(Name { name }), Json(Purged { dead })) = (name?, asked?);
    guard.permit(Action::Delete, Target::Queue(&name))?;
    let purge = move |db: &alluvium::Database| if dead { db.queue(&name).purge_dead() } else { db.queue(&name).purge() };
    Ok(Json(told::Items { items: guard.engine(purge).await? }))
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
