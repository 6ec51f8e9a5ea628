//! Servers and devices that are killed at any moment: what was acknowledged is there, what was taken arrives, and nothing comes
//! twice. The real binary, and the client that devices link in.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use alluvium_client::{Client, Error, WriterSettings};
use alluvium_tests::device::{Device, Orders};
use alluvium_tests::seed;
use alluvium_tests::site::{Numbers, Site, append, everything, table};
use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(120);
/// The program that is a device.
const DEVICE: &str = env!("CARGO_BIN_EXE_device");
/// Rows that one life of a device may write, at most.
const LIFE: i64 = 1_000_000;

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(SOON, test).await.expect("it hangs") })
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "{what} takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Writes rows one after another until it is told to end. Tells how many are acknowledged; answers how many there are.
async fn write(
    site_at: alluvium_client::Client,
    device: String,
    acknowledged: watch::Sender<i64>,
    mut over: watch::Receiver<bool>,
) -> Result<i64, Error> {
    let writer = site_at.writer(WriterSettings::memory()).await?;
    let (table, mut rows, mut receipts) = (table(&writer), 0, JoinSet::new());
    while !*over.borrow_and_update() {
        let mut receipt = append(&writer, &table, &device, rows..rows + 2).await?;
        rows += 2;
        let (acknowledged, through) = (acknowledged.clone(), rows);
        receipts.spawn(async move {
            receipt.durable().await.expect("nobody has to mend anything");
            acknowledged.send_if_modified(|before| std::mem::replace(before, through.max(*before)) < through);
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        while receipts.try_join_next().is_some() {}
    }
    writer.flush().await?;
    writer.close().await?;
    Ok(rows)
}

#[test]
fn rows_are_there_once_however_often_the_server_is_killed() {
    const DEVICES: usize = 3;
    let (mut site, mut random) = (Site::new(DEVICES), Rng::with_seed(seed(1)));
    run(async {
        let (end, over) = watch::channel(false);
        let (mut writing, mut acknowledged) = (Vec::new(), Vec::new());
        for device in 0..DEVICES {
            let (name, (tell, told)) = (format!("pump-{device}"), watch::channel(0));
            let client = site.client(&name, site.at).await;
            writing.push(tokio::spawn(write(client, name, tell, over.clone())));
            acknowledged.push(told);
        }
        for _ in 0..6 {
            // It is killed while batches are under way: some time after one was acknowledged.
            for told in &mut acknowledged {
                told.mark_unchanged();
                told.changed().await.unwrap();
            }
            tokio::time::sleep(Duration::from_micros(random.u64(..60_000))).await;
            let before: Vec<i64> = acknowledged.iter().map(|told| *told.borrow()).collect();
            site.kill();
            site.start();
            let found = site.committed();
            for (device, acknowledged) in before.iter().enumerate() {
                let found = found.get(&format!("pump-{device}")).map_or(&[][..], Vec::as_slice);
                assert!(found.iter().copied().eq(0..found.len() as i64), "each once and in order: {found:?}");
                assert!(found.len() as i64 >= *acknowledged, "{acknowledged} rows were acknowledged, {} are there", found.len());
            }
        }
        end.send_replace(true);
        let mut expected = Numbers::new();
        for (device, writing) in writing.into_iter().enumerate() {
            let rows = writing.await.unwrap().unwrap();
            expected.insert(format!("pump-{device}"), (0..rows).collect());
        }
        assert_eq!(site.committed(), expected);
        assert_eq!(everything(&site.client("eve", site.at).await).await.unwrap(), expected);
    });
    site.end();
}

/// Not only once the connection was idle for too long, which is longer here than the test may take.
#[test]
fn clients_hear_of_a_server_that_was_killed_once_it_is_back() {
    let mut site = Site::with(1, "[limits]\nidle = '1h'\n", None);
    run(async {
        let mut settings = site.settings("pump-0", site.at);
        settings.limits.idle = Duration::from_secs(3_600);
        let client = Client::connect(settings).await.unwrap();
        let writer = client.writer(WriterSettings::memory()).await.unwrap();
        let table = table(&writer);
        append(&writer, &table, "pump-0", 0..1).await.unwrap().durable().await.unwrap();
        site.kill();
        site.start();
        append(&writer, &table, "pump-0", 1..2).await.unwrap().durable().await.unwrap();
    });
    assert_eq!(site.committed()["pump-0"], [0, 1]);
    site.end();
}

/// A device with a queue file, in many lives, each of which writes rows with numbers of its own.
struct Lives {
    orders: Orders,
    device: Option<Device>,
    /// What each life had said is in its buffer.
    taken: Vec<(i64, i64)>,
}

impl Lives {
    fn new(site: &Site) -> Lives {
        let orders = Orders {
            name: "pump-0".to_owned(),
            at: site.at,
            directory: site.directory().to_owned(),
            authority: site.authority(),
            queue: Some(site.file("queue")),
            room: 1 << 20,
            from: 0,
            rows: 2,
            pause_millis: 1,
        };
        let mut lives = Lives { orders, device: None, taken: Vec::new() };
        lives.begin();
        lives
    }

    fn begin(&mut self) {
        self.device = Some(Device::start(DEVICE, &self.orders));
        self.orders.from += LIFE;
    }

    /// Kills it once this life has taken something, and some time more.
    fn kill(&mut self, random: &mut Rng) {
        let device = self.device.take().unwrap();
        let wanted = self.orders.from - LIFE + random.i64(1..40);
        until("a device", || device.said().0 >= wanted);
        std::thread::sleep(Duration::from_micros(random.u64(..20_000)));
        self.taken.push(device.kill());
        self.begin();
    }

    /// Ends it well; then all that it ever said it had is there, once and in order.
    fn end(mut self, site: &Site) {
        self.taken.push(self.device.take().unwrap().finish());
        let committed = site.committed().remove("pump-0").unwrap();
        assert!(committed.is_sorted(), "in order");
        let there: BTreeSet<i64> = committed.iter().copied().collect();
        assert_eq!(there.len(), committed.len(), "each once");
        for (from, to) in self.taken {
            let missing: Vec<_> = (from..to).filter(|number| !there.contains(number)).collect();
            assert!(missing.is_empty(), "rows {missing:?} of {from}..{to} were taken and did not come");
        }
        let found = run(async { everything(&site.client("eve", site.at).await).await.unwrap() });
        assert_eq!(found["pump-0"], committed);
    }
}

#[test]
fn rows_that_a_device_had_taken_arrive_once_however_often_it_is_killed() {
    let (site, mut random) = (Site::new(1), Rng::with_seed(seed(2)));
    let mut lives = Lives::new(&site);
    for _ in 0..12 {
        lives.kill(&mut random);
    }
    lives.end(&site);
    site.end();
}

#[test]
fn rows_arrive_once_where_server_and_device_are_killed_in_turn() {
    let (mut site, mut random) = (Site::new(1), Rng::with_seed(seed(3)));
    let mut lives = Lives::new(&site);
    for _ in 0..5 {
        lives.kill(&mut random);
        site.kill();
        // The next life may find nobody there.
        if random.bool() {
            lives.kill(&mut random);
        }
        site.start();
        let device = lives.device.as_ref().unwrap();
        let before = device.said().1;
        until("the connection", || device.said().1 > before);
    }
    lives.end(&site);
    site.end();
}
