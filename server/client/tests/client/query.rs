//! Answers to queries.

use std::sync::Arc;

use alluvium_client::code::Code;
use alluvium_client::frame::{ARROW, Frame};
use alluvium_client::message::{Failed, Message, QueryDone};
use alluvium_client::{Client, Error, Query};
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::ipc::writer::StreamWriter;

use crate::world::{World, random, within};

fn batch(rows: i64) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef)]).unwrap()
}

/// So many batches as Arrow frames, and their rows.
fn arrow(batches: usize, rows: i64) -> (Vec<Frame>, u64) {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch(0).schema()).unwrap();
    (0..batches).for_each(|_| writer.write(&batch(rows)).unwrap());
    let bytes = writer.into_inner().unwrap();
    let frames = bytes.chunks(10_000).map(|piece| Frame { kind: ARROW, payload: piece.to_vec() }).collect();
    (frames, batches as u64 * rows as u64)
}

async fn ask(world: &World, client: &Client, answer: Vec<Frame>) -> alluvium_client::Rows {
    world.rules(|rules| (rules.answer, rules.answered, rules.is_stopped) = (answer, 0, false));
    client.query(&Query { table: "air".into(), ..Query::default() }).await.unwrap()
}

#[tokio::test]
async fn an_answer_comes_whole() {
    within(async {
        let world = World::start(random(1));
        let client = world.client().await;
        let (mut frames, rows) = arrow(20, 1_000);
        frames.push(QueryDone { rows }.frame().unwrap());
        let mut answer = ask(&world, &client, frames).await;
        assert_eq!(answer.schema().await.unwrap(), batch(0).schema());
        let mut count = 0;
        while let Some(one) = answer.next().await {
            assert_eq!(one.unwrap(), batch(1_000));
            count += 1;
        }
        assert_eq!(count, 20);
        let (mut frames, _) = arrow(0, 0);
        frames.push(QueryDone { rows: 0 }.frame().unwrap());
        let mut answer = ask(&world, &client, frames).await;
        assert!(answer.next().await.is_none());
        assert_eq!(answer.schema().await.unwrap(), batch(0).schema());
    })
    .await;
}

#[tokio::test]
async fn the_server_reads_no_further_than_is_taken_and_stops_with_the_answer() {
    within(async {
        let world = World::start(random(1));
        let mut settings = world.settings();
        settings.limits.stream_bytes = 50_000;
        let client = Client::connect(settings).await.unwrap();
        // 8 MB, of which neither side holds more than its windows.
        let (frames, _) = arrow(100, 10_000);
        let all = frames.len();
        let mut answer = ask(&world, &client, frames).await;
        answer.next().await.unwrap().unwrap();
        // Other answers go their way meanwhile.
        let (mut frames, rows) = arrow(1, 10);
        frames.push(QueryDone { rows }.frame().unwrap());
        let before = world.rules(|rules| rules.answered);
        let mut other = ask(&world, &client, frames).await;
        assert_eq!(other.next().await.unwrap().unwrap().num_rows(), 10);
        assert!(other.next().await.is_none());
        assert!(before < all / 10, "{before} of {all} frames");
        drop(answer);
        world.until(|rules| rules.is_stopped).await;
    })
    .await;
}

/// What an answer ends with, after so many batches.
async fn end(world: &World, client: &Client, answer: Vec<Frame>) -> (usize, Error) {
    let (mut answer, mut batches) = (ask(world, client, answer).await, 0);
    loop {
        match answer.next().await.unwrap() {
            Ok(_) => batches += 1,
            Err(error) => {
                assert!(answer.next().await.is_none());
                return (batches, error);
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_not_whole_says_so() {
    within(async {
        let world = World::start(random(1));
        let client = world.client().await;
        let (whole, rows) = arrow(2, 5_000);
        let ending = |frame: Frame| [whole.clone(), vec![frame]].concat();
        assert!(matches!(end(&world, &client, whole.clone()).await, (2, Error::Cut { rows: 10_000 })));
        assert!(matches!(end(&world, &client, whole[..2].to_vec()).await, (0, Error::Cut { rows: 0 })));
        let failed = Failed::new(Code::Damaged, "the disk").frame().unwrap();
        let (batches, error) = end(&world, &client, ending(failed.clone())).await;
        assert!(matches!(error, Error::Failed { ref failed, .. } if failed.code() == Code::Damaged && batches == 2), "{error}");
        assert!(error.to_string().contains("the disk"));
        assert!(matches!(end(&world, &client, vec![failed]).await, (0, Error::Failed { .. })));
        let wrong = QueryDone { rows: rows + 1 }.frame().unwrap();
        assert!(matches!(end(&world, &client, ending(wrong)).await, (2, Error::Answer { .. })));
        let early = QueryDone { rows: 0 }.frame().unwrap();
        assert!(matches!(end(&world, &client, [&whole[..2], &[early]].concat()).await, (0, Error::Answer { .. })));
        let kind = Frame { kind: 0x0103, payload: vec![1] };
        assert!(matches!(end(&world, &client, vec![kind]).await, (0, Error::Malformed { .. })));
        let nonsense = Frame { kind: ARROW, payload: vec![7; 100] };
        assert!(matches!(end(&world, &client, vec![nonsense]).await, (0, Error::Answer { .. })));
        let long = Frame { kind: ARROW, payload: vec![0; (1 << 20) + 1] };
        assert!(matches!(end(&world, &client, vec![long]).await, (0, Error::Malformed { .. })), "longer than the welcome says");
    })
    .await;
}
