//! Certificates as clients show them, one wrong thing at a time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, ServerConnection};

use super::*;

/// 2027-01-15, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

type Chain = Vec<CertificateDer<'static>>;

fn boot() -> Duration {
    Duration::ZERO
}

fn at(seconds: i64) -> Clock {
    Clock::with_system(Some(seconds * 1_000_000), boot)
}

fn begin() -> (tempfile::TempDir, Store) {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open_or_make(data.path(), Some("gw-7"), &at(NOW)).unwrap();
    (data, store)
}

fn parse(pem: &str) -> Chain {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}

fn issue(store: &Store, name: &str, days: u32) -> Issued {
    store.authority().unwrap().issue(name, &Subject::fresh().unwrap(), days, &at(NOW)).unwrap()
}

fn judge(store: &Store, seconds: i64) -> Judge {
    Judge::new(store, at(seconds)).unwrap()
}

fn judged(store: &Store, seconds: i64, chain: &Chain) -> Result<Identity, Unfit> {
    judge(store, seconds).identify(&chain[0], &chain[1..])
}

fn refusal(judged: Result<Identity, Unfit>) -> String {
    judged.unwrap_err().to_string()
}

/// An authority of somebody else.
fn foreign() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

fn params(names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A certificate that another authority issued.
fn by(authority: &CertifiedIssuer<'_, KeyPair>, params: &CertificateParams) -> Chain {
    vec![params.signed_by(&KeyPair::generate().unwrap(), authority).unwrap().der().clone()]
}

/// A store that trusts such an authority as `acme`.
fn trusting() -> (tempfile::TempDir, Store, CertifiedIssuer<'static, KeyPair>) {
    let (data, store) = begin();
    let acme = foreign();
    store.check_trust("acme", acme.pem().as_bytes(), Path::new("acme.pem")).unwrap();
    store.trust("acme", acme.pem().as_bytes()).unwrap();
    (data, store, acme)
}

#[test]
fn a_certificate_names_its_principal() {
    let (_data, store) = begin();
    let issued = issue(&store, "pump-7", 30);
    let chain = parse(&issued.chain);
    assert_eq!(chain.len(), 2, "our authority's comes along");
    let identity = judged(&store, NOW, &chain).unwrap();
    assert_eq!(identity, Identity { principal: "pump-7".to_owned(), key: issued.certificate.key, issuer: None });
    assert_eq!((issued.certificate.not_before, issued.certificate.not_after), (BEGIN, NOW + 30 * 86_400));
}

#[test]
fn a_certificate_holds_for_its_time() {
    let (_data, store, acme) = trusting();
    let chain = parse(&issue(&store, "pump-7", 30).chain);
    let end = NOW + 30 * 86_400;
    judged(&store, end - 60, &chain).unwrap();
    let expired = judged(&store, end + 60, &chain).unwrap_err();
    assert!(matches!(expired, Unfit::NotHeld(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))), "{expired}");
    let mut later = params(vec![uri("alluvium:pump-7")]);
    later.not_before = date_time_ymd(2030, 1, 1);
    let early = judged(&store, NOW, &by(&acme, &later)).unwrap_err();
    assert!(matches!(early, Unfit::NotHeld(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. }))), "{early}");
    judged(&store, NOW + 4 * 365 * 86_400, &by(&acme, &later)).unwrap();
}

#[test]
fn a_clock_in_1970_is_helped_by_the_time_that_was_noted() {
    let (_data, store, acme) = trusting();
    let mut recent = params(vec![uri("alluvium:pump-7")]);
    recent.not_before = date_time_ymd(2027, 1, 1);
    let chain = by(&acme, &recent);
    let judge = |noted| Judge::new(&store, Clock::with_system(noted, boot)).unwrap().identify(&chain[0], &[]);
    assert!(refusal(judge(None)).contains("not valid yet"));
    judge(Some(NOW * 1_000_000)).unwrap();
    // What is issued here holds without.
    let own = parse(&issue(&store, "pump-7", 30).chain);
    Judge::new(&store, Clock::with_system(None, boot)).unwrap().identify(&own[0], &[]).unwrap();
}

#[test]
fn another_authority_is_not_believed() {
    let (_data, store) = begin();
    let (_other_data, other) = begin();
    let unknown = |judged| matches!(judged, Err(Unfit::NotHeld(Error::InvalidCertificate(CertificateError::UnknownIssuer))));
    assert!(unknown(judged(&store, NOW, &parse(&issue(&other, "pump-7", 30).chain))));
    assert!(unknown(judged(&store, NOW, &by(&foreign(), &params(vec![uri("alluvium:pump-7")])))));
    // One that a client has certifies nothing.
    let issued = issue(&store, "pump-7", 30);
    let key = KeyPair::from_pem(issued.private_key.as_deref().unwrap()).unwrap();
    let device = rcgen::Issuer::from_ca_cert_der(&parse(&issued.chain)[0], key).unwrap();
    let forged = params(vec![uri("alluvium:admin")]).signed_by(&KeyPair::generate().unwrap(), &device).unwrap();
    let chain = [vec![forged.der().clone()], parse(&issued.chain)].concat();
    assert!(judged(&store, NOW, &chain).is_err());
}

#[test]
fn the_servers_certificate_is_no_clients() {
    let (_data, store) = begin();
    let chain = parse(&fs::read_to_string(store.directory().join("server.pem")).unwrap());
    let refused = judged(&store, NOW, &chain).unwrap_err();
    assert!(
        matches!(refused, Unfit::NotHeld(Error::InvalidCertificate(CertificateError::InvalidPurposeContext { .. }))),
        "{refused}"
    );
}

#[test]
fn a_certificate_names_exactly_one() {
    let (_data, store, acme) = trusting();
    let refused = |names| refusal(judged(&store, NOW, &by(&acme, &params(names))));
    let dns = || SanType::DnsName("pump-7".try_into().unwrap());
    assert!(refused(vec![]).contains("no URI"));
    assert!(refused(vec![dns()]).contains("no URI"));
    assert!(refused(vec![uri("alluvium:a"), uri("alluvium:b")]).contains("2 URIs"));
    assert!(refused(vec![uri("alluvium:a"), uri("https://example.org")]).contains("2 URIs"));
    assert!(refused(vec![uri("spiffe://a")]).contains("\"spiffe://a\""));
    assert!(refused(vec![uri("ALLUVIUM:a")]).contains("\"ALLUVIUM:a\""));
    for odd in ["alluvium:", "alluvium:a b", "alluvium:a/b", "alluvium:*"] {
        assert!(refused(vec![uri(odd)]).contains("names nobody"), "{odd}");
    }
    assert!(refused(vec![uri(&format!("alluvium:{}", "x".repeat(125)))]).contains("names nobody"), "with @acme it is too long");
    judged(&store, NOW, &by(&acme, &params(vec![dns(), uri("alluvium:a")]))).unwrap();
}

#[test]
fn a_name_that_is_no_text_counts_as_well() {
    let (_data, store, acme) = trusting();
    let mut odd = params(Vec::new());
    // Names: URI alluvium:a, and a URI of one byte that is no UTF-8.
    let names = [&[0x30, 15, 0x86, 10][..], b"alluvium:a", &[0x86, 1, 0xff]].concat();
    odd.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], names));
    assert!(refusal(judged(&store, NOW, &by(&acme, &odd))).contains("2 URIs"));
}

#[test]
fn another_authority_speaks_for_its_own_only() {
    let (_data, store, acme) = trusting();
    let name = |uri_text| judged(&store, NOW, &by(&acme, &params(vec![uri(uri_text)]))).unwrap();
    let identity = name("alluvium:pump-7");
    assert_eq!((identity.principal.as_str(), identity.issuer.as_deref()), ("pump-7@acme", Some("acme")));
    assert_eq!(name("alluvium:pump-7@other").principal, "pump-7@other@acme");
    let refused = store.authority().unwrap().issue("pump-7@acme", &Subject::fresh().unwrap(), 1, &at(NOW)).unwrap_err();
    assert!(format!("{refused:?}").contains("another authority"), "{refused:?}");
    // Even what our own key was made to sign elsewhere.
    let own = store.authority().unwrap();
    let key = KeyPair::generate().unwrap();
    let forged = parse(&own.certify_client("pump-7@acme", &key, NOW + 1_000).unwrap());
    assert!(refusal(judged(&store, NOW, &forged)).contains("only another's authority"));
}

#[test]
fn who_is_trusted_may_change_meanwhile() {
    let (_data, store) = begin();
    let judge = judge(&store, NOW);
    let acme = foreign();
    let chain = by(&acme, &params(vec![uri("alluvium:a")]));
    assert!(judge.identify(&chain[0], &[]).is_err());
    store.trust("acme", acme.pem().as_bytes()).unwrap();
    assert!(judge.identify(&chain[0], &[]).is_err(), "not before it is told");
    judge.reload().unwrap();
    assert_eq!(judge.identify(&chain[0], &[]).unwrap().principal, "a@acme");
    // Files that cannot be read change nothing.
    store.trust("broken", b"no certificate").unwrap();
    assert!(judge.reload().is_err());
    judge.identify(&chain[0], &[]).unwrap();
    assert!(store.distrust("broken").unwrap() && store.distrust("acme").unwrap() && !store.distrust("acme").unwrap());
    judge.reload().unwrap();
    assert!(judge.identify(&chain[0], &[]).is_err());
}

#[test]
fn what_cannot_be_trusted_is_refused() {
    let (_data, store, acme) = trusting();
    let path = Path::new("x.pem");
    let refused = |issuer: &str, pem: &str| format!("{:?}", store.check_trust(issuer, pem.as_bytes(), path).unwrap_err());
    assert!(refused("other", &acme.pem()).contains("that of acme already"));
    assert!(refused("other", &store.authority_pem().unwrap()).contains("our own already"));
    assert!(refused("other", "nothing").contains("no certificate"));
    assert!(refused("other", &issue(&store, "a", 1).chain).contains("no authority's"));
    assert!(refused("other", &(foreign().pem() + &KeyPair::generate().unwrap().serialize_pem())).contains("private key"));
    for odd in ["", "a@b", "../a", ".a", "a/b", "a b"] {
        assert!(store.check_trust(odd, foreign().pem().as_bytes(), path).is_err(), "{odd:?}");
        assert!(store.distrust(odd).is_err(), "{odd:?}");
    }
    store.check_trust("acme", foreign().pem().as_bytes(), path).unwrap();
    store.check_trust("acme", acme.pem().as_bytes(), path).unwrap();
}

fn requested(request: &[u8]) -> Result<Subject, String> {
    Subject::requested(request, Path::new("x.csr")).map_err(|failure| format!("{failure:?}"))
}

#[test]
fn of_a_signing_request_only_the_key_is_taken() {
    let (_data, store) = begin();
    let key = KeyPair::generate().unwrap();
    let mut asked = params(vec![uri("alluvium:admin"), uri("alluvium:root")]);
    asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let request = asked.serialize_request(&key).unwrap();
    let subject = requested(request.pem().unwrap().as_bytes()).unwrap();
    let issued = store.authority().unwrap().issue("pump-7", &subject, 30, &at(NOW)).unwrap();
    assert_eq!(issued.private_key, None);
    let chain = parse(&issued.chain);
    let identity = judged(&store, NOW, &chain).unwrap();
    assert_eq!((identity.principal.as_str(), identity.key), ("pump-7", subject.key()));
    assert_eq!(identity.key, alluvium::KeyHash::of(&rcgen::PublicKeyData::subject_public_key_info(&key)));
    assert_eq!(der::is_authority(&chain[0]), Ok(false));
}

#[test]
fn who_does_not_have_the_key_cannot_have_it_certified() {
    let request = params(Vec::new()).serialize_request(&KeyPair::generate().unwrap()).unwrap();
    let mut der = request.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let pem = |der: &[u8]| {
        let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
    };
    assert!(requested(pem(&der).as_bytes()).unwrap_err().contains("Invalid CSR signature"));
    assert!(requested(pem(&der[..40]).as_bytes()).unwrap_err().contains("cannot certify"));
    assert!(requested(b"nothing").unwrap_err().contains("no signing request"));
    requested(pem(request.der()).as_bytes()).unwrap();
}

/// A request of a P-384 key, signed with SHA-256: from the signature one would take it for one of P-256.
const MIXED: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIIBCzCBkgIBADATMREwDwYDVQQDDAh3aGF0ZXZlcjB2MBAGByqGSM49AgEGBSuB
BAAiA2IABKQQcJgPgty7788oD/22Nnput+YdwbjnXc3AlYTwXG730PIFUd4lQakg
wY/GsdH+SzHDxjLVqCV6lI0AktbR9tCB34TP0TzxtHWpWgePiRJHQhnEOifPm+FH
jY0/nY7IuqAAMAoGCCqGSM49BAMCA2gAMGUCMQCy5Z/g8MQ/FC0smvOs6W/MnfFR
CONv2OQMZejBJzfBetnrw9cVIEO42nl90oluDqECMAOxioJFwswDQpdYrRXY5nsf
B6QEgbH75hnDY1EUkEIiUc7Ros8lLRFgBZVkLVB+UQ==
-----END CERTIFICATE REQUEST-----
";

#[test]
fn a_key_that_would_become_another_is_refused() {
    assert!(requested(MIXED.as_bytes()).unwrap_err().contains("P-384 with SHA-384"));
}

#[test]
fn days_beyond_the_authority_are_refused() {
    let (_data, store) = begin();
    let refused = store.authority().unwrap().issue("a", &Subject::fresh().unwrap(), 20_000, &at(NOW));
    assert!(format!("{:?}", refused.unwrap_err()).contains("20000 days"));
}

#[test]
fn keys_are_for_their_owner_only() {
    let (_data, store) = begin();
    let mode = |name: &str| fs::metadata(store.directory().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ca.key"), mode("server.key")), (0o600, 0o600));
    let mut names: Vec<_> = fs::read_dir(store.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["ca.key", "ca.pem", "server.key", "server.pem"], "nothing else is left");
}

#[test]
fn what_is_there_stays() {
    let (data, store) = begin();
    let read = |name: &str| fs::read(store.directory().join(name)).unwrap();
    let all = || ["ca.pem", "ca.key", "server.pem", "server.key"].map(read);
    let before = all();
    let again = Store::open_or_make(data.path(), None, &at(NOW)).unwrap();
    assert_eq!((again.gateway().as_str(), all()), ("gw-7", before.clone()));
    Store::open_or_make(data.path(), Some("gw-7"), &at(NOW + 6 * 365 * 86_400)).unwrap();
    assert_eq!(all(), before);
    // Less than a third is left.
    let later = at(NOW + 7 * 365 * 86_400);
    Store::open_or_make(data.path(), None, &later).unwrap();
    assert_ne!(read("server.pem"), before[2]);
    assert_eq!([read("ca.pem"), read("ca.key"), read("server.key")], [before[0].clone(), before[1].clone(), before[3].clone()]);
    let renamed = Store::open_or_make(data.path(), Some("GW-8"), &later).unwrap();
    assert_eq!(renamed.gateway(), "gw-8");
    // As long as there is an authority at all, and no longer.
    let end = fs::read(store.directory().join("server.pem")).unwrap();
    Store::open_or_make(data.path(), None, &at(END - 60)).unwrap();
    let last = read("server.pem");
    assert_ne!(last, end);
    Store::open_or_make(data.path(), None, &at(END - 60)).unwrap();
    assert_eq!(read("server.pem"), last);
}

#[test]
fn an_authority_may_be_kept_elsewhere() {
    let (data, store) = begin();
    let key = fs::read(store.authority_key()).unwrap();
    assert!(store.remove_authority_key().unwrap() && !store.remove_authority_key().unwrap());
    assert!(format!("{:?}", store.authority().unwrap_err()).contains("kept elsewhere"));
    // The server goes on, as itself, to the end and beyond.
    Store::open_or_make(data.path(), Some("gw-7"), &at(NOW)).unwrap();
    Store::open_or_make(data.path(), None, &at(END)).unwrap();
    let renamed = Store::open_or_make(data.path(), Some("gw-8"), &at(NOW)).unwrap_err();
    assert!(format!("{renamed:?}").contains("kept elsewhere"), "{renamed:?}");
    // Never is another made in its place.
    fs::remove_file(store.directory().join("ca.pem")).unwrap();
    let gone = Store::open_or_make(data.path(), None, &at(NOW)).unwrap_err();
    assert!(format!("{gone:?}").contains("ca.pem is gone"), "{gone:?}");
    // Its key alone makes the same again.
    let chain = parse(&fs::read_to_string(store.directory().join("server.pem")).unwrap());
    fs::write(store.authority_key(), key).unwrap();
    let again = Store::open_or_make(data.path(), None, &at(NOW)).unwrap();
    assert_eq!(parse(&fs::read_to_string(again.directory().join("server.pem")).unwrap()), chain);
    fs::write(store.authority_key(), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(format!("{:?}", again.authority().unwrap_err()).contains("is not the key"));
}

#[test]
fn files_that_are_not_what_they_were_are_named() {
    let (data, store) = begin();
    for name in ["ca.pem", "ca.key", "server.pem", "server.key"] {
        let path = store.directory().join(name);
        let content = fs::read(&path).unwrap();
        fs::write(&path, "").unwrap();
        let refused = format!("{:?}", Store::open_or_make(data.path(), None, &at(NOW)).unwrap_err());
        assert!(refused.contains(name), "{refused}");
        fs::write(&path, content).unwrap();
    }
    fs::write(store.directory().join("server.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let refused = format!("{:?}", Store::open(data.path()).unwrap_err());
    assert!(refused.contains("do not belong together"), "{refused}");
}

/// Shakes hands. Answers what the server shows, and why either refuses.
fn shake(store: &Store, judge: &Arc<Judge>, server: &str, client: Option<&Issued>) -> Result<Chain, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(parse(&store.authority_pem().unwrap()).remove(0)).unwrap();
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let mut config = match client {
        Some(issued) => {
            let key = KeyPair::from_pem(issued.private_key.as_deref().unwrap()).unwrap().serialize_der();
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
            config.with_client_auth_cert(parse(&issued.chain), key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alluvium_protocol::ALPN.to_vec()];
    let name = ServerName::try_from(server.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(store.server_config(judge.clone()).unwrap())).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    assert_eq!((client.alpn_protocol(), server.alpn_protocol()), (Some(alluvium_protocol::ALPN), Some(alluvium_protocol::ALPN)));
    assert_eq!(client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(client.tls13_tickets_received(), 0);
    let shown = server.peer_certificates().unwrap();
    assert!(judge.identify(&shown[0], &shown[1..]).is_ok());
    Ok(client.peer_certificates().unwrap().iter().map(|one| one.clone().into_owned()).collect())
}

#[test]
fn hands_are_shaken_with_those_who_are_known() {
    let (_data, store) = begin();
    let judge = Arc::new(Judge::new(&store, Clock::new(None)).unwrap());
    let device = issue(&store, "pump-7", 30);
    let shown = shake(&store, &judge, "gw-7", Some(&device)).unwrap();
    assert_eq!(gateway::id_of(&shown[0]).as_deref(), Some("gw-7"));
    let other = shake(&store, &judge, "gw-8", Some(&device)).unwrap_err();
    assert!(matches!(other, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })), "{other}");
    assert!(matches!(shake(&store, &judge, "gw-7", None), Err(Error::NoCertificatesPresented)));
    let (_other_data, other) = begin();
    let stranger = shake(&store, &judge, "gw-7", Some(&issue(&other, "pump-7", 30))).unwrap_err();
    assert!(matches!(stranger, Error::InvalidCertificate(CertificateError::UnknownIssuer)), "{stranger}");
    // What is wrong with a name is seen in the handshake, and the log is told in words.
    let key = KeyPair::generate().unwrap();
    let chain = store.authority().unwrap().certify_client("pump-7@acme", &key, NOW + 1_000).unwrap();
    let odd = Issued { chain, private_key: Some(key.serialize_pem()), certificate: device.certificate.clone() };
    let odd = shake(&store, &judge, "gw-7", Some(&odd)).unwrap_err().to_string();
    assert!(odd.contains("only another's authority"), "{odd}");
    let expired = Arc::new(Judge::new(&store, at(NOW + 31 * 86_400)).unwrap());
    assert!(shake(&store, &expired, "gw-7", Some(&device)).is_err());
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let (data, store) = begin();
    let judge = Arc::new(judge(&store, NOW));
    let device = issue(&store, "pump-7", 30);
    let before = shake(&store, &judge, "gw-7", Some(&device)).unwrap();
    Store::open_or_make(data.path(), Some("gw-8"), &at(NOW)).unwrap();
    assert_eq!(shake(&store, &judge, "gw-7", Some(&device)).unwrap(), before, "not before it is told");
    store.reload().unwrap();
    assert_ne!(shake(&store, &judge, "gw-8", Some(&device)).unwrap(), before);
}

#[test]
fn quic_takes_the_configuration() {
    let (_data, store) = begin();
    let config = store.server_config(Arc::new(judge(&store, NOW))).unwrap();
    assert_eq!(config.max_early_data_size, 0);
    quinn::crypto::rustls::QuicServerConfig::try_from(config).unwrap();
}
