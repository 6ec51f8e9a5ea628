//! Credentials from where a process is, which only a process of its own has.

use std::process::Command;

use alluvium_sync::objects::{Settings, Target};
use bytes::Bytes;

use crate::support::servers::ACCESS_KEY;
use crate::support::{Fault, Kind, Proxy, Rule, Store, names};

/// To which target [`puts_with_what_is_around_it`] puts; it does nothing without.
const URL: &str = "ALLUVIUM_TEST_URL";
/// Where its store listens.
const ENDPOINT: &str = "ALLUVIUM_TEST_ENDPOINT";

/// What runs in a process of its own.
#[tokio::test]
async fn puts_with_what_is_around_it() {
    let (Ok(url), Ok(endpoint)) = (std::env::var(URL), std::env::var(ENDPOINT)) else { return };
    let settings = Settings { endpoint: Some(endpoint), allow_http: true, ..Settings::new(url) };
    Target::open(&settings).unwrap().put_new("a", &Bytes::from_static(b"manifest")).await.unwrap();
}

/// Puts into a store that refuses what is not signed by its key, in a process with these variables.
async fn puts(store: &Store, variables: Vec<(&'static str, String)>) {
    let settings = store.settings(store.kind.at());
    let done = tokio::task::spawn_blocking(move || {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args(["--exact", "environment::puts_with_what_is_around_it"]);
        process.env(URL, settings.url).env(ENDPOINT, settings.endpoint.unwrap());
        process.envs(variables).output().unwrap()
    });
    let done = done.await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let target = store.target();
    assert_eq!(names(&target).await, ["a"]);
    target.delete("a").await.unwrap();
}

#[tokio::test]
async fn credentials_are_taken_from_the_environment() {
    let (id, secret) = (ACCESS_KEY.0.to_owned(), ACCESS_KEY.1.to_owned());
    let store = Store::new(Kind::S3s).await;
    puts(&store, vec![("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_SESSION_TOKEN", String::new())]).await;
}

#[tokio::test]
async fn a_machine_of_a_provider_is_asked_who_it_is() {
    let store = Store::new(Kind::S3s).await;
    // Answers as machines of Amazon do, and goes nowhere.
    let machine = Proxy::before(store.kind).await;
    let role = format!(
        r#"{{"AccessKeyId":"{}","SecretAccessKey":"{}","Token":"t","Expiration":"2100-01-01T00:00:00Z"}}"#,
        ACCESS_KEY.0, ACCESS_KEY.1
    );
    let answer = |text: &str| Fault::Answer(200, vec![], text.to_owned());
    machine.rules([
        Rule::always(answer("token"), |method, path| method == "PUT" && path.ends_with("/latest/api/token")),
        Rule::always(answer("gateway"), |_, path| path.ends_with("/security-credentials/")),
        Rule::always(answer(&role), |_, path| path.ends_with("/security-credentials/gateway")),
    ]);
    puts(&store, vec![("AWS_METADATA_ENDPOINT", format!("http://{}", machine.at))]).await;
    assert!(machine.seen().len() >= 3);
}
