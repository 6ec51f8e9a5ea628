//! A centre that comes later, or was put back to a backup, and learns from the bucket what it lacks.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_centre_that_comes_later_is_filled_from_the_bucket() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    for hour in 0..5 {
        append(&db, hour, 0..5);
        document(&db, hour.unsigned_abs());
        done(world.worker(&db).run_once().await);
        if hour == 2 {
            // The bucket forgets a cut, so that the rest of the chain is another incarnation's.
            for file in [world.files("000000000003.manifest.json"), world.files(".parquet")].concat() {
                let name = file.to_string_lossy();
                if name.ends_with(".manifest.json") || name.contains("hour7200") {
                    std::fs::remove_file(&file).unwrap();
                }
            }
        }
    }
    db.rename_table("air", "breath").unwrap();
    assert_eq!(super::super::told(&db, "bucket").unwrap(), None);
    let before = world.files("");
    let report = done(telling(&world, &db, &centre).run_once().await);
    assert_eq!(report.counts.forks, 0);
    agree(&world, &db, &centre).await;
    assert!(world.files("").len() <= before.len() + 2, "no more than a cut of the new name");
    let state = centre.state();
    assert!(state.branch().iter().any(|cut| cut.manifest.incarnation != state.branch()[0].manifest.incarnation));
    assert_eq!(
        state.segments.iter().map(|segment| (segment.rows, segment.last - segment.first)).collect::<Vec<_>>(),
        [(5, 4); 5]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_under_a_name_between_two_others_is_found_for_the_centre() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    let worker = world.worker(&db);
    append(&db, 0, 0..5);
    db.delivery("bucket").cut(CutWhat::All).unwrap();
    worker.shared.meet().await.unwrap();
    worker.shared.announce().await.unwrap();
    drop(worker);
    // It is cut as one table, sent as another, and looked for as a third.
    db.rename_table("air", "breath").unwrap();
    done(world.worker(&db).run_once().await);
    db.rename_table("breath", "wind").unwrap();
    assert!(world.files(".parquet").iter().all(|file| file.to_string_lossy().contains("table=breath")));
    done(telling(&world, &db, &centre).run_once().await);
    agree(&world, &db, &centre).await;
    assert_eq!(centre.state().segments.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_centre_that_is_put_back_is_told_again() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    let mut backups = vec![centre.state()];
    for hour in 0..4 {
        append(&db, hour, 0..5);
        document(&db, hour.unsigned_abs());
        done(telling(&world, &db, &centre).run_once().await);
        backups.push(centre.state());
    }
    for backup in backups {
        centre.put_back(backup);
        let report = done(telling(&world, &db, &centre).run_once().await);
        assert_eq!(report.counts.forks, 0);
        assert_eq!(agree(&world, &db, &centre).await.cuts, 4);
    }
    // It forgot no cut, but what came after them.
    centre.change(|state| {
        state.segments.pop();
        state.segments.remove(0);
        state.lose_metadata(4);
        state.lose_metadata(3);
    });
    let worker = telling(&world, &db, &centre);
    done(worker.run_once().await);
    agree(&world, &db, &centre).await;
    // And while the worker runs, in the midst of telling.
    let backup = centre.state();
    append(&db, 5, 0..5);
    done(worker.run_once().await);
    append(&db, 6, 0..5);
    centre.put_back(backup);
    done(worker.run_once().await);
    assert_eq!(agree(&world, &db, &centre).await.cuts, 6);
}

#[tokio::test(start_paused = true)]
async fn of_a_table_that_was_dropped_a_centre_that_is_put_back_need_not_be_told() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    let backup = centre.state();
    done(telling(&world, &db, &centre).run_once().await);
    db.drop_table("air").unwrap();
    done(telling(&world, &db, &centre).run_once().await);
    assert_eq!(agree(&world, &db, &centre).await.cuts, 2);
    centre.put_back(backup);
    done(telling(&world, &db, &centre).run_once().await);
    assert_eq!(agree(&world, &db, &centre).await.cuts, 2);
    assert!(centre.state().segments.is_empty(), "nothing is missed of it");
}
