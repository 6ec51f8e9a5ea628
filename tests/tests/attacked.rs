//! Strangers and a device that was taken over attack a server on all sides: nobody else is hurt. The real binary.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use alluvium_client::code::Code;
use alluvium_client::{Query, WriterSettings};
use alluvium_tests::attacks::lay_a_lure;
use alluvium_tests::seed;
use alluvium_tests::site::{Site, TABLE, append, everything, table};
use alluvium_tests::wire::Wire;
use serde_json::{Value as Json, json};
use tokio::time::timeout;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(120);
/// How long the attacks last.
const ATTACKED: Duration = Duration::from_secs(8);
/// The most memory that the server has for itself while it is attacked: what its settings allow for frames that are received (64 MiB),
/// and as much again for all else.
const MEMORY_KIB: u64 = 128 << 10;

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(SOON, test).await.expect("it hangs") })
}

/// Ends with the test, however that ends.
struct Attacking(Child);

impl Drop for Attacking {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Attacking {
    /// From a core that the server does not have, where there are two.
    fn start(site: &Site, core: usize, seed: u64) -> Attacking {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &core.to_string(), env!("CARGO_BIN_EXE_attacker"), &site.at.to_string()]);
        command.arg(site.directory()).args(["pump-1", &seed.to_string()]);
        Attacking(command.spawn().expect("taskset of util-linux"))
    }
}

#[test]
fn nobody_else_is_hurt_by_those_who_attack() {
    let cores = std::thread::available_parallelism().unwrap().get();
    // What a client must get on with is short, so that one who is kept waiting hears of it within the test.
    let (site, seed) = (Site::with(2, "[limits]\nprogress = '4s'\n", Some(0)), seed(1));
    run(async {
        lay_a_lure(&site, "pump-1").await;
        let client = site.client("pump-0", site.at).await;
        let (wire, _greeting, _) = Wire::connect(site.at, Some(&site.identity("pump-0"))).await.unwrap();
        let writer = client.writer(WriterSettings::memory()).await.unwrap();
        let (table, mut next, mut most, mut rounds) = (table(&writer), 0, 0, 0);
        let attacking = Attacking::start(&site, cores - 1, seed);
        let began = Instant::now();
        while began.elapsed() < ATTACKED {
            let value = json!({ "value": next.to_string() });
            assert_eq!(wire.call("PUT", "/kv/pump-0%2Fstate", &value).await.0, 200);
            let (status, pair) = wire.call("GET", "/kv/pump-0%2Fstate", &Json::Null).await;
            assert_eq!((status, &pair["value"]), (200, &value["value"]));
            // Now and then so many that the server has to make room for them.
            let rows = if rounds % 20 == 10 { 4_000 } else { 20 };
            append(&writer, &table, "pump-0", next..next + rows).await.unwrap().durable().await.unwrap();
            next += rows;
            let last = Query { table: TABLE.to_owned(), last: true, ..Query::default() };
            let mut answer = client.query(&last).await.unwrap();
            assert_eq!(answer.next().await.expect("a row").expect("an answer").num_rows(), 1);
            most = most.max(site.memory());
            rounds += 1;
        }
        drop(attacking);
        println!("{rounds} rounds, {next} rows, {} MiB of the server at most", most >> 10);
        assert!(most < MEMORY_KIB, "{most} KiB");
        assert_eq!(wire.call("GET", "/tables", &Json::Null).await.0, 200);
        // Somebody new is served afterwards, too.
        let found = everything(&site.client("pump-0", site.at).await).await.unwrap();
        assert_eq!(found["pump-0"], (0..next).collect::<Vec<_>>());
    });
    site.end();
}

/// One device has half of the connections at most, whatever it does with them.
#[test]
fn a_device_leaves_connections_for_others() {
    let site = Site::with(2, "[limits]\nconnections = 8\n", None);
    let (one, other) = (site.identity("pump-1"), site.identity("pump-0"));
    run(async {
        let mut connected = Vec::new();
        for _ in 0..4 {
            connected.push(Wire::connect(site.at, Some(&one)).await.unwrap());
        }
        let refused = Wire::dial(site.at, Some(&one)).await.unwrap();
        assert_eq!(refused.closed_with().await, u64::from(Code::Busy.number()));
        let (wire, _greeting, _) = Wire::connect(site.at, Some(&other)).await.unwrap();
        assert_eq!(wire.call("GET", "/tables", &Json::Null).await.0, 200);
    });
    site.end();
}
