//! Those who would hurt a server: strangers, and a device that was taken over. Each attack goes on until it is dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use alluvium_client::WriterSettings;
use alluvium_protocol::message::{Call, DescribeTable, Field, Message, OpenWriter, Opened, Query};
use alluvium_protocol::rows::{ARROW_BATCH, Layout, ROW_BATCH, Value, Writer};
use fastrand::Rng;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::site::{Site, TABLE, append, table};
use crate::wire::{Identity, Talk, Wire};

/// Streams of a connection, as servers allow them, but for the greeting.
const STREAMS: usize = 60;
/// Rows of the lure.
const LURE: i64 = 300_000;
/// How long an attack holds what it has.
const HELD: Duration = Duration::from_secs(2);
/// Bytes of the largest frame that a server takes.
const LARGE: usize = 4 << 20;

/// Whom to attack, and as whom.
#[derive(Debug)]
pub struct Attacker {
    /// The server.
    pub at: SocketAddr,
    /// The name and the certificate of the device that was taken over.
    pub name: String,
    /// The same.
    pub identity: Identity,
}

/// Writes rows of the device that will be taken over, for which it will ask: a query takes a while to answer them.
pub async fn lay_a_lure(site: &Site, device: &str) {
    let client = site.client(device, site.at).await;
    let writer = client.writer(WriterSettings::memory()).await.expect("a writer");
    let table = table(&writer);
    for begin in (0..LURE).step_by(10_000) {
        append(&writer, &table, device, begin..begin + 10_000).await.expect("room");
    }
    writer.flush().await.expect("a server");
    writer.close().await.expect("a server");
}

/// All at once, until this is dropped.
pub async fn all(attacker: Attacker, seed: u64) {
    let attacker = Arc::new(attacker);
    let mut attacks = JoinSet::new();
    for _ in 0..8 {
        attacks.spawn(strangers(attacker.clone()));
    }
    attacks.spawn(garbage(attacker.at, seed));
    attacks.spawn(oversized(attacker.clone()));
    attacks.spawn(announced(attacker.clone()));
    attacks.spawn(truncated(attacker.clone(), seed));
    attacks.spawn(half_open(attacker.clone()));
    for number in 0..10 {
        attacks.spawn(slow_readers(attacker.clone(), number));
    }
    attacks.spawn(slow_writers(attacker.clone()));
    attacks.spawn(streams(attacker.clone()));
    while attacks.join_next().await.is_some() {}
}

impl Attacker {
    /// A connection, as soon as the server gives one.
    async fn connect(&self) -> (Wire, Talk) {
        loop {
            match Wire::connect(self.at, Some(&self.identity)).await {
                Ok((wire, greeting, _)) => return (wire, greeting),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn table(&self) -> DescribeTable {
        let fields = vec![Field { name: "n".to_owned(), kind: 2, scale: 0 }];
        DescribeTable { slot: 0, table: TABLE.to_owned(), tags: vec!["device".to_owned()], fields, time_unit: 0, create: false }
    }

    /// A writer stream of its own, if the server still answers on this connection.
    async fn writing(&self, wire: &Wire, number: u8) -> Option<Talk> {
        let mut talk = wire.talk().await.ok()?;
        talk.say(&OpenWriter { writer: [number; 16], acknowledged: None }).await;
        let opened = talk.hear().await?;
        Opened::read(&opened).ok()?;
        talk.say(&self.table()).await;
        Some(talk)
    }
}

/// The head of a frame.
fn head(bytes: u32, kind: u16) -> [u8; 8] {
    let mut head = [0; 8];
    head[..4].copy_from_slice(&bytes.to_le_bytes());
    head[4..6].copy_from_slice(&kind.to_le_bytes());
    head
}

/// Handshakes without a certificate.
async fn strangers(attacker: Arc<Attacker>) {
    loop {
        if let Ok(Ok(wire)) = timeout(HELD, Wire::dial(attacker.at, None)).await {
            let _ = timeout(HELD, wire.connection.closed()).await;
        }
    }
}

/// Datagrams of noise, half of them as if a connection began.
async fn garbage(at: SocketAddr, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    loop {
        let mut datagram = vec![0; random.usize(1..1_400)];
        random.fill(&mut datagram);
        if random.bool() {
            datagram.resize(1_200, 0);
            datagram[..6].copy_from_slice(&[0xc0 | random.u8(..) & 0xf, 0, 0, 0, 1, 8]);
            (datagram[14], datagram[23]) = (8, 0);
        }
        // One that finds no room is lost, as it may be.
        let _ = socket.send_to(&datagram, at).await;
        tokio::task::yield_now().await;
    }
}

/// Frames larger than any may be.
async fn oversized(attacker: Arc<Attacker>) {
    loop {
        let (wire, _greeting) = attacker.connect().await;
        while let Ok(mut talk) = wire.talk().await {
            talk.say_bytes(&head(u32::MAX, ROW_BATCH)).await;
            talk.say_bytes(&[0; 1_000]).await;
            if timeout(HELD, talk.hear()).await.is_err() {
                break;
            }
        }
    }
}

/// Large frames that are announced and do not come.
async fn announced(attacker: Arc<Attacker>) {
    loop {
        let (wire, _greeting) = attacker.connect().await;
        let mut held = Vec::new();
        for _ in 0..STREAMS {
            let Ok(mut talk) = wire.talk().await else { break };
            talk.say_bytes(&head(LARGE as u32, Call::KIND)).await;
            talk.say_bytes(&[0; 100]).await;
            held.push(talk);
        }
        // Until the server ends them.
        let _ = timeout(HELD * 10, wire.connection.closed()).await;
    }
}

/// Batches that break off, and Arrow that is none.
async fn truncated(attacker: Arc<Attacker>, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let layout = Layout::of(&attacker.table()).expect("a layout");
    loop {
        let (wire, _greeting) = attacker.connect().await;
        while let Some(mut talk) = attacker.writing(&wire, random.u8(100..)).await {
            let mut rows = Writer::new(&layout, 1, 0);
            for number in 0..100 {
                rows.row(number, &[Some(&attacker.name)], &[Some(Value::Int64(number))]).expect("a row");
            }
            let mut frame = rows.finish();
            if random.bool() {
                frame.kind = ARROW_BATCH;
                random.fill(&mut frame.payload[16..]);
            } else {
                frame.payload.truncate(random.usize(..frame.payload.len()));
            }
            talk.say_frame(&frame).await;
            if timeout(HELD, talk.hear()).await.is_err() {
                break;
            }
        }
    }
}

/// Streams that begin to say what they are for.
async fn half_open(attacker: Arc<Attacker>) {
    loop {
        let (wire, _greeting) = attacker.connect().await;
        let mut held = Vec::new();
        for _ in 0..STREAMS {
            let Ok(mut talk) = wire.talk().await else { break };
            talk.say_bytes(b"\x10\0\0").await;
            held.push(talk);
        }
        sleep(HELD).await;
    }
}

/// A query of all rows whose answer is read a little at a time, just fast enough not to be given up.
async fn slow_readers(attacker: Arc<Attacker>, number: u64) {
    sleep(Duration::from_millis(number * 10)).await;
    loop {
        let (wire, _greeting) = attacker.connect().await;
        let Ok(mut talk) = wire.talk().await else { continue };
        talk.say(&Query { table: TABLE.to_owned(), ..Query::default() }).await;
        while talk.hear().await.is_some() {
            sleep(Duration::from_millis(500)).await;
        }
    }
}

/// A batch that comes byte by byte.
async fn slow_writers(attacker: Arc<Attacker>) {
    loop {
        let (wire, _greeting) = attacker.connect().await;
        let mut held = Vec::new();
        for number in 0..30 {
            held.extend(attacker.writing(&wire, number).await);
        }
        for talk in &mut held {
            talk.say_bytes(&head(60_000, ROW_BATCH)).await;
        }
        for _ in 0..100 {
            for talk in &mut held {
                talk.say_bytes(&[0]).await;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Streams that ask for something and are given up at once.
async fn streams(attacker: Arc<Attacker>) {
    loop {
        let (wire, _greeting) = attacker.connect().await;
        while let Ok(mut talk) = wire.talk().await {
            talk.say(&Call { method: "GET".to_owned(), path: "/tables".to_owned(), body: Vec::new() }).await;
            let _ = talk.send.reset(0_u32.into());
            tokio::task::yield_now().await;
        }
    }
}
