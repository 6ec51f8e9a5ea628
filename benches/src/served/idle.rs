//! What connections take that do nothing.

use std::net::SocketAddr;
use std::time::Duration;

use alluvium_tests::wire::Wire;
use anyhow::{Context, Result};

/// How long the server has to come to rest.
const REST: Duration = Duration::from_secs(2);

/// Bytes of the server's memory that so many connections take which have greeted.
pub(super) fn connections(at: SocketAddr, server: u32, count: usize) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let one = Wire::connect(at, None).await?;
        tokio::time::sleep(REST).await;
        let before = resident(server)?;
        let mut connected = vec![one];
        while connected.len() < count {
            connected.push(Wire::connect(at, None).await?);
        }
        tokio::time::sleep(REST).await;
        Ok(resident(server)?.saturating_sub(before))
    })
}

/// Memory of a process that is not on disk.
fn resident(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
