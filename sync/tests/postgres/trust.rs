//! Who is believed to be the centre, and what a login shows.

use alluvium_sync::postgres::{Central, Error, Ledger, Options, Secret, Tls};

use crate::support::{Authority, Centre, PASSWORD, server};

async fn head(options: &Options) -> Result<(), Error> {
    let ledger = Ledger::new(options, "a", Secret::random().unwrap())?;
    match ledger.head().await {
        // It got so far that the gateway was asked for.
        Err(Error::Refused(why)) if why.contains("gateway is unknown") => Ok(()),
        other => other.map(drop),
    }
}

#[tokio::test]
async fn the_server_proves_who_it_is() {
    let centre = Centre::new().await;
    let good = centre.options();
    head(&good).await.unwrap();
    // Another authority; another name, by which the same server answers.
    let other = Options { roots: Some(Authority::new().pem().into_bytes()), ..good.clone() };
    let address = Options { conninfo: good.conninfo.replace("host=localhost", "host=127.0.0.1"), ..good.clone() };
    for untrusted in [&other, &address] {
        let answer = head(untrusted).await;
        assert!(matches!(answer, Err(Error::Untrusted(_))), "{answer:?}");
    }
    for (nobody, why) in [
        (Vec::new(), "none are given"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(), "authority"),
    ] {
        let answer = head(&Options { roots: Some(nobody), ..good.clone() }).await;
        assert!(matches!(&answer, Err(Error::Options(told)) if told.contains(why)), "{answer:?}");
    }
    // Only who says so believes whoever answers.
    for tls in [Tls::Unverified, Tls::Plain] {
        head(&Options { tls: Some(tls), ..address.clone() }).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to() {
    let centre = Centre::new().await;
    let mut options = server().login_at(&centre.database, server().bouncer);
    let answer = head(&options).await;
    assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
    options.tls = Some(Tls::Plain);
    head(&options).await.unwrap();
}

#[tokio::test]
async fn a_root_certificate_may_be_a_file_that_the_url_names() {
    let centre = Centre::new().await;
    let directory = tempfile::tempdir().unwrap();
    let (roots, password) = (directory.path().join("roots.pem"), directory.path().join("password"));
    std::fs::write(&roots, &server().roots).unwrap();
    let (port, database, roots) = (server().port, &centre.database, roots.display());
    let url = format!("postgresql://alluvium_gateway@localhost:{port}/{database}?sslmode=verify-full&sslrootcert={roots}");
    let mut options = Options::new(url);
    options.password_file = Some(password.clone());
    // The password is read whenever a connection is made.
    std::fs::write(&password, "wrong").unwrap();
    let ledger = Ledger::new(&options, "a", Secret::random().unwrap()).unwrap();
    let answer = ledger.head().await;
    assert!(matches!(&answer, Err(Error::Refused(why)) if why.contains("password")), "{answer:?}");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let answer = ledger.head().await;
    assert!(matches!(&answer, Err(Error::Refused(why)) if why.contains("gateway is unknown")), "{answer:?}");
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_no_centre_now() {
    let centre = Centre::new().await;
    let (ledger, _) = centre.gateway("a").await;
    let read_only = |setting| format!("ALTER DATABASE {} SET default_transaction_read_only = {setting}", centre.database);
    centre.sql.batch_execute(&read_only("on")).await.unwrap();
    let answer = ledger.head().await;
    assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
    centre.sql.batch_execute(&read_only("off")).await.unwrap();
    ledger.head().await.unwrap();
}

#[tokio::test]
async fn nobody_at_the_door_is_unreachable() {
    let mut options = Options::new("host=127.0.0.1 port=1 user=a sslmode=disable");
    options.connect_timeout = std::time::Duration::from_secs(2);
    assert!(matches!(head(&options).await, Err(Error::Unreachable(_))));
    assert!(matches!(Central::connect(&options).await, Err(Error::Unreachable(_))));
}
