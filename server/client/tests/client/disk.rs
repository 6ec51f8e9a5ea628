//! Queue files through restarts of the device.

use alluvium_client::code::Code;
use alluvium_client::message::Failed;
use alluvium_client::{Error, OnRefusal, WriterSettings};

use crate::world::{World, air, append, batch, random, within};

#[tokio::test]
async fn what_is_kept_is_sent_after_a_restart() {
    within(async {
        let world = World::start(random(1));
        let directory = tempfile::tempdir().unwrap();
        let settings = || WriterSettings::disk(directory.path().join("queue"));
        let client = world.client().await;
        for session in 0..5 {
            world.rules(|rules| rules.is_paused = true);
            let writer = client.writer(settings()).await.unwrap();
            let table = air(&writer);
            for value in 1..=50 {
                append(&writer, &table, session * 50 + value).await.unwrap();
            }
            assert!(matches!(client.writer(settings()).await, Err(Error::QueueBusy { .. })));
            if session % 2 == 0 {
                world.rules(|rules| rules.is_paused = false);
                world.until(|rules| rules.applied.values().any(|applied| applied.len() as i64 > session * 50 + 10)).await;
            }
            writer.close().await.unwrap();
        }
        world.rules(|rules| rules.is_paused = false);
        let writer = client.writer(settings()).await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(world.values(), (1..=250).map(Some).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn many_appends_at_once_are_synced_together_and_arrive_once() {
    within(async {
        let world = World::start(random(1));
        let directory = tempfile::tempdir().unwrap();
        let writer = world.client().await.writer(WriterSettings::disk(directory.path().join("queue"))).await.unwrap();
        let table = air(&writer);
        let mut tasks = tokio::task::JoinSet::new();
        for value in 1..=100 {
            let (writer, table) = (writer.clone(), table.clone());
            tasks.spawn(async move { append(&writer, &table, value).await.unwrap().durable().await.unwrap() });
        }
        tasks.join_all().await;
        let mut values = world.values();
        values.sort_unstable();
        assert_eq!(values, (1..=100).map(Some).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn what_was_decided_survives_a_restart() {
    within(async {
        let world = World::start(random(1));
        world.rules(|rules| rules.refuse = Some(2));
        let directory = tempfile::tempdir().unwrap();
        let mut settings = WriterSettings::disk(directory.path().join("queue"));
        settings.on_refusal = OnRefusal::Hold;
        let client = world.client().await;
        let writer = client.writer(settings.clone()).await.unwrap();
        let table = air(&writer);
        for value in 1..=3 {
            append(&writer, &table, value).await.unwrap();
        }
        let number = writer.refusal().await.number;
        world.rules(|rules| rules.is_paused = true);
        writer.replace(number, &table, &batch(&table, 5)).await.unwrap();
        writer.close().await.unwrap();
        world.rules(|rules| rules.is_paused = false);
        let writer = client.writer(settings.clone()).await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(world.values(), [Some(1), Some(5), Some(3)]);
        // Another id is another writer, with what is kept.
        world.rules(|rules| rules.fail = Some(Failed::new(Code::WriterBehind, "a backup was restored")));
        world.cut();
        let table = air(&writer);
        append(&writer, &table, 7).await.unwrap();
        append(&writer, &table, 9).await.unwrap();
        assert!(matches!(writer.flush().await, Err(Error::WriterStopped { .. })));
        writer.restart_under_new_id().await.unwrap();
        world.rules(|rules| rules.applied.clear());
        writer.close().await.unwrap();
        world.rules(|rules| rules.fail = None);
        let writer = client.writer(settings).await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(world.values(), [Some(7), Some(9)]);
    })
    .await;
}
