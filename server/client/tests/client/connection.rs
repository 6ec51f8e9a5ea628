//! Who is connected to whom, and what is said where that is not so.

use alluvium_client::message::Failed;
use alluvium_client::{Client, Error, Query, State};

use crate::world::{Authority, World, random, within};

#[tokio::test]
async fn a_client_connects_and_comes_back_when_it_is_cut() {
    within(async {
        let world = World::start(random(1));
        let client = world.client().await;
        let peer = client.connected().await.unwrap();
        assert_eq!((peer.gateway.as_str(), peer.principal.as_str(), peer.wall_micros), ("gateway-7", "pump", 7));
        let mut state = client.state();
        for _ in 0..3 {
            state.wait_for(|state| matches!(state, State::Connected(_))).await.unwrap();
            state.borrow_and_update();
            world.cut();
            state.wait_for(|state| matches!(state, State::Waiting { error: Error::Lost { .. }, .. })).await.unwrap();
        }
        client.close().await;
        assert!(matches!(*client.state().borrow(), State::Closed));
        assert!(matches!(client.connected().await, Err(Error::Closed)));
    })
    .await;
}

async fn refusal(client: &Client) -> String {
    let error = client.connected().await.unwrap_err();
    assert!(matches!(error, Error::Handshake { .. }) && !error.may_retry(), "{error:?}");
    assert!(client.query(&Query::default()).await.is_err(), "whoever waits is told");
    error.to_string()
}

#[tokio::test]
async fn another_server_is_refused_and_that_is_told() {
    within(async {
        let world = World::start(random(1));
        let mut settings = world.settings();
        settings.name = "gateway-8".to_owned();
        let client = Client::connect(settings).await.unwrap();
        let said = refusal(&client).await;
        assert!(said.contains("gateway-8") && said.contains("not valid for name"), "{said}");

        let mut settings = world.settings();
        settings.authority = Authority::new().pem();
        let client = Client::connect(settings).await.unwrap();
        let said = refusal(&client).await;
        assert!(said.contains("invalid peer certificate"), "{said}");
        // It is tried again, and told again.
        let mut state = client.state();
        for _ in 0..2 {
            state.changed().await.unwrap();
            assert!(matches!(*state.borrow_and_update(), State::Failing { .. }));
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_the_server_refuses_is_told() {
    within(async {
        let world = World::start(random(1));
        let other = World::start(random(1));
        let mut settings = world.settings();
        (settings.chain, settings.key) = (other.settings().chain, settings.key);
        assert!(matches!(Client::connect(settings).await, Err(Error::Certificate { .. })), "not its key");
        let mut settings = world.settings();
        let theirs = other.settings();
        (settings.chain, settings.key) = (theirs.chain, theirs.key);
        let client = Client::connect(settings).await.unwrap();
        refusal(&client).await;
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_renewed_in_its_file_is_taken() {
    within(async {
        let world = World::start(random(1));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let write = |pem: alluvium_client::Pem| match pem {
            alluvium_client::Pem::Bytes(bytes) => std::fs::write(&path, bytes).unwrap(),
            alluvium_client::Pem::File(_) => unreachable!(),
        };
        write(Authority::new().pem());
        let mut settings = world.settings();
        settings.authority = alluvium_client::Pem::File(path.clone());
        let client = Client::connect(settings).await.unwrap();
        refusal(&client).await;
        write(world.authority.pem());
        client.state().wait_for(|state| matches!(state, State::Connected(_))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_server_that_closes_with_a_reason_is_believed() {
    within(async {
        let world = World::start(random(1));
        let client = world.client().await;
        client.connected().await.unwrap();
        let mut state = client.state();
        let closed = |code: alluvium_client::code::Code| {
            let failed = Failed::new(code, "so it is");
            world.rules(|rules| {
                let connection = rules.connections.pop().unwrap();
                connection.close(u32::from(failed.code).into(), failed.message.as_bytes());
            });
        };
        closed(alluvium_client::code::Code::Unauthenticated);
        let failing = state.wait_for(|state| matches!(state, State::Failing { .. })).await.unwrap().clone();
        assert!(matches!(failing, State::Failing { error: Error::Failed { failed, .. }, .. } if failed.message == "so it is"));
        state.wait_for(|state| matches!(state, State::Connected(_))).await.unwrap();
        closed(alluvium_client::code::Code::Closing);
        let waiting = state.wait_for(|state| !matches!(state, State::Connected(_))).await.unwrap().clone();
        assert!(matches!(waiting, State::Waiting { error: Error::Failed { .. }, .. }), "{waiting:?}");
    })
    .await;
}
