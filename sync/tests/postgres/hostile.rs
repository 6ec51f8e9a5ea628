//! Gateways that mean harm, with a login and a secret of their own.

use alluvium_sync::postgres::{Error, Ledger, Line, Secret};
use alluvium_sync::remote::{Period, PeriodKind};
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

/// Asks, and tells what came: an answer, or an error that says clearly that the input is to blame.
async fn ask(client: &Client, statement: &str, arguments: &[(&(dyn ToSql + Sync), Type)], what: &str) -> Option<String> {
    match client.query_typed_one(statement, arguments).await {
        Ok(row) => Some(row.get(0)),
        Err(error) => {
            let code = error.as_db_error().unwrap_or_else(|| panic!("{error}: {what}")).code().code().to_owned();
            let blames = code.starts_with("ZAL") || ["22", "23", "54"].contains(&&code[..2]);
            assert!(blames, "{code} {error:?}: {statement} of {what}");
            None
        }
    }
}

#[tokio::test]
async fn whatever_a_gateway_says_no_other_changes() {
    let mut random = fastrand::Rng::with_seed(seed());
    let centre = Centre::new().await;
    let (other, _) = victim(&centre).await;
    let secret = centre.owner.provision("attacker").await.unwrap();
    let (client, secret) = (session(&centre).await, secret.expose());
    let mut device = Device::new("attacker");
    let first = device.with_metadata(0);
    let name = "attacker";
    let before = centre.all_but(name).await;
    let hash = "ab".repeat(32);
    let statement = "SELECT alluvium_v1.advance($1, $2, $3, $4)::text";
    let own = String::from_utf8(device.cut(&first)).unwrap();
    assert!(
        ask(&client, statement, &[(&name, Type::TEXT), (&secret, Type::TEXT), (&hash, Type::TEXT), (&own, Type::TEXT)], &own)
            .await
            .is_some()
    );
    device.previous.as_mut().unwrap().hash = hash.parse().unwrap();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..cases(1_500) {
        let (statement, fields): (&str, Value) = match random.u8(..4) {
            0 | 1 => ("advance", serde_json::to_value(device.with_metadata(10)).unwrap()),
            2 => ("hold", hostile_segment(&device, &other, &mut random)),
            _ => (
                "metadata",
                json!([{"sequence": 4, "kind": "series", "key": ["3", "x"], "value": {"y": [1]}}, {"sequence": 5, "kind": "role", "key": ["r"], "value": null}]),
            ),
        };
        let mut fields = fields;
        for _ in 0..random.u8(1..3) {
            poisoned(&mut fields, &mut random);
        }
        let text = fields.to_string();
        let text = if random.u8(..4) == 0 { garbled(&text, &mut random) } else { text };
        let incarnation = if random.bool() { device.incarnation } else { other.incarnation }.to_string();
        let cut: i64 = [0, 1, 2, i64::MAX, -1][random.usize(..5)];
        let mut arguments: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&name, Type::TEXT), (&secret, Type::TEXT)];
        let call = match statement {
            "advance" => {
                arguments.extend([(&hash as _, Type::TEXT), (&text as _, Type::TEXT)]);
                "SELECT alluvium_v1.advance($1, $2, $3, $4)::text"
            }
            "hold" => {
                arguments.push((&text, Type::TEXT));
                "SELECT alluvium_v1.hold($1, $2, $3)::text"
            }
            _ => {
                arguments.extend([
                    (&incarnation as _, Type::TEXT),
                    (&cut as _, Type::INT8),
                    (&text as _, Type::TEXT),
                    (&true as _, Type::BOOL),
                ]);
                "SELECT alluvium_v1.metadata($1, $2, $3, $4, $5, $6)::text"
            }
        };
        match ask(&client, call, &arguments, &text).await {
            Some(_) => taken += 1,
            None => refused += 1,
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 0 && refused > 0);
    assert_eq!(centre.all_but(name).await, before);
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
    let (_, secret) = centre.gateway("a").await;
    let (client, secret) = (session(&centre).await, secret.expose());
    let none: Option<&str> = None;
    let (text, long) = (Type::TEXT, "[".repeat(1 << 20));
    let calls = [
        ("head(NULL, NULL)", 0),
        ("head($1, NULL)", 1),
        ("advance($1, $2, NULL, NULL)", 2),
        ("hold($1, $2, NULL)", 2),
        ("hold($1, $2, $3)", 3),
        ("advance($1, $2, repeat('a', 64), $3)", 3),
        ("advance($1, $2, 'A' || repeat('a', 63), '{}')", 2),
        ("metadata($1, $2, NULL, NULL, NULL, NULL)", 2),
        ("metadata($1, $2, repeat('a', 32), 1, $3, true)", 3),
        ("hold($1, $2, repeat(' ', 70000000))", 2),
    ];
    for (call, many) in calls {
        let all: [(&(dyn ToSql + Sync), Type); 3] = [(&"a", text.clone()), (&secret, text.clone()), (&long, text.clone())];
        assert_eq!(ask(&client, &format!("SELECT alluvium_v1.{call}::text"), &all[..many], call).await, None, "{call}");
    }
    for call in ["cuts($1, $2, NULL, NULL)", "segments($1, $2, NULL, -5)", "missing($1, $2, 0, 2147483647)"] {
        let all: [(&(dyn ToSql + Sync), Type); 2] = [(&"a", text.clone()), (&secret, text.clone())];
        assert_eq!(ask(&client, &format!("SELECT alluvium_v1.{call}::text"), &all, call).await.as_deref(), Some("[]"));
    }
    assert_eq!(
        ask(&client, "SELECT alluvium_v1.head($1, $2)::text", &[(&none, text.clone()), (&none, text)], "nulls").await,
        None
    );
}
