//! Rows count once, in their order.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use alluvium_client::code::Code;
use alluvium_client::frame::Frame;
use alluvium_client::message::Failed;
use alluvium_client::{Error, OnRefusal, TableSpec, WriterSettings};

use crate::world::{World, air, append, batch, batch_of, random, within};

fn some(values: impl IntoIterator<Item = i64>) -> Vec<Option<i64>> {
    values.into_iter().map(Some).collect()
}

/// Polls a future once, which is to wait.
async fn waits<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) {
    let mut future = future;
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn rows_arrive_once_and_in_order() {
    within(async {
        let world = World::start(random(1));
        let writer = world.client().await.writer(WriterSettings::memory()).await.unwrap();
        let table = air(&writer);
        let mut receipts = Vec::new();
        for value in 1..=200 {
            receipts.push(append(&writer, &table, value).await.unwrap());
        }
        for (number, receipt) in (1..).zip(&mut receipts) {
            assert_eq!(receipt.number(), number);
            receipt.durable().await.unwrap();
            receipt.durable().await.unwrap();
        }
        writer.flush().await.unwrap();
        assert_eq!(world.values(), some(1..=200));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_however_connections_are_cut() {
    within(async {
        let mut random = random(2);
        for _ in 0..4 {
            let world = World::start(random.fork());
            world.rules(|rules| (rules.cut, rules.refuse) = (Some(20), Some(17)));
            let directory = tempfile::tempdir().unwrap();
            let kept = match random.bool() {
                true => WriterSettings::memory(),
                false => WriterSettings::disk(directory.path().join("queue")),
            };
            let writer = world.client().await.writer(kept).await.unwrap();
            let table = air(&writer);
            let mut receipts = Vec::new();
            for value in 1..=300 {
                receipts.push((value, append(&writer, &table, value).await.unwrap()));
                if random.u8(..40) == 0 {
                    world.cut();
                }
            }
            for (value, mut receipt) in receipts {
                match receipt.durable().await {
                    Ok(()) => assert!(value % 17 != 0),
                    Err(Error::BatchRefused { failed, .. }) => assert_eq!(failed.message, format!("{value} is bad")),
                    Err(other) => panic!("{other}"),
                }
            }
            let expected: Vec<_> = (1..=300).map(|value| Some(value).filter(|value| value % 17 != 0)).collect();
            assert_eq!(world.values(), expected);
            assert_eq!(writer.skipped(), 300 / 17);
            assert!(world.rules(|rules| rules.cuts) > 3);
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_batch_is_held_until_somebody_decides() {
    within(async {
        let world = World::start(random(1));
        world.rules(|rules| rules.refuse = Some(10));
        let mut settings = WriterSettings::memory();
        settings.on_refusal = OnRefusal::Hold;
        let writer = world.client().await.writer(settings).await.unwrap();
        let table = air(&writer);
        let mut receipts = Vec::new();
        for value in 8..=22 {
            receipts.push(append(&writer, &table, value).await.unwrap());
        }
        let refusal = writer.refusal().await;
        assert_eq!((refusal.number, refusal.failed.code(), world.values()), (3, Code::BadRows, some([8, 9])));
        assert!(matches!(writer.flush().await, Err(Error::BatchRefused { number: 3, .. })), "whoever waits is told");
        assert!(matches!(writer.skip(4), Err(Error::NotRefused { number: 4 })));
        // It is refused again on the next connection, if nobody decides before.
        world.cut();
        world.until(|rules| !rules.connections.is_empty()).await;
        let number = loop {
            let number = writer.refusal().await.number;
            if writer.skip(number).is_ok() {
                break number;
            }
        };
        assert_eq!(number, 3);
        assert!(matches!(receipts[2].durable().await, Err(Error::BatchRefused { number: 3, .. })));
        let refusal = writer.refusal().await;
        assert_eq!(refusal.number, 13);
        writer.replace(13, &table, &batch(&table, 77)).await.unwrap();
        receipts[12].durable().await.unwrap();
        writer.flush().await.unwrap();
        let expected = [some([8, 9]), vec![None], some(11..20), some([77, 21, 22])].concat();
        assert_eq!((world.values(), writer.skipped()), (expected, 1));
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_the_server_cannot_take_holds_up_nobody() {
    within(async {
        let world = World::start(random(1));
        world.rules(|rules| rules.bulk_bytes = 500);
        let writer = world.client().await.writer(WriterSettings::memory()).await.unwrap();
        let table = air(&writer);
        let mut first = writer.append(&table, &batch_of(&table, 1, 100)).await.unwrap();
        append(&writer, &table, 2).await.unwrap();
        writer.flush().await.unwrap();
        assert!(matches!(first.durable().await, Err(Error::BatchRefused { failed, .. }) if failed.code() == Code::Limit));
        assert_eq!(world.values(), [None, Some(2)]);
    })
    .await;
}

#[tokio::test]
async fn the_buffer_keeps_to_its_bound() {
    within(async {
        let world = World::start(random(1));
        world.rules(|rules| rules.is_paused = true);
        let mut settings = WriterSettings::memory();
        settings.bytes = 1_000;
        let writer = world.client().await.writer(settings).await.unwrap();
        let table = air(&writer);
        let mut kept = 0;
        while writer.try_append(&table, &batch(&table, kept + 1)).await.is_ok() {
            kept += 1;
        }
        assert!((3..=7).contains(&kept), "{kept}");
        assert!(matches!(writer.try_append(&table, &batch(&table, 0)).await, Err(Error::NoRoom { .. })));
        let large = batch_of(&table, 1, 100);
        assert!(matches!(writer.append(&table, &large).await, Err(Error::TooLarge { .. })));
        {
            // One that waits, and is given up.
            let frame = batch(&table, -1);
            let mut dropped = pin!(writer.append(&table, &frame));
            waits(dropped.as_mut()).await;
        }
        let frame = batch(&table, kept + 1);
        let mut waiting = pin!(writer.append(&table, &frame));
        waits(waiting.as_mut()).await;
        world.rules(|rules| rules.is_paused = false);
        waiting.await.unwrap().durable().await.unwrap();
        assert_eq!(world.values(), some(1..=kept + 1));
    })
    .await;
}

#[tokio::test]
async fn dropped_futures_lose_and_double_nothing() {
    within(async {
        let mut random = random(3);
        let world = World::start(random.fork());
        world.rules(|rules| rules.cut = Some(50));
        let mut settings = WriterSettings::memory();
        settings.bytes = 2_000;
        let writer = world.client().await.writer(settings).await.unwrap();
        let table = air(&writer);
        let mut expected = Vec::new();
        for value in 1..=500 {
            let frame = batch(&table, value);
            // Given up after a moment, or not.
            let moment = Duration::from_micros(random.u64(..300));
            if let Ok(receipt) = tokio::time::timeout(moment, writer.append(&table, &frame)).await {
                expected.push(value);
                let mut receipt = receipt.unwrap();
                let _ = tokio::time::timeout(moment, receipt.durable()).await;
            }
            let _ = tokio::time::timeout(moment, writer.flush()).await;
        }
        writer.flush().await.unwrap();
        assert!(expected.len() > 100);
        assert_eq!(world.values(), some(expected));
    })
    .await;
}

#[tokio::test]
async fn a_writer_that_the_server_does_not_know_any_more_stops_until_somebody_decides() {
    within(async {
        let world = World::start(random(1));
        let writer = world.client().await.writer(WriterSettings::memory()).await.unwrap();
        let table = air(&writer);
        append(&writer, &table, 1).await.unwrap().durable().await.unwrap();
        assert!(matches!(writer.restart_under_new_id().await, Err(Error::NotStopped)));
        world.rules(|rules| rules.fail = Some(Failed::new(Code::WriterExpired, "after 90 days")));
        world.cut();
        let mut receipt = append(&writer, &table, 2).await.unwrap();
        let stopped = |error: Error| matches!(error, Error::WriterStopped { failed, .. } if failed.code() == Code::WriterExpired);
        assert!(stopped(writer.flush().await.unwrap_err()));
        assert!(stopped(receipt.durable().await.unwrap_err()));
        world.rules(|rules| rules.fail = None);
        world.rules(|rules| rules.applied.clear());
        writer.restart_under_new_id().await.unwrap();
        receipt.durable().await.unwrap();
        assert_eq!(world.values(), some([2]));
    })
    .await;
}

#[tokio::test]
async fn what_fails_is_told_and_tried_again() {
    within(async {
        let world = World::start(random(1));
        world.rules(|rules| rules.fail = Some(Failed::new(Code::Refused, "pump may not write")));
        let writer = world.client().await.writer(WriterSettings::memory()).await.unwrap();
        let table = air(&writer);
        append(&writer, &table, 1).await.unwrap();
        let error = writer.flush().await.unwrap_err();
        assert!(error.to_string().contains("pump may not write"), "{error}");
        assert!(writer.trouble().borrow().is_some());
        world.rules(|rules| rules.fail = Some(Failed::new(Code::Busy, "later")));
        let mut trouble = writer.trouble();
        trouble.wait_for(Option::is_none).await.unwrap();
        world.rules(|rules| rules.fail = None);
        while writer.flush().await.is_err() {}
        assert_eq!(world.values(), some([1]));
    })
    .await;
}

#[tokio::test]
async fn what_is_no_batch_of_the_table_is_not_taken() {
    within(async {
        let world = World::start(random(1));
        let client = world.client().await;
        let writer = client.writer(WriterSettings::memory()).await.unwrap();
        let table = air(&writer);
        assert!(air(&writer).rows().finish() == table.rows().finish(), "the same table again");
        let other = writer.table(TableSpec::new("other").tag("room")).unwrap();
        let good = batch(&table, 1);
        let refused = async |table, frame: &Frame| matches!(writer.append(table, frame).await, Err(Error::NotOfTable { .. }));
        assert!(refused(&other, &good).await);
        assert!(refused(&table, &table.rows().finish()).await, "no rows");
        let cut = Frame { kind: good.kind, payload: good.payload[..20].to_vec() };
        assert!(refused(&table, &cut).await);
        let foreign = air(&client.writer(WriterSettings::memory()).await.unwrap());
        assert!(refused(&foreign, &batch(&foreign, 1)).await);
        writer.close().await.unwrap();
        assert!(matches!(append(&writer, &table, 1).await, Err(Error::Closed)));
        assert!(matches!(writer.flush().await, Ok(()) | Err(Error::Closed)));
    })
    .await;
}

#[tokio::test]
async fn receipts_of_a_writer_that_ends_say_so() {
    within(async {
        let world = World::start(random(1));
        world.rules(|rules| rules.is_paused = true);
        let writer = world.client().await.writer(WriterSettings::memory()).await.unwrap();
        let mut receipt = append(&writer, &air(&writer), 1).await.unwrap();
        drop(writer);
        assert!(matches!(receipt.durable().await, Err(Error::Closed)));
    })
    .await;
}
