//! What a machine can say about itself: where each reading comes from and which table it goes to.

use std::collections::HashSet;

use alluvium::{FieldType, Result, RowBuilder, TableSpec, Value};
use sysinfo::{Components, CpuRefreshKind, DiskRefreshKind, Disks, Networks, System};

/// A group of readings: one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Cpu,
    Memory,
    Load,
    Disk,
    Network,
    Temperature,
}

/// One decimal is all that CPU time counted in ticks can carry.
const PERCENT_SCALE: u8 = 1;
const LOAD_SCALE: u8 = 2;
const CELSIUS_SCALE: u8 = 1;

impl Source {
    pub(super) const ALL: [Source; 6] =
        [Source::Cpu, Source::Memory, Source::Load, Source::Disk, Source::Network, Source::Temperature];

    /// Its table.
    pub(super) fn table(self) -> TableSpec {
        let counters =
            |spec: TableSpec, names: &[&str]| names.iter().fold(spec, |spec, name| spec.field(*name, FieldType::UInt64));
        match self {
            Source::Cpu => {
                let spec = TableSpec::new("cpu").tag("core").field("usage_percent", FieldType::Decimal { scale: PERCENT_SCALE });
                counters(spec, &["frequency_mhz"])
            }
            Source::Memory => counters(TableSpec::new("memory"), &["used_bytes", "available_bytes", "swap_used_bytes"]),
            Source::Load => ["one", "five", "fifteen"]
                .into_iter()
                .fold(TableSpec::new("load"), |spec, name| spec.field(name, FieldType::Decimal { scale: LOAD_SCALE })),
            Source::Disk => counters(TableSpec::new("disk").tag("device"), &["read_bytes", "written_bytes", "available_bytes"]),
            Source::Network => counters(
                TableSpec::new("network").tag("interface"),
                &["received_bytes", "transmitted_bytes", "received_packets", "transmitted_packets"],
            ),
            Source::Temperature => {
                TableSpec::new("temperature").tag("sensor").field("celsius", FieldType::Decimal { scale: CELSIUS_SCALE })
            }
        }
    }
}

/// The sensors of this machine, as far as it lets us read them.
pub(super) struct Vitals {
    system: Option<System>,
    disks: Option<Disks>,
    networks: Option<Networks>,
    components: Option<Components>,
}

impl Vitals {
    pub(super) fn new() -> Self {
        Vitals {
            system: System::new().ok(),
            disks: Disks::new().ok(),
            networks: Networks::new().ok(),
            components: Components::new().ok(),
        }
    }

    /// Reads every sensor.
    pub(super) fn refresh(&mut self) {
        if let Some(system) = &mut self.system {
            system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage().with_frequency());
            system.refresh_memory();
        }
        if let Some(disks) = &mut self.disks {
            disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage().with_io_usage());
        }
        if let Some(networks) = &mut self.networks {
            networks.refresh(true);
        }
        if let Some(components) = &mut self.components {
            components.refresh(true);
        }
    }

    /// Whether a source has anything to say on this machine. Many have no thermometer that we may read.
    pub(super) fn offers(&self, source: Source) -> bool {
        match source {
            Source::Cpu | Source::Memory => self.system.is_some(),
            Source::Load => System::load_average().is_ok(),
            Source::Disk => self.disks.as_ref().is_some_and(|disks| !disks.is_empty()),
            Source::Network => self.networks.as_ref().is_some_and(|networks| !networks.is_empty()),
            Source::Temperature => {
                self.components.iter().flat_map(|components| components.iter()).any(|component| component.temperature().is_some())
            }
        }
    }

    /// Adds the rows of one source, as they were at the last refresh.
    pub(super) fn read(&self, source: Source, time: i64, rows: &mut RowBuilder) -> Result<()> {
        match source {
            Source::Cpu => {
                for (core, cpu) in self.system.iter().flat_map(|system| system.cpus()).enumerate() {
                    rows.row(time)
                        .tag("core", &core.to_string())?
                        .value("usage_percent", decimal(cpu.usage().into(), PERCENT_SCALE))?
                        .value("frequency_mhz", cpu.frequency())?;
                }
            }
            Source::Memory => {
                if let Some(system) = &self.system {
                    rows.row(time)
                        .value("used_bytes", system.used_memory())?
                        .value("available_bytes", system.available_memory())?
                        .value("swap_used_bytes", system.used_swap())?;
                }
            }
            Source::Load => {
                if let Ok(load) = System::load_average() {
                    rows.row(time)
                        .value("one", decimal(load.one, LOAD_SCALE))?
                        .value("five", decimal(load.five, LOAD_SCALE))?
                        .value("fifteen", decimal(load.fifteen, LOAD_SCALE))?;
                }
            }
            Source::Disk => self.read_disks(time, rows)?,
            Source::Network => {
                for (interface, network) in self.networks.iter().flat_map(|networks| networks.iter()) {
                    rows.row(time)
                        .tag("interface", &interface.to_string_lossy())?
                        .value("received_bytes", network.total_received())?
                        .value("transmitted_bytes", network.total_transmitted())?
                        .value("received_packets", network.total_packets_received())?
                        .value("transmitted_packets", network.total_packets_transmitted())?;
                }
            }
            Source::Temperature => {
                for component in self.components.iter().flat_map(|components| components.iter()) {
                    if let Some(celsius) = component.temperature().filter(|celsius| celsius.is_finite()) {
                        rows.row(time)
                            .tag("sensor", component.label())?
                            .value("celsius", decimal(celsius.into(), CELSIUS_SCALE))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A device that is mounted several times counts once.
    fn read_disks(&self, time: i64, rows: &mut RowBuilder) -> Result<()> {
        let mut seen = HashSet::new();
        for disk in self.disks.iter().flat_map(|disks| disks.iter()) {
            if !seen.insert(disk.name()) {
                continue;
            }
            let usage = disk.usage();
            rows.row(time)
                .tag("device", &disk.name().to_string_lossy())?
                .value("read_bytes", usage.total_read_bytes)?
                .value("written_bytes", usage.total_written_bytes)?
                .value("available_bytes", disk.available_space())?;
        }
        Ok(())
    }
}

fn decimal(value: f64, scale: u8) -> Value {
    Value::Decimal((value * 10f64.powi(scale.into())).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded() {
        assert_eq!(decimal(12.34, 1), Value::Decimal(123));
        assert_eq!(decimal(0.055, 2), Value::Decimal(6));
        assert_eq!(decimal(-3.0, 1), Value::Decimal(-30));
    }

    #[test]
    fn every_source_has_a_table_of_its_own() {
        let names: HashSet<_> = Source::ALL.map(|source| source.table().name).into();
        assert_eq!(names.len(), Source::ALL.len());
        assert!(Source::ALL.iter().all(|source| !source.table().fields.is_empty()));
    }
}
