//! Answers that do not come.

use std::time::Duration;

use alluvium_sync::postgres::{Advance, Error, Ledger, Line};

use crate::support::{Centre, Device, Proxy, segment, server};

async fn through(centre: &Centre, name: &str) -> (Ledger, Proxy) {
    let secret = centre.owner.provision(name).await.unwrap();
    let proxy = Proxy::before(server().port).await;
    let options = server().login_at(&centre.database, proxy.port);
    (Ledger::new(&options, name, secret).unwrap(), proxy)
}

#[tokio::test]
async fn a_lost_answer_to_a_commit_is_settled_by_the_head() {
    let centre = Centre::new().await;
    let (ledger, proxy) = through(&centre, "a").await;
    let mut device = Device::new("a");
    for cut in 1..=4 {
        ledger.head().await.unwrap();
        let bytes = device.step();
        proxy.cut_after(1);
        // Were it sent again instead, it would be there already.
        assert_eq!(ledger.advance(&bytes).await.unwrap(), Advance::Registered);
        assert_eq!(centre.number("SELECT count(*) FROM alluvium.cuts").await, cut);
    }
    assert_eq!(ledger.head().await.unwrap().unwrap().cut, 4);
}

#[tokio::test]
async fn a_lost_question_is_asked_again() {
    let centre = Centre::new().await;
    let (ledger, proxy) = through(&centre, "a").await;
    let mut device = Device::new("a");
    ledger.head().await.unwrap();
    proxy.cut_before(1);
    assert_eq!(ledger.advance(&device.step()).await.unwrap(), Advance::Registered);
    let delta = device.with_metadata(0);
    ledger.advance(&device.cut(&delta)).await.unwrap();
    proxy.cut_before(1);
    assert_eq!(ledger.hold(&[segment(&device, 3, 1, 20)]).await.unwrap().registered, 1);
    // Here the answer is lost.
    proxy.cut_after(1);
    assert_eq!(ledger.hold(&[segment(&device, 3, 11, 20)]).await.unwrap().known, 1);
    proxy.cut_after(1);
    let line = Line { sequence: 4, kind: "role".to_owned(), key: vec!["r".to_owned()], value: 1.into() };
    ledger.metadata(device.incarnation, 2, &[line], true).await.unwrap();
    assert_eq!(centre.number("SELECT count(*) FROM alluvium.metadata").await, 1);
}

#[tokio::test]
async fn a_session_that_the_server_ended_is_no_trouble() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let mut device = Device::new("a");
    for _ in 0..3 {
        assert_eq!(ledger.advance(&device.step()).await.unwrap(), Advance::Registered);
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'alluvium_gateway' AND datname = current_database()";
        centre.number(end).await;
    }
}

#[tokio::test]
async fn what_cannot_be_settled_is_said_to_be_unknown() {
    let centre = Centre::new().await;
    let (ledger, proxy) = through(&centre, "a").await;
    let mut device = Device::new("a");
    ledger.head().await.unwrap();
    proxy.cut_after(1);
    // Nobody can connect any more.
    centre.sql.batch_execute(&format!("ALTER DATABASE {} CONNECTION LIMIT 0", centre.database)).await.unwrap();
    let bytes = device.step();
    let answer = ledger.advance(&bytes).await;
    assert!(matches!(answer, Err(Error::Ambiguous(_))), "{answer:?}");
    let answer = ledger.head().await;
    assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
    centre.sql.batch_execute(&format!("ALTER DATABASE {} CONNECTION LIMIT -1", centre.database)).await.unwrap();
    assert_eq!(ledger.advance(&bytes).await.unwrap(), Advance::Already);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_ends() {
    let mut centre = Centre::new().await;
    let secret = centre.owner.provision("a").await.unwrap();
    let mut options = centre.options();
    options.statement_timeout = Duration::from_millis(300);
    let ledger = Ledger::new(&options, "a", secret).unwrap();
    let mut device = Device::new("a");
    ledger.advance(&device.step()).await.unwrap();
    let lock = centre.sql.transaction().await.unwrap();
    lock.batch_execute("SELECT FROM alluvium.gateways FOR UPDATE").await.unwrap();
    let bytes = device.step();
    // Reading the head waits for nobody; what comes then does.
    let answer = ledger.advance(&bytes).await;
    assert!(matches!(answer, Err(Error::Ambiguous(_))), "{answer:?}");
    lock.rollback().await.unwrap();
    ledger.advance(&bytes).await.unwrap();
    assert_eq!(ledger.head().await.unwrap().unwrap().cut, 2);
}
