//! Through a pooler that lends sessions for single transactions.

use alluvium_sync::postgres::{Advance, Error, Ledger, Tls};

use crate::support::{Centre, Device, segment, server};

#[tokio::test]
async fn gateways_share_the_sessions_of_a_pooler() {
    let centre = Centre::new().await;
    let mut options = server().login_at(&centre.database, server().bouncer);
    options.tls = Some(Tls::Plain);
    let mut tasks = Vec::new();
    for number in 0..20 {
        let name = format!("gateway {number}");
        let secret = centre.owner.provision(&name).await.unwrap();
        let ledger = Ledger::new(&options, &name, secret).unwrap();
        tasks.push(tokio::spawn(async move {
            let mut device = Device::new(&name);
            for cut in 1..=10 {
                let bytes = device.step();
                assert_eq!(ledger.advance(&bytes).await.unwrap(), Advance::Registered);
                assert_eq!(ledger.advance(&bytes).await.unwrap(), Advance::Already);
                // What fails leaves nothing behind in the session for the next.
                assert!(matches!(ledger.advance(b"{}").await, Err(Error::Invalid(_))));
                ledger.hold(&[segment(&device, 3, device.through - 9, device.through)]).await.unwrap();
                assert_eq!(ledger.head().await.unwrap().unwrap().cut, cut);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'alluvium_gateway' AND datname = current_database()";
    assert!(centre.number(sessions).await <= 2);
    let statements = "SELECT count(*) FROM alluvium.delivered_through WHERE cut = 10";
    assert_eq!(centre.number(statements).await, 20);
}
