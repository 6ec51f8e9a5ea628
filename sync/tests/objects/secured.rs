//! Stores that are spoken to by TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium_sync::objects::{Kind as Trouble, Settings, Target};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::{Kind, Store};

/// The years in which a certificate holds.
type Years = (i32, i32);

/// Speaks TLS before a store; its certificate is signed by one that the file has.
async fn front(store: &Store, years: Years) -> (SocketAddr, PathBuf) {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let file = store.folder.join("roots.pem");
    std::fs::write(&file, root.pem()).unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (leaf.not_before, leaf.not_after) = (rcgen::date_time_ymd(years.0, 1, 1), rcgen::date_time_ymd(years.1, 1, 1));
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &root).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
    let (acceptor, heard) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (at, to) = (heard.local_addr().unwrap(), store.kind.at());
    tokio::spawn(async move {
        while let Ok((stream, _)) = heard.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut secured = acceptor.accept(stream).await.ok()?;
                let mut beyond = TcpStream::connect(to).await.ok()?;
                tokio::io::copy_bidirectional(&mut secured, &mut beyond).await.ok()
            });
        }
    });
    (at, file)
}

async fn kind(settings: &Settings) -> Option<Trouble> {
    let target = Target::open(settings).unwrap();
    let put = target.put_new("a", &Bytes::from_static(b"manifest")).await;
    put.err().map(|trouble| trouble.kind)
}

#[tokio::test]
async fn who_is_signed_for_is_trusted_and_nobody_else() {
    for store in Kind::REMOTE {
        let store = Store::new(store).await;
        let (at, roots) = front(&store, (2020, 2100)).await;
        let settings = store.settings(at);
        let secured = |host: &str| {
            let endpoint =
                settings.endpoint.clone().unwrap().replace(&format!("http://{at}"), &format!("https://{host}:{}", at.port()));
            Settings { endpoint: Some(endpoint), allow_http: false, ..settings.clone() }
        };
        let with_roots = |settings: Settings| Settings { root_certificates: Some(roots.clone()), ..settings };
        assert_eq!(kind(&with_roots(secured("localhost"))).await, None);
        // Signed for another name, and by nobody we know.
        assert_eq!(kind(&with_roots(secured("127.0.0.1"))).await, Some(Trouble::Untrusted));
        assert_eq!(kind(&secured("localhost")).await, Some(Trouble::Untrusted));
        // A clock that is before, or behind, all of its time.
        for years in [(2090, 2100), (2001, 2002)] {
            let (at, roots) = front(&store, years).await;
            let endpoint = store
                .settings(at)
                .endpoint
                .unwrap()
                .replace(&format!("http://{at}"), &format!("https://localhost:{}", at.port()));
            let settings = Settings { endpoint: Some(endpoint), root_certificates: Some(roots), ..store.settings(at) };
            assert_eq!(kind(&settings).await, Some(Trouble::Clock), "{years:?}");
        }
    }
}

#[tokio::test]
async fn roots_that_are_none_are_refused() {
    let store = Store::new(Kind::Moto).await;
    let file = store.folder.join("roots.pem");
    std::fs::write(&file, "nothing\n").unwrap();
    let settings = Settings { root_certificates: Some(file), ..store.settings(Kind::Moto.at()) };
    let refused = Target::open(&settings).unwrap_err().to_string();
    assert!(refused.contains("roots.pem: no certificate is in it"), "{refused}");
}
