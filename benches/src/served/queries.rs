//! Answers to queries, as Arrow.

use std::net::SocketAddr;
use std::time::Instant;

use alluvium_protocol::frame::ARROW;
use alluvium_protocol::message::{Message, Query, QueryDone};
use alluvium_tests::wire::Wire;
use anyhow::{Result, bail};

use crate::stores::TABLE;

/// Of how many the fastest counts.
const TIMES: usize = 5;

/// Bytes of Arrow a second, and how many bytes an answer had: everything that there is in the table.
pub(super) fn everything(at: SocketAddr) -> Result<(f64, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (wire, _greeting, _) = Wire::connect(at, None).await?;
        let mut best = (0.0_f64, 0);
        for _ in 0..TIMES {
            let began = Instant::now();
            let bytes = answer(&wire).await?;
            best = (best.0.max(bytes as f64 / began.elapsed().as_secs_f64()), bytes);
        }
        Ok(best)
    })
}

async fn answer(wire: &Wire) -> Result<u64> {
    let mut talk = wire.begin(&Query { table: TABLE.to_owned(), ..Query::default() }).await;
    let mut bytes = 0;
    while let Some(frame) = talk.hear().await {
        match frame.kind {
            ARROW => bytes += frame.payload.len() as u64,
            QueryDone::KIND => return Ok(bytes),
            _ => break,
        }
    }
    bail!("the answer broke off")
}
