//! `alluvium queue`: queues.

mod define;
pub(crate) mod describe;
mod new_item;

use std::io::{self, Write};
use std::time::Duration;

use alluvium::{Database, Item, Lease, Leased, Nacked, NewItem, Pop, Pushed, Queue, Retry};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use super::values::{say, seconds, standard_input, time};
use crate::failure::{Failure, Outcome};
use crate::output::table::Table;

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
            with_queue(context, &arguments.queue, |queue| queue.ack_all(&leases))?;
            tell(context, &leases, |_| ("acknowledged", "is done".to_owned()))
        }
        Command::Nack { leases: arguments, after } => {
            let (leases, retry) = (arguments.leases()?, after.map_or(Retry::BackOff, Retry::After));
            let fates = with_queue(context, &arguments.queue, |queue| queue.nack_all(&leases, retry))?;
            tell(context, &leases, |number| fate(fates.get(number)))
        }
        Command::Extend { leases: arguments, by } => {
            let leases = arguments.leases()?;
            with_queue(context, &arguments.queue, |queue| queue.extend_all(&leases, by))?;
            tell(context, &leases, |_| ("extended", format!("is leased for {}", seconds(by))))
        }
        Command::Peek { queue, limit } => list(context, with_queue(context, &queue, |queue| queue.peek(limit))?),
        Command::Dead { queue, after, limit } => list(context, with_queue(context, &queue, |queue| queue.dead(after, limit))?),
        Command::Requeue { queue, items, all } => requeue(context, &queue, &items, all),
        Command::Purge { queue, dead } => {
            let purge = |queue: &mut Queue<&Database>| if dead { queue.purge_dead() } else { queue.purge() };
            count(context, "purged", with_queue(context, &queue, purge)?)
        }
    }
}

fn push(context: &Context, arguments: new_item::PushArguments) -> Outcome {
    let name = arguments.queue.clone();
    let items = arguments.items()?;
    let pushed = with_queue(context, &name, |queue| push_all(queue, items))?;
    for Pushed { id, duplicate } in pushed {
        match (context.json, duplicate) {
            (true, _) => context.print_json(&json!({ "id": id, "duplicate": duplicate }))?,
            (false, false) => say(&format!("pushed {id}"))?,
            (false, true) => say(&format!("{id} was pushed before"))?,
        }
    }
    Ok(())
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
    let popped = with_queue(context, &arguments.queue, |queue| queue.pop_wait(how, arguments.wait))?;
    if context.json {
        return popped.iter().try_for_each(|leased| context.print_json(&describe::leased(leased)));
    }
    let mut table = Table::new(describe::LEASED);
    popped.iter().for_each(|Leased { lease, lasts, item }| {
        table.push([
            lease.to_string(),
            seconds(*lasts),
            item.tries.to_string(),
            item.priority.to_string(),
            describe::payload(item),
        ]);
    });
    print(&table)
}

fn list(context: &Context, items: Vec<Item>) -> Outcome {
    if context.json {
        return items.iter().try_for_each(|item| context.print_json(&describe::item(item)));
    }
    let mut table = Table::new(describe::ITEM);
    for item in &items {
        table.push([item.id.to_string(), item.priority.to_string(), item.tries.to_string(), describe::payload(item)]);
    }
    print(&table)
}

fn requeue(context: &Context, name: &str, items: &[u64], all: bool) -> Outcome {
    const AT_A_TIME: usize = 1_000;
    let requeued = with_queue(context, name, |queue| {
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
    })?;
    count(context, "requeued", requeued)
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

fn fate(nacked: Option<&Nacked>) -> (&'static str, String) {
    match nacked {
        Some(Nacked::Dead) => ("dead", "was tried too often: it is dead".to_owned()),
        Some(Nacked::Gone) => ("gone", "was tried too often: it is gone".to_owned()),
        Some(Nacked::Waits(time)) => ("waits", format!("may be popped again in {}", seconds(*time))),
        None => ("waits", "may be popped again".to_owned()),
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

/// Opens the database, does something to one of its queues, and closes it.
fn with_queue<T>(context: &Context, name: &str, work: impl FnOnce(&mut Queue<&Database>) -> alluvium::Result<T>) -> Outcome<T> {
    let database = context.open_quiet()?;
    let answer = work(&mut database.queue(name)).map_err(Failure::of_request)?;
    database.close()?;
    Ok(answer)
}
