//! The recording: every fifth of a second one durable batch per source, each from a device of its own, over QUIC.

use std::time::{Duration, Instant};

use alluvium::TimeRange;
use alluvium_client::{Client, Error, Table, Writer, WriterSettings};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::closed;
use super::gateway::Gateway;
use super::vitals::{Reading, Source, Vitals};
use crate::failure::{Failure, Outcome};
use crate::output::terminal;

/// About five times a second; a little longer than the shortest span over which sysinfo measures CPU use.
const PERIOD: Duration = Duration::from_millis(205);

/// What was recorded.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) rows: u64,
    pub(super) points: u64,
    /// How long each durable batch took from its sending to its acknowledgement, in rising order.
    pub(super) batches: Vec<Duration>,
    pub(super) range: TimeRange,
    /// Tables with rows.
    pub(super) tables: Vec<String>,
}

/// Something that tells of one source, and is known by its certificate.
struct Device {
    source: Source,
    client: Client,
    writer: Writer,
    table: Table,
}

impl Device {
    async fn connect(gateway: &Gateway, source: Source) -> Outcome<Device> {
        let spec = source.table();
        let (name, grant) = (format!("vitals-{}", source.name()), format!("write,define table:{}", source.name()));
        let client = gateway.client(&name, &grant).await?;
        let writer = client.writer(WriterSettings::memory()).await.map_err(Failure::failed)?;
        let table = writer.table(spec).map_err(Failure::failed)?;
        Ok(Device { source, client, writer, table })
    }

    /// Sends what there is to tell, and waits until it is durable. Answers how long that took.
    async fn tell(&self, time: i64, readings: &[Reading]) -> Result<Duration, Error> {
        let begun = Instant::now();
        let mut rows = self.table.rows();
        for Reading { tag, values } in readings {
            let tags: Vec<_> = tag.iter().map(|tag| Some(tag.as_str())).collect();
            let values: Vec<_> = values.iter().copied().map(Some).collect();
            let wrong = |unfit: alluvium_client::rows::Unfit| Error::NotOfTable {
                table: self.table.name().to_owned(),
                detail: unfit.to_string(),
            };
            rows.row(time, &tags, &values).map_err(wrong)?;
        }
        self.writer.append(&self.table, &rows.finish()).await?.durable().await?;
        Ok(begun.elapsed())
    }

    async fn leave(self) -> Result<(), Error> {
        self.writer.close().await?;
        self.client.close().await;
        Ok(())
    }
}

/// Records for so long.
pub(super) async fn record(gateway: &Gateway, length: Duration) -> Outcome<Recording> {
    let bar = terminal::progress(length.as_millis() as u64, "{bar:40} {msg}");
    let mut vitals = Vitals::new();
    // Use of a CPU is measured between two readings.
    vitals.refresh();
    let sources = Source::ALL.into_iter().filter(|source| vitals.offers(*source));
    let devices = try_join_all(sources.map(|source| Device::connect(gateway, source))).await?;
    let mut recording = Recording { rows: 0, points: 0, batches: Vec::new(), range: TimeRange::new(0, 0), tables: Vec::new() };
    let (mut ticks, begun, first) = (interval(PERIOD), Instant::now(), now());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut last = first;
    while begun.elapsed() < length {
        ticks.tick().await;
        vitals.refresh();
        // A clock that is set back in between must not write over earlier rows.
        last = now().max(last + 1);
        recording.tick(&devices, &vitals, last).await?;
        bar.set_position(begun.elapsed().as_millis() as u64);
        bar.set_message(format!("{} points, every batch on disk", terminal::count(recording.points)));
    }
    bar.finish_and_clear();
    try_join_all(devices.into_iter().map(Device::leave)).await.map_err(Failure::failed)?;
    recording.range = closed(first, last);
    recording.batches.sort_unstable();
    Ok(recording)
}

impl Recording {
    /// All devices tell at once, as they do: what comes together shares its way to the disk.
    async fn tick(&mut self, devices: &[Device], vitals: &Vitals, time: i64) -> Outcome {
        let told = devices.iter().map(|device| (device, vitals.read(device.source)));
        let told: Vec<_> = told.filter(|(_, readings)| !readings.is_empty()).collect();
        let sent = told.iter().map(|(device, readings)| device.tell(time, readings));
        self.batches.extend(try_join_all(sent).await.map_err(Failure::failed)?);
        for (device, readings) in &told {
            self.rows += readings.len() as u64;
            self.points += readings.iter().map(|reading| reading.values.len() as u64).sum::<u64>();
            if !self.tables.iter().any(|table| table == device.table.name()) {
                self.tables.push(device.table.name().to_owned());
            }
        }
        Ok(())
    }
}

/// Microseconds since 1970.
fn now() -> i64 {
    Timestamp::now().as_microsecond()
}
