//! A device that tests kill: it appends batches of rows, and says which were taken and which are durable on the server.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_client::{Client, Error, WriterSettings};
use alluvium_tests::device::Orders;
use alluvium_tests::site::{append, settings, table};
use clap::Parser;

/// Writes until its input ends; then all that it has is sent.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to do, as JSON.
    orders: String,
}

static IS_OVER: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let orders = Orders::read(&Arguments::parse().orders);
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        IS_OVER.store(true, Ordering::SeqCst);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(write(orders)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn write(orders: Orders) -> Result<(), Error> {
    let client = Client::connect(settings(&orders.directory, &orders.authority, &orders.name, orders.at)).await?;
    let mut keep = match &orders.queue {
        Some(path) => WriterSettings::disk(PathBuf::from(path)),
        None => WriterSettings::memory(),
    };
    keep.bytes = orders.room;
    let writer = client.writer(keep).await?;
    let (table, mut next) = (table(&writer), orders.from);
    while !IS_OVER.load(Ordering::SeqCst) {
        let end = next + orders.rows;
        let mut receipt = append(&writer, &table, &orders.name, next..end).await?;
        println!("taken {end}");
        tokio::spawn(async move {
            if receipt.durable().await.is_ok() {
                println!("durable {end}");
            }
        });
        next = end;
        tokio::time::sleep(Duration::from_millis(orders.pause_millis)).await;
    }
    writer.flush().await?;
    writer.close().await?;
    client.close().await;
    Ok(())
}
