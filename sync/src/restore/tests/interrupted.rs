//! Restores that are given up wherever that may be.

use std::time::Duration;

use alluvium::{CollectionSpec, PutDocument};
use serde_json::json;

use super::simple::{append, begin};
use super::*;

/// A bucket of some segments, and what was in the database.
async fn world() -> (World, State) {
    let world = World::new();
    let db = begin(&world, "data");
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    for hour in 0..6 {
        append(&db, hour, 0..9);
        db.collection("devices").put("d1", &json!({ "hour": hour }), PutDocument::default()).unwrap();
        world.send(&db).await;
    }
    let state = State::of(&db);
    (world, state)
}

/// Restores, and gives up where it is told something for the so manieth time.
async fn give_up(world: &World, name: &str, steps: usize) -> Option<Restored> {
    give_up_when(world, name, |told, _| told == steps).await
}

async fn give_up_when(world: &World, name: &str, when: impl Fn(usize, Progress) -> bool) -> Option<Restored> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (target, path) = (world.target(), world.path(name));
    let restoring = async move {
        // Whoever is to give up has time to do so.
        let mut progress = |step| {
            tell.send(step).ok();
            std::thread::sleep(Duration::from_millis(2));
        };
        restore(&target, &path, &all(), &mut progress).await.unwrap()
    };
    let task = tokio::spawn(restoring);
    for number in 0.. {
        match told.recv().await {
            None => return Some(task.await.unwrap()),
            Some(step) if when(number, step) => break,
            Some(_) => {}
        }
    }
    task.abort();
    task.await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_no_database_and_is_gone_on_with() {
    let (world, expected) = world().await;
    for steps in 0..200 {
        let name = format!("new-{steps}");
        let done = give_up(&world, &name, steps).await;
        if done.is_none() && world.path(&name).join("restore").exists() && !world.path(&name).join("alluvium.id").exists() {
            let refused = loop {
                match Database::open(world.path(&name)) {
                    // What makes the database ends a little later.
                    Err(alluvium::Error::Locked { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                    Err(refused) => break Some(refused),
                    // It had come to its end after all.
                    Ok(_) => break None,
                }
            };
            assert!(refused.is_none_or(|refused| refused.to_string().contains("run it again")), "step {steps}");
        }
        loop {
            match world.restore(&name, &all()).await {
                Err(NotRestored::Busy { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                // It came to its end all the same.
                Err(NotRestored::Occupied { .. }) if world.path(&name).join("alluvium.id").exists() => break,
                restored => {
                    restored.unwrap();
                    break;
                }
            }
        }
        State::of(&world.open(&name)).expect(&expected, &format!("given up at step {steps}"));
        assert!(!world.path(&name).join("restore").exists());
        if done.is_some() {
            assert!(steps > 20, "it was never given up");
            return;
        }
    }
    panic!("it never came to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_whole_only_takes_its_place() {
    let (world, expected) = world().await;
    let whole = world.restore("whole", &all()).await.unwrap();
    // As a power cut leaves it: some of it moved, in the order in which it is.
    let names = ["catalog", "history", "log", "segments", "alluvium.id"];
    for moved in 0..=names.len() {
        let root = world.path(&format!("new-{moved}"));
        let database = root.join("restore/database");
        copy_dir(&world.path("whole"), &root);
        std::fs::create_dir_all(&database).unwrap();
        for name in names.iter().skip(moved).filter(|name| root.join(name).exists()) {
            std::fs::rename(root.join(name), database.join(name)).unwrap();
        }
        let Options { gateway, incarnation, until, allow_missing, allow_newer, delivery, .. } = all();
        let restored = whole.clone();
        let text = Whole { gateway, incarnation, until, allow_missing, allow_newer, delivery, restored };
        std::fs::write(root.join("restore/whole"), serde_json::to_vec(&text).unwrap()).unwrap();
        if moved < names.len() {
            assert!(Database::open(&root).unwrap_err().to_string().contains("run it again"));
            // The bucket is not asked any more, but for the same.
            let other = Options { allow_newer: true, ..all() };
            let refused =
                restore(&Target::in_memory(crate::objects::Throttle::new(None, None)), &root, &other, &mut |_| {}).await;
            assert!(matches!(refused, Err(NotRestored::Unlike { .. })));
        }
        let target = Target::in_memory(crate::objects::Throttle::new(None, None));
        assert_eq!(restore(&target, &root, &all(), &mut |_| {}).await.unwrap(), whole);
        State::of(&world.open(&format!("new-{moved}"))).expect(&expected, &format!("{moved} moved"));
        assert!(!root.join("restore").exists());
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() { copy_dir(&path, &to.join(name)) } else { assert!(std::fs::copy(&path, to.join(name)).is_ok()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_were_fetched_are_not_fetched_again() {
    let (world, expected) = world().await;
    // Given up when all are there: what makes the database of them is quick, and may come to its end all the same.
    let mut number = 0;
    let name = loop {
        let name = format!("new-{number}");
        let is_last = |_, step| matches!(step, Progress::Segments { objects, of, .. } if objects == of);
        give_up_when(&world, &name, is_last).await;
        // Until nobody is at work there any more.
        while Database::open(world.path(&name)).is_err_and(|error| matches!(error, alluvium::Error::Locked { .. })) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if world.path(&name).join("restore").exists() && !world.path(&name).join("alluvium.id").exists() {
            break name;
        }
        number += 1;
        assert!(number < 50, "it always comes to its end");
    };
    let kept = files(&world.path(&name)).into_iter().filter(|path| path.extension().is_some_and(|of| of == "parquet")).count();
    assert_eq!(kept, 6);
    // Nothing but what is kept is to be had.
    for segment in world.objects(".parquet") {
        std::fs::write(&segment, b"of somebody").unwrap();
    }
    restore(&world.target(), &world.path(&name), &all(), &mut |_| {}).await.unwrap();
    State::of(&world.open(&name)).expect(&expected, "gone on with");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_do_not_restore_into_one_directory() {
    let (world, expected) = world().await;
    let (options, path) = (all(), world.path("new"));
    let (target, other) = (world.target(), world.target());
    let (mut nothing, mut nor) = (|_| {}, |_| {});
    let both = tokio::join!(restore(&target, &path, &options, &mut nothing), restore(&other, &path, &options, &mut nor));
    let done = [&both.0, &both.1].iter().filter(|one| one.is_ok()).count();
    assert_eq!(done, 1, "{both:?}");
    State::of(&world.open("new")).expect(&expected, "by one of them");
}
