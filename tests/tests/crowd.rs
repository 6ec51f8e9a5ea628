//! Crowds, dawdlers and garbage: none of them holds up anybody else, nor takes more than its share. The real binary.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use alluvium_protocol::code::Code;
use alluvium_protocol::frame::{BULK_BYTES, Frame, Frames};
use alluvium_protocol::message::{Applied, DescribeTable, Failed, Field, Message, OpenWriter, Opened, Query, QueryDone};
use alluvium_protocol::rows::{Layout, Value, Writer};
use alluvium_tests::served::Served;
use alluvium_tests::wire::{Talk, Wire};
use serde_json::Value as Json;
use tokio::time::timeout;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(120);
/// By how much the server's memory may grow while it is attacked.
const GROWTH_KIB: u64 = 48 << 10;

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(SOON, test).await.expect("it hangs") })
}

fn serve(dir: &Path, settings: &str) -> Served {
    let file = dir.join("alluvium.toml");
    std::fs::write(&file, settings).unwrap();
    Served::start(&dir.join("data"), &["--dev", "--config", file.to_str().unwrap()])
}

async fn connect(served: &Served) -> (Wire, Talk) {
    let (wire, greeting, _) = Wire::connect(served.at, None).await.unwrap();
    (wire, greeting)
}

async fn is_served(wire: &Wire) {
    assert_eq!(wire.call("GET", "/tables", &Json::Null).await.0, 200);
}

/// Memory of the server that is not on disk, in KiB.
fn resident(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn connections_are_as_many_as_the_settings_say() {
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path(), "[limits]\nconnections = 100\n");
    run(async {
        let mut connected = Vec::new();
        for _ in 0..100 {
            connected.push(connect(&served).await);
        }
        let refused = Wire::dial(served.at, None).await.unwrap();
        assert_eq!(refused.closed_with().await, u64::from(Code::Busy.number()));
        for (wire, _) in &connected {
            is_served(wire).await;
        }
        let (gone, _) = connected.pop().unwrap();
        gone.connection.close(0_u32.into(), b"");
        gone.endpoint.wait_idle().await;
        // The place is free once the server has noticed.
        let wire = loop {
            match Wire::connect(served.at, None).await {
                Ok((wire, greeting, _)) => break (wire, greeting),
                Err(_) => tokio::task::yield_now().await,
            }
        };
        is_served(&wire.0).await;
    });
    assert!(served.end().success());
}

#[test]
fn streams_that_say_nothing_end_and_hold_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path(), "[limits]\nfirst_frame = '500ms'\nprogress = '500ms'\nstreams = 16\n");
    run(async {
        let (other, _greeting) = connect(&served).await;
        let (wire, _greeting) = connect(&served).await;
        // One is taken by the greeting. Each says a little, so that the server knows of it.
        let mut silent = Vec::new();
        for _ in 0..15 {
            let mut talk = wire.talk().await.unwrap();
            talk.say_bytes(b"\x10\0\0").await;
            silent.push(talk);
        }
        assert!(
            timeout(Duration::from_millis(100), wire.connection.open_bi()).await.is_err(),
            "no more streams than are allowed"
        );
        is_served(&other).await;
        for talk in &mut silent {
            assert_eq!(talk.failure().await.code(), Code::Timeout);
        }
        // A stream counts until both sides are done with it.
        drop(silent);
        is_served(&wire).await;
        // A frame that was begun has to get on, on a stream that was idle for as long as it liked before.
        let mut writer = wire.begin(&OpenWriter { writer: [1; 16], acknowledged: None }).await;
        writer.hear_a::<Opened>().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        writer.say_bytes(b"\0\x10\0\0\x00\x81\0\0").await;
        assert_eq!(writer.failure().await.code(), Code::Timeout);
    });
    assert!(served.end().success());
}

fn air() -> DescribeTable {
    let field = Field { name: "kw".to_owned(), kind: 0, scale: 0 };
    DescribeTable { slot: 0, table: "air".to_owned(), tags: Vec::new(), fields: vec![field], time_unit: 0, create: true }
}

async fn fill(wire: &Wire, batches: u64) {
    let mut talk = wire.begin(&OpenWriter { writer: [1; 16], acknowledged: None }).await;
    talk.hear_a::<Opened>().await;
    talk.say(&air()).await;
    let layout = Layout::of(&air()).unwrap();
    let mut through = 0;
    for number in 1..=batches {
        let mut rows = Writer::new(&layout, number, 0);
        for row in 0..5_000 {
            rows.row((number * 5_000 + row) as i64, &[], &[Some(Value::Float64(row as f64))]).unwrap();
        }
        talk.say_frame(&rows.finish()).await;
        while number - through > 4 {
            through = talk.hear_a::<Applied>().await.through;
        }
    }
    while through < batches {
        through = talk.hear_a::<Applied>().await.through;
    }
}

/// The answer to a query, read no faster than asked.
async fn read_query(wire: &Wire, between: Duration) -> Result<u64, Failed> {
    let (mut send, mut receive) = wire.connection.open_bi().await.unwrap();
    let mut bytes = Vec::new();
    Query { table: "air".to_owned(), ..Query::default() }.frame().unwrap().write(&mut bytes).unwrap();
    send.write_all(&bytes).await.unwrap();
    let mut frames = Frames::new(BULK_BYTES);
    loop {
        match frames.take().unwrap() {
            Some(Frame { kind: QueryDone::KIND, payload }) => {
                return Ok(QueryDone::read(&Frame { kind: QueryDone::KIND, payload }).unwrap().rows);
            }
            Some(frame) if frame.kind == Failed::KIND => return Err(Failed::read(&frame).unwrap()),
            Some(_) => {}
            None => {
                tokio::time::sleep(between).await;
                let chunk = receive.read_chunk(32 << 10, true).await.unwrap().expect("an end of the answer");
                frames.push(&chunk.bytes);
            }
        }
    }
}

#[test]
fn readers_that_do_not_read_are_left_and_slow_ones_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path(), "[limits]\nprogress = '1s'\nqueries = 2\n");
    run(async {
        let (wire, _greeting) = connect(&served).await;
        fill(&wire, 60).await;
        let before = resident(&served);
        let stuck = [connect(&served).await, connect(&served).await];
        let mut silent = Vec::new();
        for (wire, _) in &stuck {
            silent.push(wire.begin(&Query { table: "air".to_owned(), ..Query::default() }).await);
        }
        // Both turns are taken by those who do not read; they are given up, and the next has its turn.
        let rows = loop {
            match read_query(&wire, Duration::from_millis(1)).await {
                Err(failed) if failed.code() == Code::Busy && failed.may_retry => {}
                answered => break answered.unwrap(),
            }
        };
        assert_eq!(rows, 300_000);
        for talk in &mut silent {
            let mut last = None;
            while let Some(frame) = talk.hear().await {
                last = Some(frame);
            }
            // What it was told is behind all that it did not read, or was cut off.
            let last = last.unwrap();
            assert_ne!(last.kind, QueryDone::KIND, "nobody took it, so it cannot be done");
        }
        let grown = resident(&served).saturating_sub(before);
        assert!(grown < GROWTH_KIB, "{grown} KiB more");
    });
    assert!(served.end().success());
}

#[test]
fn garbage_on_the_socket_is_nothing() {
    let seed = std::env::var("ALLUVIUM_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().expect("a number"));
    println!("ALLUVIUM_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path(), "");
    let (wire, greeting) = run(connect(&served));
    drop((wire, greeting));
    let before = resident(&served);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for round in 0..30_000_u32 {
        let mut datagram = vec![0; random.usize(1..1_400)];
        random.fill(&mut datagram);
        if round % 2 == 0 {
            // As if a connection began: a long header of QUIC 1, connection ids, and noise.
            datagram.resize(1_200, 0);
            datagram[..6].copy_from_slice(&[0xc0 | random.u8(..) & 0xf, 0, 0, 0, 1, 8]);
            datagram[14] = 8;
            datagram[23] = 0;
        }
        // One that finds no room is lost, as it may be.
        let _ = socket.send_to(&datagram, served.at);
    }
    run(async {
        let (wire, _greeting) = connect(&served).await;
        is_served(&wire).await;
    });
    let grown = resident(&served).saturating_sub(before);
    assert!(grown < GROWTH_KIB, "{grown} KiB more");
    assert!(served.end().success());
}
