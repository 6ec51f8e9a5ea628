//! A server that keeps what it applied, and a client for it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_client::code::Code;
use alluvium_client::frame::{Frame, Frames};
use alluvium_client::message::*;
use alluvium_client::rows::{FieldKind, Layout, ROW_BATCH, Reader, Row, Value, split};
use alluvium_client::{Client, Pem, Receipt, Result, Settings, Table, TableSpec, Writer};
use alluvium_protocol::Malformed;
use alluvium_protocol::mutation::MutationBatch;
use alluvium_protocol::writer::{Incoming, Receiver};
use fastrand::Rng;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::sync::watch;

pub(crate) const NAME: &str = "gateway-7";

/// Runs a test, which has a generous while.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("done in time")
}

pub(crate) fn random(seed: u64) -> Rng {
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
    println!("ALLUVIUM_SEED={seed}");
    Rng::with_seed(seed)
}

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> Pem {
        Pem::Bytes(self.0.pem().into_bytes())
    }

    /// A certificate for a name, and its key.
    pub(crate) fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate, key)
    }
}

/// What the server does, and did.
pub(crate) struct Rules {
    pub(crate) applied: HashMap<[u8; 16], Vec<(u64, Option<i64>)>>,
    /// Batches whose first value is a multiple of this are refused.
    pub(crate) refuse: Option<i64>,
    /// How often a connection is cut at a frame: one in so many.
    pub(crate) cut: Option<u32>,
    /// Whether batches are left where they are.
    pub(crate) is_paused: bool,
    /// What every opening of a writer is answered with.
    pub(crate) fail: Option<Failed>,
    pub(crate) bulk_bytes: u32,
    pub(crate) window_bytes: u32,
    /// What a query is answered with: frames, then the end of the stream.
    pub(crate) answer: Vec<Frame>,
    /// Frames of answers that were handed to the network.
    pub(crate) answered: usize,
    /// Whether a client stopped an answer.
    pub(crate) is_stopped: bool,
    pub(crate) cuts: usize,
    pub(crate) connections: Vec<Connection>,
    pub(crate) random: Rng,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Arc<Authority>,
    rules: Arc<Mutex<Rules>>,
    changed: watch::Sender<()>,
}

impl World {
    pub(crate) fn start(random: Rng) -> World {
        let authority = Authority::new();
        let endpoint = endpoint(&authority);
        let rules = Rules {
            applied: HashMap::new(),
            refuse: None,
            cut: None,
            is_paused: false,
            fail: None,
            bulk_bytes: 1 << 20,
            window_bytes: 2_000,
            answer: Vec::new(),
            answered: 0,
            is_stopped: false,
            cuts: 0,
            connections: Vec::new(),
            random,
        };
        let (address, rules) = (endpoint.local_addr().unwrap(), Arc::new(Mutex::new(rules)));
        let world = World { address, authority: authority.into(), rules, changed: watch::Sender::new(()) };
        tokio::spawn(accept(world.clone(), endpoint));
        world
    }

    /// Changes what the server does, or looks at it.
    pub(crate) fn rules<T>(&self, change: impl FnOnce(&mut Rules) -> T) -> T {
        let outcome = change(&mut self.rules.lock().unwrap());
        self.changed.send_replace(());
        outcome
    }

    /// Waits until something is true of the server.
    pub(crate) async fn until(&self, mut is_so: impl FnMut(&Rules) -> bool) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if is_so(&self.rules.lock().unwrap()) {
                return;
            }
            changed.changed().await.unwrap();
        }
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.rules(|rules| rules.connections.drain(..).for_each(|connection| connection.close(VarInt::from_u32(0), b"cut")));
    }

    pub(crate) fn settings(&self) -> Settings {
        let (certificate, key) = self.authority.issue("pump");
        let pem = |text: String| Pem::Bytes(text.into_bytes());
        let (chain, key) = (pem(certificate.pem()), pem(key.serialize_pem()));
        let mut settings = Settings::new(NAME, self.address.to_string(), self.authority.pem(), chain, key);
        settings.limits.first_retry = Duration::from_millis(2);
        settings.limits.longest_retry = Duration::from_millis(20);
        settings.limits.slow_retry = Duration::from_millis(50);
        settings
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.settings()).await.unwrap()
    }

    /// The values of all batches, in the order in which they were applied; nothing for those that were given up.
    pub(crate) fn values(&self) -> Vec<Option<i64>> {
        self.rules(|rules| {
            assert!(rules.applied.len() <= 1, "one writer");
            let applied = rules.applied.values().next().cloned().unwrap_or_default();
            assert!(applied.iter().map(|(number, _)| *number).eq(1..=applied.len() as u64), "each number once");
            applied.into_iter().map(|(_, value)| value).collect()
        })
    }
}

pub(crate) fn air(writer: &Writer) -> Table {
    writer.table(TableSpec::new("air").tag("room").field("n", FieldKind::Int64).create(true)).unwrap()
}

/// A batch of one row.
pub(crate) fn batch(table: &Table, value: i64) -> Frame {
    batch_of(table, value, 1)
}

pub(crate) fn batch_of(table: &Table, value: i64, count: i64) -> Frame {
    let mut rows = table.rows();
    for row in 0..count {
        rows.row(value + row, &[Some("A")], &[Some(Value::Int64(value))]).unwrap();
    }
    rows.finish()
}

pub(crate) async fn append(writer: &Writer, table: &Table, value: i64) -> Result<Receipt> {
    writer.append(table, &batch(table, value)).await
}

fn endpoint(authority: &Authority) -> Endpoint {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let (certificate, key) = authority.issue(NAME);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![alluvium_protocol::ALPN.to_vec()];
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

async fn accept(world: World, endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        let world = world.clone();
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                let _ = serve(world, connection).await;
            }
        });
    }
}

/// Anything that ends a stream.
type Outcome = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn serve(world: World, connection: Connection) -> Outcome {
    let mut greeting = Stream::new(connection.accept_bi().await?);
    let hello = Hello::read(&greeting.next().await?.ok_or("no greeting")?)?;
    assert!(hello.agent.starts_with("alluvium-client"));
    let bulk_bytes = world.rules(|rules| {
        rules.connections.push(connection.clone());
        rules.bulk_bytes
    });
    let (gateway, principal) = (NAME.to_owned(), "pump".to_owned());
    let welcome = Welcome { minor: 0, features: 0, gateway, principal, bulk_bytes, streams: 8, wall_micros: 7 };
    greeting.message(&welcome).await?;
    loop {
        let stream = Stream::new(connection.accept_bi().await?);
        let (world, connection) = (world.clone(), connection.clone());
        tokio::spawn(async move {
            let _ = answer(world, connection, stream).await;
        });
    }
}

struct Stream {
    send: SendStream,
    receive: RecvStream,
    frames: Frames,
}

impl Stream {
    fn new((send, receive): (SendStream, RecvStream)) -> Self {
        Stream { send, receive, frames: Frames::new(1 << 20) }
    }

    async fn next(&mut self) -> std::result::Result<Option<Frame>, Box<dyn std::error::Error + Send + Sync>> {
        loop {
            if let Some(frame) = self.frames.take()? {
                return Ok(Some(frame));
            }
            let Some(chunk) = self.receive.read_chunk(1 << 10, true).await? else { return Ok(None) };
            self.frames.push(&chunk.bytes);
        }
    }

    async fn frame(&mut self, frame: &Frame) -> Outcome {
        let mut bytes = Vec::new();
        frame.write(&mut bytes)?;
        Ok(self.send.write_all(&bytes).await?)
    }

    async fn message<M: Message>(&mut self, message: &M) -> Outcome {
        self.frame(&message.frame()?).await
    }
}

async fn answer(world: World, connection: Connection, mut stream: Stream) -> Outcome {
    let first = stream.next().await?.ok_or("no first frame")?;
    match first.kind {
        OpenWriter::KIND => write(world, connection, stream, OpenWriter::read(&first)?).await,
        Query::KIND => {
            for frame in world.rules(|rules| rules.answer.clone()) {
                if let Err(error) = stream.frame(&frame).await {
                    world.rules(|rules| rules.is_stopped = true);
                    return Err(error);
                }
                world.rules(|rules| rules.answered += 1);
            }
            stream.send.finish()?;
            stream.send.stopped().await?;
            Ok(())
        }
        kind => Err(Malformed::Kind { kind }.into()),
    }
}

async fn write(world: World, connection: Connection, mut stream: Stream, open: OpenWriter) -> Outcome {
    if let Some(failed) = world.rules(|rules| rules.fail.clone()) {
        stream.message(&failed).await?;
        stream.send.finish()?;
        stream.send.stopped().await?;
        return Ok(());
    }
    let (through, window_bytes) = world.rules(|rules| {
        let applied = rules.applied.entry(open.writer).or_default();
        (applied.last().map_or(0, |(number, _)| *number), rules.window_bytes)
    });
    assert!(open.acknowledged.is_some() || through == 0, "one of which something was applied is not new");
    assert!(open.acknowledged.is_none_or(|acknowledged| acknowledged <= through), "nothing acknowledged was lost");
    stream.message(&Opened { applied_through: through, window_bytes }).await?;
    let (mut receiver, mut layouts) = (Receiver::new(through), HashMap::new());
    while let Some(frame) = stream.next().await? {
        world.until(|rules| !rules.is_paused).await;
        cut(&world, &connection)?;
        match frame.kind {
            DescribeTable::KIND => {
                let table = DescribeTable::read(&frame)?;
                layouts.insert(table.slot, Layout::of(&table).ok_or("no layout")?);
            }
            Skip::KIND => {
                let Skip { number } = Skip::read(&frame)?;
                receiver.skip(number)?;
                apply(&world, &connection, &mut stream, open.writer, number, None).await?;
            }
            ROW_BATCH => {
                let (head, _) = split(frame.kind, &frame.payload)?;
                let value = first_value(&layouts[&head.slot], &frame)?;
                let is_refused = world.rules(|rules| rules.refuse.is_some_and(|refuse| value % refuse == 0));
                match receiver.batch(head.number)? {
                    Incoming::Apply if is_refused => {
                        receiver.refused(head.number);
                        let failed = Failed::new(Code::BadRows, format!("{value} is bad"));
                        stream.message(&BatchRefused { number: head.number, failed }).await?;
                    }
                    Incoming::Apply => apply(&world, &connection, &mut stream, open.writer, head.number, Some(value)).await?,
                    Incoming::Known => stream.message(&Applied { through }).await?,
                    Incoming::HeldUp => {}
                }
            }
            MutationBatch::KIND => {
                let MutationBatch { number, mutations } = MutationBatch::read(&frame)?;
                assert!(mutations.is_empty());
                if receiver.batch(number)? == Incoming::Apply {
                    apply(&world, &connection, &mut stream, open.writer, number, None).await?;
                }
            }
            kind => return Err(Malformed::Kind { kind }.into()),
        }
    }
    Ok(())
}

/// As the dice have it.
fn cut(world: &World, connection: &Connection) -> Outcome {
    let is_cut = world.rules(|rules| {
        let is_cut = rules.cut.is_some_and(|cut| rules.random.u32(..cut) == 0);
        rules.cuts += usize::from(is_cut);
        is_cut
    });
    if is_cut {
        connection.close(VarInt::from_u32(0), b"cut");
        return Err("cut".into());
    }
    Ok(())
}

async fn apply(
    world: &World,
    connection: &Connection,
    stream: &mut Stream,
    writer: [u8; 16],
    number: u64,
    value: Option<i64>,
) -> Outcome {
    world.rules(|rules| {
        let applied = rules.applied.entry(writer).or_default();
        // A stream that was cut may live on for a while, as on the real server it may not.
        if applied.last().is_none_or(|(last, _)| *last < number) {
            applied.push((number, value));
        }
    });
    cut(world, connection)?;
    stream.message(&Applied { through: number }).await
}

fn first_value(layout: &Layout, frame: &Frame) -> std::result::Result<i64, Malformed> {
    let (mut reader, mut row, mut first) = (Reader::new(layout, frame.kind, &frame.payload)?, Row::default(), None);
    while reader.read(&mut row)? {
        if let Some(Some(Value::Int64(value))) = row.values.first() {
            first.get_or_insert(*value);
        }
    }
    Ok(first.unwrap_or_default())
}
