//! Who is let in by the server, and what they may: the real binary, with certificates that it issued and others.

use std::path::Path;
use std::time::Duration;

use alluvium_protocol::code::Code;
use alluvium_protocol::message::{
    Applied, BatchRefused, DescribeTable, Failed, Field, Message, OpenWriter, Opened, Query, QueryDone,
};
use alluvium_protocol::mutation::{Condition, Mutation, MutationBatch};
use alluvium_protocol::rows::{Layout, Value, Writer};
use alluvium_tests::binary::succeed;
use alluvium_tests::served::{Served, libfaketime};
use alluvium_tests::wire::{Identity, Talk, Wire};
use quinn::ConnectionError;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::time::timeout;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(60);

/// A database with devices `pump-7` and `pump-8`, a reader `bob` and an admin `eve`, each with a certificate.
struct Gateway {
    dir: TempDir,
}

impl Gateway {
    fn new() -> Gateway {
        let dir = tempfile::tempdir().unwrap();
        let gateway = Gateway { dir };
        for (name, role) in [("pump-7", "device"), ("pump-8", "device"), ("bob", "reader"), ("eve", "admin")] {
            succeed(&gateway.data(), ["user", "add", name, "--role", role]);
            gateway.issue(name, &[]);
        }
        gateway
    }

    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    fn issue(&self, name: &str, more: &[&str]) {
        let out = self.dir.path().to_str().unwrap();
        succeed(&self.data(), [&["cert", "issue", name, "--out", out], more].concat());
    }

    fn identity(&self, name: &str) -> Identity {
        Identity::read(self.dir.path(), name)
    }

    fn serve(&self) -> Served {
        Served::start(&self.data(), &["--gateway", "gateway-1"])
    }

    async fn connect(&self, served: &Served, name: &str) -> (Wire, Talk) {
        let (wire, greeting, welcome) = Wire::connect(served.at, Some(&self.identity(name))).await.unwrap();
        assert_eq!((welcome.principal.as_str(), welcome.gateway.as_str()), (name, "gateway-1"));
        (wire, greeting)
    }

    /// Entries of the audit trail about what was refused: who, what, of what, and how often.
    fn refusals(&self) -> Vec<(String, String, String, u64)> {
        let lines = succeed(&self.data(), ["audit", "list", "--outcome", "refused", "--json"]);
        let text = |entry: &Json, name: &str| entry[name].as_str().unwrap().to_owned();
        let read = |line: &str| {
            let entry: Json = serde_json::from_str(line).unwrap();
            (text(&entry, "who"), text(&entry, "what"), text(&entry, "object"), entry["times"].as_u64().unwrap())
        };
        lines.lines().map(read).collect()
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(SOON, test).await.expect("it hangs") })
}

fn air(create: bool) -> DescribeTable {
    let field = Field { name: "kw".to_owned(), kind: 0, scale: 0 };
    let (table, tags) = ("air".to_owned(), vec!["device".to_owned()]);
    DescribeTable { slot: 0, table, tags, fields: vec![field], time_unit: 0, create }
}

async fn writing(wire: &Wire, create: bool) -> Talk {
    let mut talk = wire.begin(&OpenWriter { writer: [1; 16], acknowledged: None }).await;
    talk.hear_a::<Opened>().await;
    talk.say(&air(create)).await;
    talk
}

async fn say_rows(talk: &mut Talk, number: u64, devices: &[&str]) {
    let layout = Layout::of(&air(false)).unwrap();
    let mut rows = Writer::new(&layout, number, 0);
    for (row, device) in devices.iter().enumerate() {
        rows.row(row as i64, &[Some(device)], &[Some(Value::Float64(number as f64))]).unwrap();
    }
    talk.say_frame(&rows.finish()).await;
}

/// How many rows of the table a caller sees.
async fn rows(wire: &Wire) -> Result<u64, Failed> {
    let mut talk = wire.begin(&Query { table: "air".to_owned(), ..Query::default() }).await;
    loop {
        let frame = talk.hear().await.expect("an end of the answer");
        match frame.kind {
            QueryDone::KIND => return Ok(QueryDone::read(&frame).unwrap().rows),
            Failed::KIND => return Err(Failed::read(&frame).unwrap()),
            _ => {}
        }
    }
}

#[test]
fn devices_write_and_read_their_own_rows_and_no_others() {
    let gateway = Gateway::new();
    let served = gateway.serve();
    run(async {
        let (eve, _eve) = gateway.connect(&served, "eve").await;
        let (seven, _seven) = gateway.connect(&served, "pump-7").await;
        let (eight, _eight) = gateway.connect(&served, "pump-8").await;
        // A device makes no tables.
        let mut talk = writing(&seven, true).await;
        assert_eq!(talk.failure().await.code(), Code::Refused);
        let mut talk = writing(&eve, true).await;
        say_rows(&mut talk, 1, &["pump-7", "pump-8", "pump-9"]).await;
        assert_eq!(talk.hear_a::<Applied>().await.through, 1);
        // Its own rows, and those of another among them: nothing of the batch is written.
        let mut talk = wire_of(&seven).await;
        say_rows(&mut talk, 1, &["pump-7", "pump-7"]).await;
        assert_eq!(talk.hear_a::<Applied>().await.through, 1);
        say_rows(&mut talk, 2, &["pump-7", "pump-8"]).await;
        let refused: BatchRefused = talk.hear_a().await;
        assert_eq!((refused.number, refused.failed.code()), (2, Code::Refused));
        assert!(refused.failed.message.contains("row 1") && !refused.failed.message.contains("pump-8"), "{refused:?}");
        assert_eq!((rows(&eve).await, rows(&seven).await, rows(&eight).await), (Ok(3 + 1), Ok(1 + 1), Ok(1)));
        // Whoever may read nothing of a table hears no more than that.
        let (status, _) = eve.call("PUT", "/principals/bob", &json!({ "roles": [] })).await;
        assert_eq!(status, 200);
        let (bob, _bob) = gateway.connect(&served, "bob").await;
        assert_eq!(rows(&bob).await.unwrap_err().code(), Code::Refused);
        // Mutations likewise.
        let put = |key: &str| Mutation::PutPair {
            key: key.to_owned(),
            value: b"on".to_vec(),
            condition: Condition::Any,
            time_to_live: None,
        };
        let mut talk = eight.begin(&OpenWriter { writer: [1; 16], acknowledged: None }).await;
        talk.hear_a::<Opened>().await;
        talk.say(&MutationBatch { number: 1, mutations: vec![put("pump-8/state"), put("pump-7/state")] }).await;
        assert_eq!(talk.hear_a::<BatchRefused>().await.failed.code(), Code::Refused);
        talk.say(&MutationBatch { number: 1, mutations: vec![put("pump-8/state")] }).await;
        assert_eq!(talk.hear_a::<Applied>().await.through, 1);
        let (status, answer) = eight.call("GET", "/kv?beginning=pump-", &Json::Null).await;
        assert_eq!((status, answer["pairs"].as_array().unwrap().len()), (200, 1));
        assert_eq!(eight.call("GET", "/kv/pump-7%2Fstate", &Json::Null).await.0, 403);
        assert_eq!(eight.call("GET", "/audit", &Json::Null).await.0, 403);
    });
    assert!(served.end().success());
    let refusals = gateway.refusals();
    for (who, what, object) in [
        ("pump-7", "define", "table:air"),
        ("pump-7", "write", "table:air"),
        ("bob", "read", "table:air"),
        ("pump-8", "write", "key:pump-7/state"),
        ("pump-8", "read", "key:pump-7/state"),
        ("pump-8", "administer", "database"),
    ] {
        assert!(
            refusals.iter().any(|(w, a, o, times)| (w.as_str(), a.as_str(), o.as_str(), *times) == (who, what, object, 1)),
            "{who} {what} {object}: {refusals:?}"
        );
    }
    succeed(&gateway.data(), ["audit", "check"]);
    succeed(&gateway.data(), ["verify"]);
}

/// A writer stream for a table that is there.
async fn wire_of(wire: &Wire) -> Talk {
    writing(wire, false).await
}

#[test]
fn a_revoked_certificate_closes_its_connections_and_opens_none() {
    let gateway = Gateway::new();
    let served = gateway.serve();
    run(async {
        let (eve, _eve) = gateway.connect(&served, "eve").await;
        let (seven, _seven) = gateway.connect(&served, "pump-7").await;
        let (eight, _eight) = gateway.connect(&served, "pump-8").await;
        let (status, answer) = eve.call("DELETE", "/certificates/pump-7", &Json::Null).await;
        assert_eq!((status, answer["revoked"].as_array().unwrap().len()), (200, 1));
        assert_eq!(seven.closed_with().await, u64::from(Code::Unauthenticated.number()));
        let again = Wire::dial(served.at, Some(&gateway.identity("pump-7"))).await.unwrap();
        assert_eq!(again.closed_with().await, u64::from(Code::Unauthenticated.number()));
        // Others go on; a disabled or removed principal does not.
        assert_eq!(eight.call("GET", "/principals/pump-8", &Json::Null).await.0, 200);
        let (status, _) = eve.call("PUT", "/principals/pump-8", &json!({ "roles": ["device"], "disabled": true })).await;
        assert_eq!(status, 200);
        assert_eq!(eight.closed_with().await, u64::from(Code::Unauthenticated.number()));
        let (bob, _bob) = gateway.connect(&served, "bob").await;
        assert_eq!(eve.call("DELETE", "/principals/bob", &Json::Null).await.0, 204);
        assert_eq!(bob.closed_with().await, u64::from(Code::Unauthenticated.number()));
    });
    assert!(served.end().success());
}

/// A certificate of the test's own making.
fn forged(issuer: Option<&Issuer<'_, KeyPair>>, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "pump-7");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = names.iter().map(|name| SanType::URI((*name).try_into().unwrap())).collect();
    change(&mut params);
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Identity { chain: vec![certificate.der().clone()], key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() }
}

/// Whether the handshake lets somebody through, so far that they may greet.
async fn is_let_in(served: &Served, identity: Option<&Identity>) -> bool {
    match Wire::connect(served.at, identity).await {
        Ok(_) => true,
        Err(
            ConnectionError::ConnectionClosed(_) | ConnectionError::TransportError(_) | ConnectionError::ApplicationClosed(_),
        ) => false,
        Err(other) => panic!("{other}"),
    }
}

fn authority(data: &Path) -> Issuer<'static, KeyPair> {
    let file = |name: &str| std::fs::read_to_string(data.join("certificates").join(name)).unwrap();
    Issuer::from_ca_cert_pem(&file("ca.pem"), KeyPair::from_pem(&file("ca.key")).unwrap()).unwrap()
}

#[test]
fn only_sound_certificates_of_a_trusted_authority_are_let_in() {
    let gateway = Gateway::new();
    let served = gateway.serve();
    let own = authority(&gateway.data());
    let other_key = KeyPair::generate().unwrap();
    let mut other = CertificateParams::default();
    other.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    other.distinguished_name.push(DnType::CommonName, "Factory");
    let other_pem = other.self_signed(&other_key).unwrap().pem();
    let foreign = Issuer::new(other, other_key);
    let seven = &["alluvium:pump-7"][..];
    run(async {
        assert!(is_let_in(&served, Some(&gateway.identity("pump-7"))).await);
        assert!(is_let_in(&served, Some(&forged(Some(&own), seven, |_| {}))).await, "what is wrong below is what is said");
        assert!(!is_let_in(&served, None).await, "no certificate");
        for (identity, what) in [
            (forged(None, seven, |_| {}), "self-signed"),
            (forged(Some(&foreign), seven, |_| {}), "of another authority"),
            (forged(Some(&own), seven, |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1)), "expired"),
            (forged(Some(&own), seven, |params| params.not_before = rcgen::date_time_ymd(2050, 1, 1)), "not yet valid"),
            (forged(Some(&own), &[], |_| {}), "names nobody"),
            (forged(Some(&own), &["alluvium:pump-7", "alluvium:eve"], |_| {}), "names two"),
            (forged(Some(&own), &["spiffe:pump-7"], |_| {}), "names nobody of ours"),
            (
                forged(Some(&own), seven, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
                "a server's",
            ),
            (forged(Some(&own), &["alluvium:nobody"], |_| {}), "a principal that is not there"),
        ] {
            assert!(!is_let_in(&served, Some(&identity)).await, "{what}");
        }
    });
    assert!(served.end().success());
    // An authority of others speaks for its own: NAME@ISSUER.
    let file = gateway.dir.path().join("factory.pem");
    std::fs::write(&file, other_pem).unwrap();
    succeed(&gateway.data(), ["cert", "ca", "trust", "factory", file.to_str().unwrap()]);
    succeed(&gateway.data(), ["user", "add", "pump-7@factory", "--role", "device"]);
    let served = gateway.serve();
    run(async {
        let identity = forged(Some(&foreign), seven, |_| {});
        let (_wire, _greeting, welcome) = Wire::connect(served.at, Some(&identity)).await.unwrap();
        assert_eq!(welcome.principal, "pump-7@factory");
    });
    assert!(served.end().success());
}

/// A gateway whose clock begins in 1970 lets in whom it let in before.
#[test]
fn a_clock_of_1970_keeps_nobody_out_and_lets_nobody_in() {
    let gateway = Gateway::new();
    let data = gateway.data();
    let mut command = alluvium_tests::binary::command(&data, ["serve", "--json", "--listen", "127.0.0.1:0", "--http", "none"]);
    command.env("LD_PRELOAD", libfaketime()).env("FAKETIME", "@1970-01-02 00:00:00").env("DONT_FAKE_MONOTONIC", "1");
    let served = Served::spawn(command);
    let own = authority(&data);
    run(async {
        assert!(is_let_in(&served, Some(&gateway.identity("pump-7"))).await);
        let expired = forged(Some(&own), &["alluvium:pump-7"], |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
        assert!(!is_let_in(&served, Some(&expired)).await, "expired by all that is known");
    });
    assert!(served.end().success());
    let trail = succeed(&data, ["audit", "list", "--json"]);
    assert!(trail.lines().last().unwrap().contains("1970-01-02"), "its clock did show 1970");
}

/// Only the request for its key leaves the device, and the certificate comes back.
#[test]
fn a_device_keeps_its_key_and_has_it_certified_over_the_network() {
    let gateway = Gateway::new();
    let served = gateway.serve();
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    run(async {
        let (admin, _greeting) = gateway.connect(&served, "eve").await;
        let wanted = json!({ "principal": "pump-7", "csr": request, "days": 30 });
        let (reader, _greeting) = gateway.connect(&served, "bob").await;
        assert_eq!(reader.call("POST", "/certificates", &wanted).await.0, 403);
        let (status, issued) = admin.call("POST", "/certificates", &wanted).await;
        assert_eq!((status, issued["principal"].as_str()), (201, Some("pump-7")), "{issued}");
        let chain = CertificateDer::pem_slice_iter(issued["chain"].as_str().unwrap().as_bytes());
        let chain = chain.map(|one| one.unwrap()).collect();
        let identity = Identity { chain, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() };
        let (_, _, welcome) = Wire::connect(served.at, Some(&identity)).await.unwrap();
        assert_eq!(welcome.principal, "pump-7");
        // A key has one owner, a request is a request, and there is who it is for.
        let other = json!({ "principal": "pump-8", "csr": request });
        let nobody = json!({ "principal": "nobody", "csr": request });
        let nothing = json!({ "principal": "pump-7", "csr": "nothing" });
        for (wrong, status) in [(other, 400), (nobody, 404), (nothing, 400)] {
            let (found, problem) = admin.call("POST", "/certificates", &wrong).await;
            assert_eq!(found, status, "{problem}");
        }
        // It can be revoked like any other.
        let named = issued["key"].as_str().unwrap();
        assert_eq!(admin.call("DELETE", &format!("/certificates/{named}"), &Json::Null).await.0, 200);
        assert!(Wire::connect(served.at, Some(&identity)).await.is_err());
    });
    assert!(served.end().success());
}
