//! The schema is made once, by whoever comes first, and two versions of the functions stay alive.

use alluvium_sync::postgres::{Central, Error, Ledger, Secret};
use alluvium_sync::remote::{Period, PeriodKind};

use crate::support::{Centre, Device, segment_of, server};

#[tokio::test]
async fn to_migrate_again_changes_nothing() {
    let mut centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    ledger.advance(&device.step()).await.unwrap();
    let shape =
        "SELECT string_agg(format('%s %s %s', c.relname, a.attname, a.atttypid::regtype), E'\\n' ORDER BY c.relname, a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'alluvium'::regnamespace";
    let (before, rows) = (centre.text(shape).await, centre.all_but("nobody").await);
    let again = centre.owner.migrate().await.unwrap();
    assert_eq!((again.applied, again.dropped, again.partitions), (vec![], vec![], 0));
    assert_eq!((centre.text(shape).await, centre.all_but("nobody").await), (before, rows));
    ledger.advance(&device.step()).await.unwrap();
}

#[tokio::test]
async fn of_owners_at_once_one_makes_it() {
    let database = server().database().await;
    let owners: Vec<_> = (0..6)
        .map(|_| {
            let options = server().owner(&database);
            tokio::spawn(async move { Central::connect(&options).await.unwrap().migrate().await.unwrap().applied })
        })
        .collect();
    let mut made = Vec::new();
    for owner in owners {
        made.extend(owner.await.unwrap());
    }
    assert_eq!(made, [1]);
}

#[tokio::test]
async fn the_version_before_is_kept() {
    let mut centre = Centre::new().await;
    let earlier = "CREATE SCHEMA alluvium_v0 AUTHORIZATION owner; GRANT USAGE ON SCHEMA alluvium_v0 TO alluvium_gateway;
        CREATE FUNCTION alluvium_v0.head(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'earlier' $$";
    centre.sql.batch_execute(earlier).await.unwrap();
    assert_eq!(centre.owner.migrate().await.unwrap().dropped, [0; 0]);
    assert_eq!(centre.owner.status(None).await.unwrap().apis, [0, 1]);
    assert_eq!(centre.text("SELECT alluvium_v0.head('', '')").await, "earlier");
    assert_eq!(
        centre
            .number(
                "SELECT has_function_privilege('alluvium_gateway', 'alluvium_v0.head(text, text)', 'EXECUTE')::integer::bigint"
            )
            .await,
        1
    );
}

#[tokio::test]
async fn what_a_later_release_made_is_left_alone() {
    let mut centre = Centre::new().await;
    centre.sql.batch_execute("INSERT INTO alluvium.migrations VALUES (99, 'later', '')").await.unwrap();
    let answer = centre.owner.migrate().await;
    assert!(matches!(&answer, Err(Error::Unsupported(why)) if why.contains("99")), "{answer:?}");
    centre
        .sql
        .batch_execute("DELETE FROM alluvium.migrations WHERE number = 99; UPDATE alluvium.migrations SET hash = ''")
        .await
        .unwrap();
    let answer = centre.owner.migrate().await;
    assert!(matches!(&answer, Err(Error::Unsupported(why)) if why.contains("another")), "{answer:?}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing() {
    let database = server().database().await;
    let sql = server().superuser(&database).await;
    // In the way of the last view.
    sql.batch_execute("CREATE SCHEMA alluvium AUTHORIZATION owner; CREATE TABLE alluvium.metadata_between (x integer)")
        .await
        .unwrap();
    let mut owner = Central::connect(&server().owner(&database)).await.unwrap();
    owner.migrate().await.unwrap_err();
    let left: i64 =
        sql.query_one("SELECT count(*) FROM pg_class WHERE relnamespace = 'alluvium'::regnamespace", &[]).await.unwrap().get(0);
    assert_eq!(left, 1);
    sql.batch_execute("DROP TABLE alluvium.metadata_between").await.unwrap();
    owner.migrate().await.unwrap();
}

#[tokio::test]
async fn where_nothing_was_migrated_a_gateway_is_told_so() {
    let database = server().database().await;
    let ledger = Ledger::new(&server().login(&database), "a", Secret::random().unwrap()).unwrap();
    let answer = ledger.head().await;
    assert!(matches!(answer, Err(Error::Unsupported(_))), "{answer:?}");
    let owner = Central::connect(&server().owner(&database)).await.unwrap();
    assert!(matches!(owner.status(None).await, Err(Error::Unsupported(_))));
}

#[tokio::test]
async fn segments_move_to_months_that_are_made_later() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    ledger.advance(&device.step()).await.unwrap();
    // 2000-01-01 and 2000-02-29.
    let segments: Vec<_> =
        [946_684_800, 951_782_400].map(|start| segment_of(&device, 3, Period { kind: PeriodKind::Day, start }, 1, 10)).into();
    assert_eq!(ledger.hold(&segments).await.unwrap().registered, 2);
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.segments_default").await, 2);
    assert_eq!(centre.number("SELECT alluvium.make_partitions('2000-01-01', '2000-02-01')::bigint").await, 2);
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.segments_default").await, 0);
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.segments_2000_02").await, 1);
    assert_eq!(ledger.hold(&segments).await.unwrap().known, 2);
}

#[tokio::test]
async fn status_tells_of_the_server() {
    let centre = Centre::new().await;
    let status = centre.owner.status(None).await.unwrap();
    assert_eq!((status.migrations, status.apis, status.gateways.len()), (vec![1], vec![1], 0));
    assert_eq!(status.warnings, [""; 0]);
    centre
        .sql
        .batch_execute("GRANT CREATE ON SCHEMA public TO alluvium_gateway; GRANT SELECT ON alluvium.gateways TO alluvium_gateway")
        .await
        .unwrap();
    let warnings = centre.owner.status(None).await.unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    match status.timescale {
        None => println!("TimescaleDB is not there: how the centre is beside it was not tried"),
        Some(_) => {
            centre.sql.batch_execute("CREATE EXTENSION IF NOT EXISTS timescaledb").await.unwrap();
            let (ledger, _) = centre.gateway("a").await;
            ledger.advance(&Device::new("a").step()).await.unwrap();
            let status = centre.owner.status(None).await.unwrap();
            assert!(status.timescale.unwrap().installed.is_some());
        }
    }
}
