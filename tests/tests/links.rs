//! Bad links: what devices write through them arrives whole, once and in order, and answers are right. The real binary, and the
//! client that devices link in.

use std::ops::Range;
use std::time::Duration;

use alluvium_client::{Client, Error, State, WriterSettings};
use alluvium_tests::device::{Device, Orders};
use alluvium_tests::metrics::Scrape;
use alluvium_tests::proxy::{Proxy, Weather};
use alluvium_tests::seed;
use alluvium_tests::site::{Numbers, Site, append, batch, everything, memory, table};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(120);
const GOOD: Weather = Weather { lost: 0, delay: Duration::ZERO, is_cut: false };
const CUT: Weather = Weather { is_cut: true, ..GOOD };

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(SOON, test).await.expect("it hangs") })
}

fn pump(number: usize) -> String {
    format!("pump-{number}")
}

fn all(devices: Range<usize>, rows: i64) -> Numbers {
    devices.map(|device| (pump(device), (0..rows).collect())).collect()
}

/// All was written whole, once and in order, and is found.
async fn is_all_there(site: &Site, reader: &Client, expected: &Numbers) {
    assert_eq!(site.committed(), *expected, "each row is committed once, and in its order");
    assert_eq!(everything(reader).await.unwrap(), *expected);
}

/// Writes batches, as many as there is room for at a time, and waits until all are durable.
async fn write(client: Client, device: String, batches: i64, rows: i64) -> Result<(), Error> {
    let writer = client.writer(WriterSettings::memory()).await?;
    let table = table(&writer);
    for number in 0..batches {
        append(&writer, &table, &device, number * rows..(number + 1) * rows).await?;
        // As from a sensor: not all of it in one datagram.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    writer.flush().await?;
    writer.close().await
}

/// Devices write through a bad link, while somebody reads through it.
fn through(weather: Weather, seed: u64, devices: usize, batches: i64) {
    const ROWS: i64 = 3;
    let site = Site::new(devices);
    run(async {
        let proxy = Proxy::start(site.at, seed, weather).await;
        let reader = site.client("eve", proxy.at).await;
        let mut writing = JoinSet::new();
        for device in 0..devices {
            let client = site.client(&pump(device), proxy.at).await;
            writing.spawn(write(client, pump(device), batches, ROWS));
        }
        let mut answers = 0;
        while !writing.is_empty() {
            tokio::select! {
                Some(written) = writing.join_next() => written.unwrap().unwrap(),
                answer = everything(&reader) => match answer {
                    // A device's rows come in order, so an answer has all up to one of them.
                    Ok(found) => {
                        answers += 1;
                        for (device, numbers) in found {
                            assert!(numbers.iter().copied().eq(0..numbers.len() as i64), "{device}: {numbers:?}");
                            assert_eq!(numbers.len() as i64 % ROWS, 0, "a batch is there whole or not at all");
                        }
                    }
                    Err(error) => assert!(error.may_retry(), "{error}"),
                },
            }
        }
        let (carried, lost) = proxy.count();
        println!("{carried} datagrams carried, {lost} lost, {answers} answers meanwhile");
        assert_eq!(lost > 0, weather.lost > 0, "the link was as bad as it was to be");
        is_all_there(&site, &reader, &all(0..devices, batches * ROWS)).await;
    });
    site.end();
}

#[test]
fn rows_come_through_a_link_that_loses_one_in_a_hundred() {
    through(Weather { lost: 1, delay: Duration::from_millis(20), ..GOOD }, seed(1), 3, 300);
}

#[test]
fn rows_come_through_a_link_that_loses_one_in_ten_and_takes_up_to_half_a_second() {
    through(Weather { lost: 10, delay: Duration::from_millis(500), ..GOOD }, seed(2), 2, 60);
}

/// A short cut is nothing, and one after which the connection counts as lost is made good.
#[test]
fn a_link_that_is_cut_loses_nothing() {
    let (site, seed) = (Site::new(1), seed(3));
    run(async {
        let proxy = Proxy::start(site.at, seed, GOOD).await;
        let mut settings = site.settings("pump-0", proxy.at);
        settings.limits.handshake = Duration::from_millis(500);
        let client = Client::connect(settings).await.unwrap();
        let reader = site.client("eve", proxy.at).await;
        let writer = client.writer(WriterSettings::memory()).await.unwrap();
        let (table, mut state, mut next) = (table(&writer), client.state(), 0);
        for is_long in [false, true, false, true, true] {
            client.connected().await.unwrap();
            state.mark_unchanged();
            append(&writer, &table, "pump-0", next..next + 2).await.unwrap().durable().await.unwrap();
            proxy.weather(CUT);
            let mut receipt = append(&writer, &table, "pump-0", next + 2..next + 4).await.unwrap();
            if is_long {
                state.wait_for(|state| matches!(state, State::Waiting { .. })).await.unwrap();
            } else {
                tokio::time::sleep(Duration::from_millis(300)).await;
                assert!(!state.has_changed().unwrap(), "it is no other connection");
            }
            let told = timeout(Duration::from_millis(100), receipt.durable()).await;
            assert!(told.is_err(), "nothing is durable that did not arrive, and nobody has to mend anything: {told:?}");
            proxy.weather(GOOD);
            receipt.durable().await.unwrap();
            next += 4;
        }
        is_all_there(&site, &reader, &all(0..1, next)).await;
    });
    site.end();
}

/// As where a router is restarted, or a device goes from one network to another.
#[test]
fn a_connection_outlives_the_address_of_its_client() {
    let (site, seed) = (Site::new(1), seed(4));
    let accepted = || Scrape::of(site.served().http.unwrap()).value("alluvium_quic_connections_accepted_total", &[]);
    run(async {
        let proxy = Proxy::start(site.at, seed, Weather { lost: 2, delay: Duration::from_millis(10), ..GOOD }).await;
        let client = site.client("pump-0", proxy.at).await;
        let writer = client.writer(WriterSettings::memory()).await.unwrap();
        let table = table(&writer);
        append(&writer, &table, "pump-0", 0..1).await.unwrap().durable().await.unwrap();
        let (mut state, before) = (client.state(), accepted());
        state.mark_unchanged();
        for number in 1..40 {
            proxy.move_elsewhere();
            append(&writer, &table, "pump-0", number..number + 1).await.unwrap().durable().await.unwrap();
        }
        assert!(!state.has_changed().unwrap(), "the client has the connection that it had");
        assert_eq!(accepted(), before, "and so has the server");
        let reader = site.client("eve", proxy.at).await;
        is_all_there(&site, &reader, &all(0..1, 40)).await;
    });
    site.end();
}

#[test]
fn what_waits_for_a_link_has_its_bound() {
    const ROOM: usize = 64 << 10;
    const ROWS: i64 = 50;
    let (site, seed) = (Site::new(1), seed(5));
    run(async {
        let proxy = Proxy::start(site.at, seed, CUT).await;
        let client = site.client("pump-0", proxy.at).await;
        let mut settings = WriterSettings::memory();
        settings.bytes = ROOM;
        let writer = client.writer(settings).await.unwrap();
        let (table, mut next, mut bytes) = (table(&writer), 0, 0);
        let refused = loop {
            let rows = batch(&table, "pump-0", next..next + ROWS);
            match writer.try_append(&table, &rows).await {
                Ok(_) => (next, bytes) = (next + ROWS, bytes + rows.payload.len()),
                Err(error) => break error,
            }
            assert!(bytes <= ROOM, "{bytes} bytes are taken, {ROOM} may be");
        };
        assert!(matches!(refused, Error::NoRoom { .. }), "{refused}");
        assert!(bytes > ROOM / 2, "most of the room is for rows");
        // Who waits has its turn once the link is there, and not before.
        let mut waiting = std::pin::pin!(append(&writer, &table, "pump-0", next..next + ROWS));
        assert!(timeout(Duration::from_millis(200), &mut waiting).await.is_err(), "there is no room");
        proxy.weather(GOOD);
        waiting.await.unwrap();
        writer.flush().await.unwrap();
        let reader = site.client("eve", proxy.at).await;
        is_all_there(&site, &reader, &all(0..1, next + ROWS)).await;
    });
    site.end();
}

/// A device that cannot send holds no more than it was told to, however much it has to say.
#[test]
fn a_device_without_a_link_does_not_grow() {
    const ROOM: usize = 256 << 10;
    const GROWTH_KIB: u64 = 2 << 10;
    let (site, seed) = (Site::new(1), seed(6));
    run(async {
        let proxy = Proxy::start(site.at, seed, GOOD).await;
        let orders = Orders {
            name: "pump-0".to_owned(),
            at: proxy.at,
            directory: site.directory().to_owned(),
            authority: site.authority(),
            queue: None,
            room: ROOM,
            from: 0,
            rows: 100,
            pause_millis: 1,
        };
        let device = Device::start(env!("CARGO_BIN_EXE_device"), &orders);
        let beats = || tokio::time::sleep(Duration::from_millis(20));
        while device.said().1 < 20_000 {
            beats().await;
        }
        let before = memory(device.id());
        proxy.weather(CUT);
        let (mut taken, mut same) = (device.said().0, 0);
        // It takes what there is room for, and then nothing more.
        while same < 50 {
            beats().await;
            let now = device.said().0;
            same = if now == taken { same + 1 } else { 0 };
            taken = now;
        }
        let waiting = taken - device.said().1;
        assert!(waiting * 10 < ROOM as i64, "{waiting} rows wait, which do not fit {ROOM} bytes");
        let grown = memory(device.id()).saturating_sub(before);
        assert!(grown < GROWTH_KIB, "{grown} KiB more");
        proxy.weather(GOOD);
        while device.said().1 <= taken {
            beats().await;
        }
        let (_, rows) = tokio::task::spawn_blocking(|| device.finish()).await.unwrap();
        let reader = site.client("eve", site.at).await;
        is_all_there(&site, &reader, &all(0..1, rows)).await;
    });
    site.end();
}
