//! The centre in memory, for tests, answers as the one in PostgreSQL does, whatever both are asked.

use std::fmt::Debug;

use alluvium_sync::postgres::{Error, Head, Ledger, Line, Segment};
use alluvium_sync::remote::{Gap, Hash, Incarnation, Link, Manifest, Period, PeriodKind, Table, TimeUnit};
use alluvium_sync::worker::MemoryCentre;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::support::{Centre, Device, cases, seed, segment_of, unit};

/// Calls in a life.
const CALLS: usize = 120;
const TABLES: [u32; 2] = [3, 4];

/// Two centres, and what they are told.
struct Both {
    name: String,
    ledger: Ledger,
    memory: MemoryCentre,
    random: Rng,
    devices: Vec<Device>,
    manifests: Vec<Vec<u8>>,
}

/// An answer as it is compared: of what is wrong the kind, and of the head all but what PostgreSQL rounds.
fn told<T: Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(Error::Conflict { head }) => format!("conflict, {:?}", head.map(|head| rounded(*head))),
        Err(Error::Behind { head }) => format!("behind, {:?}", head.map(|head| rounded(*head))),
        Err(Error::UnknownPrevious { head }) => format!("unknown, {:?}", head.map(|head| rounded(*head))),
        Err(Error::Invalid(_)) => "invalid".to_owned(),
        Err(other) => panic!("{other}"),
    }
}

fn rounded(head: Head) -> Head {
    Head { sealed_at: jiff::Timestamp::UNIX_EPOCH, ..head }
}

fn period(random: &mut Rng) -> Period {
    let day = 1_764_374_400;
    match random.u8(..3) {
        0 => Period { kind: PeriodKind::Day, start: day },
        1 => Period { kind: PeriodKind::Hour, start: day + 3_600 },
        _ => Period { kind: PeriodKind::Month, start: 1_761_955_200 },
    }
}

impl Both {
    fn incarnation(&mut self) -> Incarnation {
        Incarnation(self.random.u128(..).to_be_bytes())
    }

    fn device(&mut self) -> usize {
        self.random.usize(..self.devices.len())
    }

    /// The next manifest of a device: with units, losses, dropped tables and metadata, or without.
    fn next(&mut self, of: usize) -> Manifest {
        let after = if self.random.bool() { 0 } else { self.devices[of].through };
        let device = &self.devices[of];
        let mut next = if self.random.bool() { device.with_metadata(after) } else { device.next() };
        let random = &mut self.random;
        let table = |table| Table { table, name: format!("table {table}"), unit: TimeUnit::Micro, dropped: false };
        next.tables = TABLES.map(table).to_vec();
        let at = next.after + random.u64(1..10);
        next.units = vec![unit(3, next.after + 1, at), unit(4, next.after.max(1), next.through)];
        if random.u8(..4) == 0 {
            next.tables[random.usize(..2)].dropped = true;
        }
        if random.u8(..3) == 0 {
            next.gaps.push(Gap {
                at: next.sealed_at,
                kind: "log_damage".to_owned(),
                sequences: random.bool().then(|| (random.u64(1..=at), at + 20)),
                table: random.bool().then_some(3),
                times: random.bool().then(|| (random.i64(..3), random.i64(8..11))),
                detail: String::new(),
            });
        }
        next
    }

    async fn advance(&mut self) {
        let of = self.device();
        let bytes = match self.random.u8(..8) {
            0 if !self.manifests.is_empty() => self.random.choice(&self.manifests).unwrap().clone(),
            1 => {
                let mut stranger = Device { name: "somebody".to_owned(), ..self.devices[of].clone() };
                stranger.step()
            }
            2 => b"{}".to_vec(),
            3 => {
                // The same cut as another one.
                let manifest = self.next(of);
                manifest.encode().unwrap()
            }
            _ => {
                let manifest = self.next(of);
                self.devices[of].cut(&manifest)
            }
        };
        let told_both = (told(self.ledger.advance(&bytes).await), told(self.memory.advance(&bytes)));
        assert_eq!(told_both.0, told_both.1);
        self.manifests.push(bytes);
    }

    /// A device that goes on from where another is, or from nowhere.
    fn fork(&mut self) {
        let (of, incarnation) = (self.device(), self.incarnation());
        let mut forked = Device { incarnation, ..self.devices[of].clone() };
        if self.random.u8(..6) == 0 {
            forked.previous = forked.previous.map(|link| Link { hash: Hash([7; 32]), ..link });
        }
        self.devices.push(forked);
    }

    async fn hold(&mut self) {
        let segments: Vec<_> = (0..self.random.usize(1..5)).map(|_| self.segment()).collect();
        assert_eq!(told(self.ledger.hold(&segments).await), told(self.memory.hold(&segments)));
    }

    fn segment(&mut self) -> Segment {
        let (of, table, period) = (self.device(), TABLES[self.random.usize(..2)], period(&mut self.random));
        let device = &self.devices[of];
        let first = self.random.u64(0..device.through + 2);
        let last = first + self.random.u64(0..25);
        let mut segment = segment_of(device, table, period, first, last);
        match self.random.u8(..20) {
            0 => segment.bytes = 0,
            1 => segment.last = segment.first - 1,
            2 => segment.key.gateway = "somebody".to_owned(),
            3 => segment.target = "another".to_owned(),
            _ => {}
        }
        segment
    }

    async fn metadata(&mut self) {
        let of = self.device();
        let (incarnation, cut) = (self.devices[of].incarnation, self.random.u64(1..self.devices[of].cut + 2));
        let lines: Vec<_> = (0..self.random.usize(..5)).map(|_| self.line()).collect();
        let complete = self.random.bool();
        let told_both = (
            told(self.ledger.metadata(incarnation, cut, &lines, complete).await),
            told(self.memory.metadata(incarnation, cut, &lines, complete)),
        );
        assert_eq!(told_both.0, told_both.1, "{lines:?}");
    }

    fn line(&mut self) -> Line {
        let random = &mut self.random;
        let (kind, key): (_, Vec<_>) = match random.u8(..30) {
            0 => ("Document", vec!["1", "a"]),
            1 => ("document", vec![]),
            2 => ("table", vec!["03"]),
            3..10 => ("table", vec!["3"]),
            _ => ("document", vec!["1", ["a", "b", "c"][random.usize(..3)]]),
        };
        let value = if random.u8(..4) == 0 { Value::Null } else { json!({ "n": random.u8(..) }) };
        let key = key.into_iter().map(str::to_owned).collect();
        Line { sequence: random.u64(..30), kind: kind.to_owned(), key, value }
    }

    /// Both say the same of themselves.
    async fn agree(&mut self, centre: &Centre) {
        let head = self.ledger.head().await.unwrap().map(rounded);
        assert_eq!(head, self.memory.head().map(rounded));
        let (from, most) = (self.random.u64(1..8), self.random.u32(..20));
        assert_eq!(self.ledger.cuts(from, most).await.unwrap(), self.memory.cuts(from, most));
        assert_eq!(self.ledger.missing(from, most).await.unwrap(), self.memory.missing(from, most));
        let segments = self.ledger.segments(0, 1_000).await.unwrap();
        let of = |segment: alluvium_sync::postgres::KnownSegment| (segment.key, segment.target, segment.bytes);
        let known: Vec<_> = self.memory.segments(0, 1_000).into_iter().map(of).collect();
        assert_eq!(segments.into_iter().map(of).collect::<Vec<_>>(), known);
        let name = &self.name;
        let through = format!("SELECT coalesce(cut, 0) FROM alluvium.delivered_through WHERE gateway_name = '{name}'");
        assert_eq!(centre.number(&through).await, self.memory.delivered_through().unwrap_or(0) as i64);
        let lines = format!(
            "SELECT coalesce(json_agg(json_build_object('sequence', sequence, 'kind', kind, 'key', key, 'value', value)
                ORDER BY kind, key), '[]')::text FROM alluvium.current_metadata WHERE gateway_name = '{name}'"
        );
        let lines: Vec<Line> = serde_json::from_str(&centre.text(&lines).await).unwrap();
        assert_eq!(lines, self.memory.lines());
    }
}

#[tokio::test]
async fn the_centre_in_memory_answers_as_postgresql_does() {
    let mut random = Rng::with_seed(seed());
    let centre = Centre::new().await;
    for case in 0..cases(8) {
        let name = format!("gateway {case}");
        let (ledger, _) = centre.gateway(&name).await;
        let mut both = Both {
            memory: MemoryCentre::new(&name),
            name,
            ledger,
            random: random.fork(),
            devices: Vec::new(),
            manifests: Vec::new(),
        };
        let incarnation = both.incarnation();
        both.devices.push(Device { incarnation, ..Device::new(&both.name) });
        for _ in 0..CALLS {
            match both.random.u8(..16) {
                0..6 => both.advance().await,
                6 => both.fork(),
                7..11 => both.hold().await,
                11..15 => both.metadata().await,
                _ => both.agree(&centre).await,
            }
        }
        both.agree(&centre).await;
    }
}
