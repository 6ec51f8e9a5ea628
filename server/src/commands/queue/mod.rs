//! `alluvium queue`: queues.

mod define;
pub(crate) mod describe;
mod new_item;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use alluvium::{Database, Item, Lease, NewItem, Pop, Pushed, Queue, Retry};
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::values::{say, seconds, standard_input, time, told_seconds};
use super::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::Table;
use crate::remote::{self, Remote, Request};
use crate::told;
use new_item::Wanted;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a queue
    Create(define::CreateArguments),
    /// Changes settings of a queue
    Alter(define::CreateArguments),
    /// Drops a queue with all its items
    Drop {
        /// The queue
        queue: String,
    },
    /// Lists queues with their settings and sizes
    List,
    /// Pushes an item, or many from standard input
    Push(new_item::PushArguments),
    /// Pops the next items. Who pops them acknowledges them, or gives them back
    Pop(PopArguments),
    /// Acknowledges items: they are done, and gone
    Ack(LeaseArguments),
    /// Gives items back, to be tried again later
    Nack {
        #[command(flatten)]
        leases: LeaseArguments,
        /// After how long, whatever the queue says
        #[arg(long, value_name = "DURATION", value_parser = time)]
        after: Option<Duration>,
    },
    /// Lets leases last for so long from now
    Extend {
        #[command(flatten)]
        leases: LeaseArguments,
        /// How long
        #[arg(long, value_name = "DURATION", value_parser = time)]
        by: Duration,
    },
    /// Shows the items that would be popped next
    Peek {
        /// The queue
        queue: String,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Shows items that were tried too often
    Dead {
        /// The queue
        queue: String,
        /// Only those with higher numbers
        #[arg(long, value_name = "ITEM", default_value_t = 0)]
        after: u64,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Lets dead items be popped again
    Requeue {
        /// The queue
        queue: String,
        /// Their numbers
        #[arg(value_name = "ITEM", required_unless_present = "all", conflicts_with = "all")]
        items: Vec<u64>,
        /// All there are
        #[arg(long)]
        all: bool,
    },
    /// Takes all items away, leased ones included
    Purge {
        /// The queue
        queue: String,
        /// Only dead ones
        #[arg(long)]
        dead: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PopArguments {
    /// The queue
    queue: String,
    /// At most so many
    #[arg(long, default_value_t = 1)]
    limit: usize,
    /// For how long, whatever the queue says. Time during which the machine is off does not count
    #[arg(long, value_name = "DURATION", value_parser = time)]
    lease: Option<Duration>,
    /// How long to wait if there is nothing. Nobody else can push meanwhile: what comes due is waited for
    #[arg(long, value_name = "DURATION", value_parser = time, default_value = "0s")]
    wait: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct LeaseArguments {
    /// The queue
    queue: String,
    /// Leases, as `queue pop` prints them
    #[arg(value_name = "LEASE", required = true)]
    leases: Vec<String>,
}

impl LeaseArguments {
    fn leases(&self) -> Outcome<Vec<Lease>> {
        self.leases.iter().map(|text| text.parse().map_err(Failure::of_request)).collect()
    }
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Create(arguments) => define::create(context, &arguments),
        Command::Alter(arguments) => define::alter(context, &arguments),
        Command::Drop { queue } => define::drop(context, &queue),
        Command::List => define::list(context),
        Command::Push(arguments) => push(context, arguments),
        Command::Pop(arguments) => pop(context, &arguments),
        Command::Ack(arguments) => {
            let leases = arguments.leases()?;
            let asked = remote::post(&["queues", &arguments.queue, "ack"]).body(json!({ "leases": arguments.leases }));
            context.place()?.order(|database| database.queue(&arguments.queue).ack_all(&leases), &asked)?;
            tell(context, &leases, |_| ("acknowledged", "is done".to_owned()))
        }
        Command::Nack { leases: arguments, after } => {
            let (leases, retry) = (arguments.leases()?, after.map_or(Retry::BackOff, Retry::After));
            let body = json!({ "leases": arguments.leases, "seconds": after.map(|time| time.as_secs_f64()) });
            let asked = remote::post(&["queues", &arguments.queue, "nack"]).body(body);
            let here = |queue: &mut Queue<&Database>| {
                queue.nack_all(&leases, retry).map(|fates| fates.iter().map(describe::nacked).collect())
            };
            let fates: Vec<told::Nacked> = items(context, &arguments.queue, here, |remote, name| remote.list(name, &asked))?;
            tell(context, &leases, |number| fate(fates.get(number)))
        }
        Command::Extend { leases: arguments, by } => {
            let leases = arguments.leases()?;
            let body = json!({ "leases": arguments.leases, "seconds": by.as_secs_f64() });
            let asked = remote::post(&["queues", &arguments.queue, "extend"]).body(body);
            context.place()?.order(|database| database.queue(&arguments.queue).extend_all(&leases, by), &asked)?;
            tell(context, &leases, |_| ("extended", format!("is leased for {}", seconds(by))))
        }
        Command::Peek { queue, limit } => {
            let asked = remote::get(&["queues", &queue, "items"]).with("limit", limit);
            let here = |queue: &mut Queue<&Database>| Ok(described(&queue.peek(limit)?));
            list(context, items(context, &queue, here, |remote, name| remote.list(name, &asked))?)
        }
        Command::Dead { queue, after, limit } => {
            let page = |limit, next: Option<&str>| {
                let asked = remote::get(&["queues", &queue, "dead"]).with("limit", limit);
                next.map_or_else(|| asked.clone().with("after", after), |next| asked.clone().with("after", next))
            };
            let here = |queue: &mut Queue<&Database>| Ok(described(&queue.dead(after, limit)?));
            list(context, items(context, &queue, here, |remote, name| remote.pages(name, limit, page))?)
        }
        Command::Requeue { queue, items, all } => requeue(context, &queue, &items, all),
        Command::Purge { queue, dead } => {
            let purge = |queue: &mut Queue<&Database>| if dead { queue.purge_dead() } else { queue.purge() };
            let asked = remote::post(&["queues", &queue, "purge"]).body(json!({ "dead": dead }));
            count(context, "purged", counted(context, &queue, purge, &asked)?)
        }
    }
}

fn push(context: &Context, arguments: new_item::PushArguments) -> Outcome {
    let name = arguments.queue.clone();
    let items = arguments.items()?;
    let pushed: Vec<told::PushedItem> = match context.place()? {
        Place::Here(database) => {
            let items = items.into_iter().map(Wanted::item).collect();
            let pushed = push_all(&mut database.queue(&name), items).map_err(Failure::of_request)?;
            database.close()?;
            pushed.into_iter().map(|Pushed { id, duplicate }| told::PushedItem { id, duplicate }).collect()
        }
        Place::There(remote) => push_there(&remote, &name, &items)?,
    };
    for item in &pushed {
        match context.json {
            true => context.print_json(item)?,
            false if item.duplicate => say(&format!("{} was pushed before", item.id))?,
            false => say(&format!("pushed {}", item.id))?,
        }
    }
    Ok(())
}

/// As many at a time as a server takes.
fn push_there(remote: &Remote, name: &str, items: &[Wanted]) -> Outcome<Vec<told::PushedItem>> {
    const AT_A_TIME: usize = 100;
    let mut pushed = Vec::with_capacity(items.len());
    for some in items.chunks(AT_A_TIME) {
        let some: Vec<Json> = some.iter().map(Wanted::describe).collect();
        let asked = remote::post(&["queues", name, "push"]).body(json!({ "items": some }));
        pushed.extend(remote.list::<told::PushedItem>("items", &asked)?);
    }
    Ok(pushed)
}

/// As many at a time as may be.
fn push_all(queue: &mut Queue<&Database>, items: Vec<NewItem>) -> alluvium::Result<Vec<Pushed>> {
    const AT_A_TIME: usize = 1_000;
    const BYTES_AT_A_TIME: usize = 8 << 20;
    let mut pushed = Vec::with_capacity(items.len());
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for item in items {
        bytes += item.payload().len();
        if batch.len() == AT_A_TIME || bytes > BYTES_AT_A_TIME {
            bytes = item.payload().len();
            pushed.extend(queue.push_all(std::mem::take(&mut batch))?);
        }
        batch.push(item);
    }
    pushed.extend(queue.push_all(batch)?);
    Ok(pushed)
}

fn pop(context: &Context, arguments: &PopArguments) -> Outcome {
    let how = Pop::at_most(arguments.limit);
    let how = arguments.lease.map_or(how, |time| how.lease(time));
    let popped = match context.place()? {
        Place::Here(database) => {
            let popped = database.queue(&arguments.queue).pop_wait(how, arguments.wait).map_err(Failure::of_request)?;
            database.close()?;
            popped.iter().map(describe::leased).collect()
        }
        Place::There(remote) => pop_there(&remote, arguments)?,
    };
    if context.json {
        return popped.iter().try_for_each(|leased| context.print_json(leased));
    }
    let mut table = Table::new(describe::LEASED);
    for leased in &popped {
        let told::Leased { lease, lasts_seconds, item } = leased;
        let (tries, priority) = (item.tries.to_string(), item.priority.to_string());
        table.push([lease.clone(), told_seconds(Some(*lasts_seconds)), tries, priority, describe::payload(item)]);
    }
    print(&table)
}

/// Waits as long as it is to, and asks as often as that takes: a server lets nobody wait for long at once.
fn pop_there(remote: &Remote, arguments: &PopArguments) -> Outcome<Vec<told::Leased>> {
    const AT_ONCE: Duration = Duration::from_secs(50);
    let until = Instant::now() + arguments.wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let body = json!({
            "at_most": arguments.limit,
            "lease_seconds": arguments.lease.map(|time| time.as_secs_f64()),
            "wait_seconds": left.min(AT_ONCE).as_secs_f64(),
        });
        let popped: Vec<told::Leased> = remote.list("items", &remote::post(&["queues", &arguments.queue, "pop"]).body(body))?;
        if !popped.is_empty() || left <= AT_ONCE {
            return Ok(popped);
        }
    }
}

fn described(items: &[Item]) -> Vec<told::Item> {
    items.iter().map(describe::item).collect()
}

fn list(context: &Context, items: Vec<told::Item>) -> Outcome {
    if context.json {
        return items.iter().try_for_each(|item| context.print_json(item));
    }
    let mut table = Table::new(describe::ITEM);
    for item in &items {
        table.push([item.id.to_string(), item.priority.to_string(), item.tries.to_string(), describe::payload(item)]);
    }
    print(&table)
}

fn requeue(context: &Context, name: &str, items: &[u64], all: bool) -> Outcome {
    const AT_A_TIME: usize = 1_000;
    let asked = remote::post(&["queues", name, "requeue"]).body(json!({ "items": items, "all": all }));
    let here = |queue: &mut Queue<&Database>| {
        if !all {
            return queue.requeue(items).map(|()| items.len());
        }
        let mut requeued = 0;
        loop {
            let some = queue.requeue_dead(AT_A_TIME)?;
            requeued += some;
            if some < AT_A_TIME {
                return Ok(requeued);
            }
        }
    };
    count(context, "requeued", counted(context, name, here, &asked)?)
}

/// What became of each item whose lease was named.
fn tell(context: &Context, leases: &[Lease], what: impl Fn(usize) -> (&'static str, String)) -> Outcome {
    for (number, lease) in leases.iter().enumerate() {
        let (code, words) = what(number);
        match context.json {
            true => context.print_json(&json!({ "id": lease.item(), "became": code }))?,
            false => say(&format!("{} {words}", lease.item()))?,
        }
    }
    Ok(())
}

fn fate(nacked: Option<&told::Nacked>) -> (&'static str, String) {
    match nacked.map(|nacked| (&*nacked.outcome, nacked.seconds)) {
        Some(("dead", _)) => ("dead", "was tried too often: it is dead".to_owned()),
        Some(("gone", _)) => ("gone", "was tried too often: it is gone".to_owned()),
        Some((_, time @ Some(_))) => ("waits", format!("may be popped again in {}", told_seconds(time))),
        _ => ("waits", "may be popped again".to_owned()),
    }
}

fn count(context: &Context, what: &str, items: usize) -> Outcome {
    if context.json { context.print_json(&json!({ what: items })) } else { say(&format!("{what} {items} items")) }
}

fn print(table: &Table) -> Outcome {
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

/// Items of a queue, or what became of them, as they are described.
fn items<T: DeserializeOwned>(
    context: &Context,
    name: &str,
    here: impl FnOnce(&mut Queue<&Database>) -> alluvium::Result<Vec<T>>,
    there: impl FnOnce(&Remote, &str) -> Outcome<Vec<T>>,
) -> Outcome<Vec<T>> {
    match context.place()? {
        Place::Here(database) => {
            let items = here(&mut database.queue(name)).map_err(Failure::of_request)?;
            database.close()?;
            Ok(items)
        }
        Place::There(remote) => there(&remote, "items"),
    }
}

/// Does something to a queue, and answers to how many items.
fn counted(
    context: &Context,
    name: &str,
    here: impl FnOnce(&mut Queue<&Database>) -> alluvium::Result<usize>,
    there: &Request,
) -> Outcome<usize> {
    match context.place()? {
        Place::Here(database) => {
            let count = here(&mut database.queue(name)).map_err(Failure::of_request)?;
            database.close()?;
            Ok(count)
        }
        Place::There(remote) => Ok(remote.ask::<told::Items>(there)?.items),
    }
}
