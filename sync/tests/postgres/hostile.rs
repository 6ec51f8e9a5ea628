//! Gateways that mean harm, with a login and a secret of their own.

use alluvium_sync::postgres::{Error, Head, Ledger, Line, Secret};
use alluvium_sync::remote::{Erasure, Gap, Link, Period, PeriodKind, Series, Table, TimeUnit};
use serde_json::{Value, json};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};

use crate::support::{Centre, Device, PASSWORD, cases, seed, segment, segment_of, server};

/// The login's own session, as whoever has the password can make one.
async fn session(centre: &Centre) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server().port).user("alluvium_gateway").password(PASSWORD).dbname(&centre.database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A gateway with something of everything.
async fn victim(centre: &Centre) -> (Device, Secret) {
    let (ledger, secret) = centre.gateway("victim").await;
    let mut device = Device::new("victim");
    let delta = device.with_metadata(0);
    ledger.advance(&device.cut(&delta)).await.unwrap();
    ledger.advance(&device.step()).await.unwrap();
    ledger.hold(&[segment(&device, 3, 1, 10)]).await.unwrap();
    let line = Line { sequence: 3, kind: "document".to_owned(), key: vec!["a".to_owned()], value: json!({"x": 1}) };
    ledger.metadata(device.incarnation, 1, &[line], true).await.unwrap();
    (device, secret)
}

/// Values that do not belong anywhere.
fn poison(random: &mut fastrand::Rng) -> Value {
    let texts = [
        "",
        "'; DROP TABLE alluvium.gateways; --",
        "$$",
        "\\",
        "%s%n",
        "now",
        "infinity",
        "-infinity",
        "NaN",
        "1e400",
        "0x10",
        " 1",
        "\u{1}",
        "\u{7f}\u{85}",
        "victim",
        "ffffffffffffffffffffffffffffffff",
        "day99999999999999999999",
        "hour-9223372036854775808",
        "year9223372036854775807",
        "month253402300800",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "2025-02-30T00:00:00Z",
        "2025-11-29T12:00:60Z",
        "2025-11-29T12:00:00+99:99",
        "\u{202e}\u{feff}",
    ];
    let numbers = [0, 1, -1, i64::MAX, i64::MIN, 4_294_967_296, 1 << 53];
    match random.u8(..12) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 | 3 => json!(numbers[random.usize(..numbers.len())]),
        4 => json!(u64::MAX),
        5 => json!(1.5e300),
        6 => json!([]),
        7 => json!({}),
        8 => json!([[[[1, null], 2], 3], 4]),
        9 => json!("x".repeat(random.usize(1..5_000))),
        _ => json!(texts[random.usize(..texts.len())]),
    }
}

/// Changes one place of it.
fn poisoned(value: &mut Value, random: &mut fastrand::Rng) {
    let deeper = random.u8(..4) > 0;
    match value {
        Value::Object(members) if deeper && !members.is_empty() => {
            let at = random.usize(..members.len());
            if random.u8(..12) == 0 {
                let name = members.keys().nth(at).unwrap().clone();
                members.remove(&name);
            } else if let Some(member) = members.values_mut().nth(at) {
                poisoned(member, random);
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = random.usize(..items.len());
            match random.u8(..8) {
                0 => items.push(items[at].clone()),
                1 => drop(items.remove(at)),
                _ => poisoned(&mut items[at], random),
            }
        }
        other => *other = poison(random),
    }
}

/// Bytes that are nearly it.
fn garbled(text: &str, random: &mut fastrand::Rng) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..bytes.len());
        match random.u8(..3) {
            0 => bytes[at] = random.u8(1..128),
            1 => bytes.truncate(at.max(1)),
            _ => bytes.insert(at, random.u8(1..128)),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A session of the login's that says what it likes.
struct Attacker {
    client: Client,
    secret: Secret,
    device: Device,
}

impl Attacker {
    /// Asks, and tells what came: an answer, or an error that says clearly that the input is to blame.
    async fn ask(&self, call: &str, arguments: &[Option<&str>]) -> Option<String> {
        let secret = self.secret.expose();
        let mut all: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&self.device.name, Type::TEXT), (&secret, Type::TEXT)];
        all.extend(arguments.iter().map(|argument| (argument as _, Type::TEXT)));
        match self.client.query_typed_one(&format!("SELECT alluvium_v1.{call}::text"), &all).await {
            Ok(row) => Some(row.get(0)),
            Err(error) => {
                let code = error.as_db_error().unwrap_or_else(|| panic!("{error}: {arguments:?}")).code().code().to_owned();
                let blames = code.starts_with("ZAL") || ["22", "23", "54"].contains(&&code[..2]);
                assert!(blames, "{code} {error:?}: {call} of {arguments:?}");
                None
            }
        }
    }

    /// A manifest that could be its next one.
    fn manifest(&self) -> Value {
        let mut next = self.device.with_metadata(self.device.through);
        let gap = Gap {
            at: next.sealed_at,
            kind: "damage".to_owned(),
            sequences: Some((1, 2)),
            table: Some(3),
            times: Some((1, 2)),
            detail: "x".to_owned(),
        };
        next.gaps = vec![gap];
        let series = Series::Only(vec![vec![Some("cellar".to_owned()), None]]);
        next.erasures = vec![Erasure { sequence: next.through, table: 3, series, from: 0, to: 10 }];
        next.tables.push(Table { table: 4, name: "old".to_owned(), unit: TimeUnit::Nano, dropped: true });
        serde_json::to_value(next).unwrap()
    }

    async fn advance(&mut self, text: &str) -> Option<String> {
        let hash = "ab".repeat(32);
        let answer = self.ask("advance($1, $2, $3, $4)", &[Some(&hash), Some(text)]).await?;
        if answer.contains("advanced") {
            // It goes on from there, wherever that is.
            let head: Value = serde_json::from_str(&self.ask("head($1, $2)", &[]).await.unwrap()).unwrap();
            let head: Head = serde_json::from_value(head["head"].clone()).unwrap();
            let previous = Some(Link { incarnation: head.incarnation, hash: head.hash });
            let (incarnation, cut, through) = (head.incarnation, head.cut, head.through);
            self.device = Device { incarnation, cut, through, previous, ..self.device.clone() };
        }
        Some(answer)
    }

    /// Says one thing that is nearly right.
    async fn attack(&mut self, other: &Device, random: &mut fastrand::Rng) -> Option<String> {
        let which = random.u8(..4);
        let line =
            |sequence: u64, kind: &str| json!({"sequence": sequence, "kind": kind, "key": ["3", "x"], "value": {"y": [1]}});
        let mut fields = match which {
            0 | 1 => self.manifest(),
            2 => hostile_segment(&self.device, other, random),
            _ => json!([line(4, "series"), line(5, "role")]),
        };
        for _ in 0..random.u8(1..3) {
            poisoned(&mut fields, random);
        }
        let text = fields.to_string();
        let text = if random.u8(..4) == 0 { garbled(&text, random) } else { text };
        let incarnation = if random.bool() { self.device.incarnation } else { other.incarnation }.to_string();
        let cut = [0, 1, 2, i64::MAX, -1][random.usize(..5)].to_string();
        match which {
            0 | 1 => self.advance(&text).await,
            2 => self.ask("hold($1, $2, $3)", &[Some(&text)]).await,
            _ => {
                let call = "metadata($1, $2, $3, ($4::text)::bigint, $5, true)";
                self.ask(call, &[Some(&incarnation), Some(&cut), Some(&text)]).await
            }
        }
    }
}

#[tokio::test]
async fn whatever_a_gateway_says_no_other_changes() {
    let mut random = fastrand::Rng::with_seed(seed());
    let centre = Centre::new().await;
    let (other, _) = victim(&centre).await;
    let secret = centre.owner.provision("attacker").await.unwrap();
    let before = centre.all_but("attacker").await;
    let mut attacker = Attacker { client: session(&centre).await, secret, device: Device::new("attacker") };
    let first = attacker.manifest().to_string();
    assert!(attacker.advance(&first).await.is_some());
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..cases(1_500) {
        match attacker.attack(&other, &mut random).await {
            Some(_) => taken += 1,
            None => refused += 1,
        }
    }
    println!("{taken} taken, {refused} refused, {} cuts", attacker.device.cut);
    assert!(taken > 0 && refused > 0);
    assert_eq!(centre.all_but("attacker").await, before);
    // And whatever was taken can be asked for.
    centre.owner.status(None).await.unwrap();
    for view in ["missing", "delivered_through", "lag", "inventory", "current_metadata", "tables", "series", "metadata_between"] {
        centre.sql.query(&format!("SELECT * FROM alluvium.{view}"), &[]).await.unwrap();
    }
}

fn hostile_segment(device: &Device, other: &Device, random: &mut fastrand::Rng) -> Value {
    let incarnation = if random.bool() { device.incarnation } else { other.incarnation };
    let one = json!({"table": 3, "name": "air", "period": "day0", "incarnation": incarnation, "records": [1, 10], "hash": "cd".repeat(32),
        "rows": 1, "bytes": 1, "first": 1, "last": 2, "target": "t"});
    json!([one.clone(), one])
}

#[tokio::test]
async fn hostile_times_make_no_partitions() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    ledger.advance(&device.step()).await.unwrap();
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'alluvium.segments'::regclass";
    let before = centre.number(partitions).await;
    let mut random = fastrand::Rng::with_seed(seed());
    let segments = (0..200).map(|_| {
        let start = if random.bool() { random.i64(..) } else { random.i64(-62_135_596_800..253_402_300_800) };
        let period = Period { kind: PeriodKind::Day, start };
        segment_of(&device, 3, period, 1, 10)
    });
    let segments: Vec<_> = segments.collect();
    assert_eq!(ledger.hold(&segments).await.unwrap().registered, 200);
    assert_eq!(ledger.hold(&segments).await.unwrap().known, 200);
    assert_eq!(centre.number(partitions).await, before);
    // Migrations go on, whatever months there are.
    assert!(centre.owner.status(None).await.unwrap().segments_outside_months > 0);
}

#[tokio::test]
async fn no_gateway_keeps_the_owner_from_asking() {
    let centre = Centre::new().await;
    let secret = centre.owner.provision("a").await.unwrap();
    let mut attacker = Attacker { client: session(&centre).await, secret, device: Device::new("a") };
    let moments = [
        "9999-12-31T23:59:59-23:59",
        "9998-12-31T23:59:59-15:59",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+15:59",
        "0002-01-01T00:00:00+15:59",
        "2025-11-29T12:00:00Z",
        "-infinity",
        "infinity",
        "now",
        "epoch",
        "2025-11-29 12:00:00Z",
        "2025-11-29T12:00:00",
        "2025-11-29T12:00:00 America/New_York",
        "12025-11-29T12:00:00Z",
    ];
    let mut taken = Vec::new();
    for moment in moments {
        let mut manifest = attacker.manifest();
        manifest["sealed_at"] = json!(moment);
        manifest["gaps"][0]["at"] = json!(moment);
        manifest["metadata"]["at"] = json!(moment);
        manifest["audit"]["number"] = json!(i64::MAX);
        taken.extend(attacker.advance(&manifest.to_string()).await.map(|_| moment));
        let status = centre.owner.status(None).await.unwrap();
        assert_eq!(status.gateways[0].head.as_ref().map_or(0, |head| head.cut), attacker.device.cut, "{moment}");
    }
    assert_eq!(taken, ["9998-12-31T23:59:59-15:59", "0002-01-01T00:00:00+15:59", "2025-11-29T12:00:00Z"]);
}

#[tokio::test]
async fn nobody_is_known_without_the_secret() {
    let mut centre = Centre::new().await;
    let (mut device, secret) = victim(&centre).await;
    let attacker = centre.owner.provision("attacker").await.unwrap();
    let before = centre.all_but("nobody").await;
    let manifest = device.step();
    let mut told = Vec::new();
    for (name, shown) in
        [("victim", &attacker), ("attacker", &secret), ("nobody", &attacker), ("", &attacker), ("victim' OR true --", &attacker)]
    {
        let ledger = Ledger::new(&centre.options(), name, shown.clone()).unwrap();
        let Err(Error::Refused(why)) = ledger.head().await else { panic!("{name}") };
        told.push(why);
        assert!(matches!(ledger.advance(&manifest).await, Err(Error::Refused(_))));
        assert!(matches!(ledger.hold(&[]).await, Err(Error::Refused(_))));
        assert!(matches!(ledger.metadata(device.incarnation, 1, &[], true).await, Err(Error::Refused(_))));
        assert!(matches!(ledger.cuts(1, 1).await, Err(Error::Refused(_))));
        assert!(matches!(ledger.segments(0, 1).await, Err(Error::Refused(_))));
        assert!(matches!(ledger.missing(1, 1).await, Err(Error::Refused(_))));
    }
    // Whether there is a gateway of that name is not told.
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(centre.all_but("nobody").await, before);
    // A manifest of another gateway is no business of one that is known.
    let ledger = Ledger::new(&centre.options(), "attacker", attacker).unwrap();
    assert!(matches!(ledger.advance(&manifest).await, Err(Error::Invalid(why)) if why.contains("another gateway")));
    // Retired, rotated.
    let victim = Ledger::new(&centre.options(), "victim", secret).unwrap();
    victim.head().await.unwrap();
    centre.owner.retire("victim").await.unwrap();
    assert!(matches!(victim.head().await, Err(Error::Refused(_))));
    let rotated = centre.owner.rotate("victim").await.unwrap();
    assert!(matches!(victim.head().await, Err(Error::Refused(_))));
    Ledger::new(&centre.options(), "victim", rotated).unwrap().head().await.unwrap();
    assert!(matches!(centre.owner.provision("victim").await, Err(Error::Exists(_))));
    assert!(matches!(centre.owner.rotate("x").await, Err(Error::NoGateway(_))));
    assert!(matches!(centre.owner.retire("x").await, Err(Error::NoGateway(_))));
    centre.owner.migrate().await.unwrap();
}

#[tokio::test]
async fn nulls_and_wrong_sizes_are_refused() {
    let centre = Centre::new().await;
    let secret = centre.owner.provision("a").await.unwrap();
    let attacker = Attacker { client: session(&centre).await, secret, device: Device::new("a") };
    let long = "[".repeat(1 << 20);
    let calls = [
        "head(nullif($1, 'a'), $2)",
        "head($1, nullif($2, $2))",
        "advance($1, $2, NULL, NULL)",
        "advance($1, $2, repeat('a', 64), $3)",
        "advance($1, $2, 'A' || repeat('a', 63), '{}')",
        "hold($1, $2, NULL)",
        "hold($1, $2, $3)",
        "hold($1, $2, repeat(' ', 70000000))",
        "metadata($1, $2, NULL, NULL, NULL, NULL)",
        "metadata($1, $2, repeat('a', 32), 1, $3, true)",
    ];
    for call in calls {
        let third = call.contains("$3").then_some(Some(long.as_str()));
        assert_eq!(attacker.ask(call, third.as_slice()).await, None, "{call}");
    }
    for call in ["cuts($1, $2, NULL, NULL)", "segments($1, $2, NULL, -5)", "missing($1, $2, 0, 2147483647)"] {
        assert_eq!(attacker.ask(call, &[]).await.as_deref(), Some("[]"), "{call}");
    }
}
