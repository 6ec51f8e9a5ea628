//! A well-behaved client while others attack the server on all sides: how much longer it waits than before.

use std::time::{Duration, Instant};

use alluvium_tests::attacks::{self, Attacker};
use alluvium_tests::site::Site;
use alluvium_tests::wire::Wire;
use anyhow::{Context, Result};
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use crate::served::{percentile, pin};

/// The core of the client. The server has this and that of the attackers.
const CLIENT_CORE: usize = 0;
/// The core that attackers are kept to.
const ATTACKERS_CORE: usize = 1;
/// Requests of the client a second, half of them durable puts and half reads.
const RATE: u64 = 200;

/// The client's pair.
const PAIR: &str = "/kv/pump-0%2Fstate";

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds before the attack, and as many of it
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// What chance has attackers do
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!(
        "server on both cores, its client on core {CLIENT_CORE}, attackers on core {ATTACKERS_CORE}; {RATE} requests a second"
    );
    let site = Site::new(2);
    pin(CLIENT_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(attacks::lay_a_lure(&site, "pump-1"));
    let quiet = runtime.block_on(Waited::measure(&site, options.seconds))?;
    quiet.print("nobody attacks");
    let attack = Attack::start(&site, options.seed);
    let attacked = runtime.block_on(Waited::measure(&site, options.seconds))?;
    attacked.print("under attack");
    let memory = site.memory() >> 10;
    attack.end()?;
    let times = |some: fn(&Waited) -> Duration| some(&attacked).as_secs_f64() / some(&quiet).as_secs_f64();
    println!(
        "99 %: puts {:.2} times as long, reads {:.2}; server memory {memory} MiB",
        times(|w| w.puts[1]),
        times(|w| w.reads[1])
    );
    site.end();
    Ok(())
}

/// How long a client waited: the median and the 99th percentile.
struct Waited {
    puts: [Duration; 2],
    reads: [Duration; 2],
}

impl Waited {
    async fn measure(site: &Site, seconds: u64) -> Result<Waited> {
        let (wire, _greeting, _) = Wire::connect(site.at, Some(&site.identity("pump-0"))).await?;
        let wire = std::sync::Arc::new(wire);
        anyhow::ensure!(wire.call("PUT", PAIR, &json!({ "value": "0" })).await.0 == 200, "the server takes no pair");
        let mut beats = interval(Duration::from_micros(1_000_000 / RATE));
        beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut under_way = Vec::new();
        for number in 0..RATE * seconds {
            let (due, wire) = (beats.tick().await, wire.clone());
            // From when it was due, so that one that is late because of another counts as late.
            under_way.push(tokio::spawn(async move {
                let (method, body) = match number % 2 {
                    0 => ("PUT", json!({ "value": number.to_string() })),
                    _ => ("GET", Json::Null),
                };
                let status = wire.call(method, PAIR, &body).await.0;
                (status, Instant::now().duration_since(due.into_std()))
            }));
        }
        let (mut puts, mut reads) = (Vec::new(), Vec::new());
        for (number, one) in under_way.into_iter().enumerate() {
            let (status, waited) = one.await?;
            anyhow::ensure!(status == 200, "the server answered {status} to request {number}");
            if number % 2 == 0 { puts.push(waited) } else { reads.push(waited) }
        }
        let both = |times: &mut [Duration]| Some([percentile(times, 50)?, percentile(times, 99)?]);
        Ok(Waited { puts: both(&mut puts).context("no time")?, reads: both(&mut reads).context("no time")? })
    }

    fn print(&self, when: &str) {
        let (puts, reads) = (self.puts, self.reads);
        println!("{when}: durable puts median {:?}, 99 % within {:?}; reads {:?}, {:?}", puts[0], puts[1], reads[0], reads[1]);
    }
}

/// Attackers, in a thread of their own.
struct Attack {
    end: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Attack {
    fn start(site: &Site, seed: u64) -> Attack {
        let name = "pump-1".to_owned();
        let attacker = Attacker { at: site.at, identity: site.identity(&name), name };
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            pin(ATTACKERS_CORE)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::select! { () = attacks::all(attacker, seed) => (), _ = ended => () }
            });
            Ok(())
        });
        Attack { end, thread }
    }

    fn end(self) -> Result<()> {
        drop(self.end);
        self.thread.join().map_err(|_| anyhow::anyhow!("the attackers failed"))?
    }
}
