//! Clients of the server, as many as are asked for in one thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use alluvium_protocol::message::{Applied, DescribeTable, Field, OpenWriter, Opened};
use alluvium_protocol::rows::{Layout, Value, Writer};
use alluvium_tests::wire::{Talk, Wire};
use anyhow::{Result, anyhow};

use crate::fleet::{DEVICES, FIELDS, START, field_name};
use crate::stores::TABLE;

/// Bytes of a batch that are under way on a stream for single rows.
const SINGLE_WINDOW: u64 = 64;

/// Rows a second that are acknowledged to writers which each send batches of 200 rows of as many devices.
pub(super) fn batches(at: SocketAddr, connections: usize, seconds: u64) -> Result<f64> {
    rate(at, connections, seconds, DEVICES as u32, 8)
}

/// The same with a row a batch.
pub(super) fn single_rows(at: SocketAddr, connections: usize, seconds: u64) -> Result<f64> {
    rate(at, connections, seconds, 1, SINGLE_WINDOW)
}

fn rate(at: SocketAddr, connections: usize, seconds: u64, rows: u32, window: u64) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut writers = Vec::new();
        for number in 0..connections {
            writers.push(Sending::begin(at, number as u32, rows).await?);
        }
        let (began, until) = (Instant::now(), Instant::now() + Duration::from_secs(seconds));
        let tasks: Vec<_> = writers.into_iter().map(|writer| tokio::spawn(writer.run(until, window))).collect();
        let mut acknowledged = 0;
        for task in tasks {
            acknowledged += task.await??;
        }
        Ok((acknowledged * u64::from(rows)) as f64 / began.elapsed().as_secs_f64())
    })
}

/// A writer stream, and what it is to send.
struct Sending {
    talk: Talk,
    /// Kept open with the greeting.
    _connection: (Wire, Talk),
    layout: Layout,
    connection: u32,
    rows: u32,
    devices: Vec<String>,
}

impl Sending {
    async fn begin(at: SocketAddr, connection: u32, rows: u32) -> Result<Sending> {
        let (wire, greeting, _) = Wire::connect(at, None).await?;
        let mut writer = [0; 16];
        writer[..4].copy_from_slice(&connection.to_le_bytes());
        let mut talk = wire.begin(&OpenWriter { writer, acknowledged: None }).await;
        talk.hear_a::<Opened>().await;
        let fields = (0..FIELDS).map(|field| Field { name: field_name(field), kind: 0, scale: 0 }).collect();
        let (table, tags) = (TABLE.to_owned(), vec!["device".to_owned()]);
        let table = DescribeTable { slot: 0, table, tags, fields, time_unit: 0, create: true };
        talk.say(&table).await;
        let layout = Layout::of(&table).ok_or_else(|| anyhow!("no layout"))?;
        let devices = (0..rows).map(|row| format!("device-{:04}", connection * rows + row)).collect();
        Ok(Sending { talk, _connection: (wire, greeting), layout, connection, rows, devices })
    }

    /// Sends until then; answers how many batches were acknowledged.
    async fn run(mut self, until: Instant, window: u64) -> Result<u64> {
        let (mut sent, mut acknowledged) = (0, 0);
        loop {
            let is_over = Instant::now() >= until;
            if is_over && acknowledged == sent {
                return Ok(acknowledged);
            }
            if !is_over && sent < acknowledged + window {
                sent += 1;
                let frame = self.batch(sent)?;
                self.talk.say_frame(&frame).await;
            } else {
                acknowledged = self.talk.hear_a::<Applied>().await.through;
            }
        }
    }

    fn batch(&self, number: u64) -> Result<alluvium_protocol::frame::Frame> {
        let mut rows = Writer::new(&self.layout, number, 0);
        let time = START + number as i64 * 1_000_000;
        for (row, device) in self.devices.iter().enumerate() {
            let seed = number.wrapping_mul(31) + row as u64 * 7 + u64::from(self.connection);
            let value = |field: u64| Some(Value::Float64(((seed * (field + 3)) % 10_000) as f64 / 100.0));
            let values: [_; FIELDS] = std::array::from_fn(|field| value(field as u64));
            rows.row(time + row as i64 % 7, &[Some(device)], &values)?;
        }
        debug_assert_eq!(self.devices.len(), self.rows as usize);
        Ok(rows.finish())
    }
}
