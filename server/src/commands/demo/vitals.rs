//! What a machine can say about itself: where each reading comes from and which table it goes to.

use std::collections::HashSet;

use alluvium_client::TableSpec;
use alluvium_client::rows::{FieldKind, Value};
use sysinfo::{Component, Components, Cpu, CpuRefreshKind, Disk, DiskRefreshKind, Disks, LoadAvg, NetworkData, Networks, System};

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

    /// The name of its table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Source::Cpu => "cpu",
            Source::Memory => "memory",
            Source::Load => "load",
            Source::Disk => "disk",
            Source::Network => "network",
            Source::Temperature => "temperature",
        }
    }

    /// Its table.
    pub(super) fn table(self) -> TableSpec {
        let spec = TableSpec::new(self.name()).create(true);
        let counters =
            |spec: TableSpec, names: &[&str]| names.iter().fold(spec, |spec, name| spec.field(*name, FieldKind::Uint64));
        match self {
            Source::Cpu => counters(spec.tag("core").decimal("usage_percent", PERCENT_SCALE), &["frequency_mhz"]),
            Source::Memory => counters(spec, &["used_bytes", "available_bytes", "swap_used_bytes"]),
            Source::Load => ["one", "five", "fifteen"].into_iter().fold(spec, |spec, name| spec.decimal(name, LOAD_SCALE)),
            Source::Disk => counters(spec.tag("device"), &["read_bytes", "written_bytes", "available_bytes"]),
            Source::Network => counters(
                spec.tag("interface"),
                &["received_bytes", "transmitted_bytes", "received_packets", "transmitted_packets"],
            ),
            Source::Temperature => spec.tag("sensor").decimal("celsius", CELSIUS_SCALE),
        }
    }
}

/// A row: its tag, where its table has one, and the values of all fields in their order.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) tag: Option<String>,
    pub(super) values: Vec<Value<'static>>,
}

impl Reading {
    fn new(tag: Option<String>, values: impl Into<Vec<Value<'static>>>) -> Self {
        Reading { tag, values: values.into() }
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

    /// The rows of one source, as they were at the last refresh.
    pub(super) fn read(&self, source: Source) -> Vec<Reading> {
        match source {
            Source::Cpu => {
                let cores = self.system.iter().flat_map(|system| system.cpus()).enumerate();
                let reading = |(core, cpu): (usize, &Cpu)| {
                    let usage = decimal(cpu.usage().into(), PERCENT_SCALE);
                    Reading::new(Some(core.to_string()), [usage, Value::Uint64(cpu.frequency())])
                };
                cores.map(reading).collect()
            }
            Source::Memory => {
                let values = |system: &System| [system.used_memory(), system.available_memory(), system.used_swap()];
                self.system.iter().map(|system| Reading::new(None, values(system).map(Value::Uint64))).collect()
            }
            Source::Load => {
                let values = |load: LoadAvg| [load.one, load.five, load.fifteen].map(|load| decimal(load, LOAD_SCALE));
                System::load_average().into_iter().map(|load| Reading::new(None, values(load))).collect()
            }
            Source::Disk => self.read_disks(),
            Source::Network => {
                let values = |network: &NetworkData| {
                    let bytes = [network.total_received(), network.total_transmitted()];
                    [bytes, [network.total_packets_received(), network.total_packets_transmitted()]].concat()
                };
                let networks = self.networks.iter().flat_map(|networks| networks.iter());
                let numbers = |values: Vec<u64>| values.into_iter().map(Value::Uint64).collect::<Vec<_>>();
                networks.map(|(name, of)| Reading::new(Some(name.to_string_lossy().into_owned()), numbers(values(of)))).collect()
            }
            Source::Temperature => {
                let sensors = self.components.iter().flat_map(|components| components.iter());
                let reading = |sensor: &Component| {
                    let celsius = sensor.temperature().filter(|celsius| celsius.is_finite())?;
                    Some(Reading::new(Some(sensor.label().to_owned()), [decimal(celsius.into(), CELSIUS_SCALE)]))
                };
                sensors.filter_map(reading).collect()
            }
        }
    }

    /// A device that is mounted several times counts once.
    fn read_disks(&self) -> Vec<Reading> {
        let mut seen = HashSet::new();
        let disks = self.disks.iter().flat_map(|disks| disks.iter()).filter(|disk| seen.insert(disk.name()));
        let reading = |disk: &Disk| {
            let usage = disk.usage();
            let values = [usage.total_read_bytes, usage.total_written_bytes, disk.available_space()];
            Reading::new(Some(disk.name().to_string_lossy().into_owned()), values.map(Value::Uint64))
        };
        disks.map(reading).collect()
    }
}

fn decimal(value: f64, scale: u8) -> Value<'static> {
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
        let names: HashSet<_> = Source::ALL.map(Source::name).into();
        assert_eq!(names.len(), Source::ALL.len());
    }
}
