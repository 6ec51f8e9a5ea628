//! The server, started by the project's own script.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_sync::postgres::{Central, Ledger, Options, Secret};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

/// The gateways' login has it.
pub(crate) const PASSWORD: &str = "wash hands 'often'";

/// A PostgreSQL and a pgbouncer that end with this process.
pub(crate) struct Server {
    pub(crate) socket: PathBuf,
    pub(crate) port: u16,
    pub(crate) bouncer: u16,
    /// The certificate of the authority that the server's own is from.
    pub(crate) roots: String,
    ready: OnceCell<()>,
    /// Its input ends with this process, and then the server does.
    _script: Child,
}

/// An authority that issues certificates for servers.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name, and its key.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// The one of all tests.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    fn start() -> Server {
        let authority = Authority::new();
        let (certificate, key) = authority.issue("localhost");
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/postgres");
        let mut command = Command::new(&script);
        command.arg("--tls").args([file("certificate", &certificate), file("key", &key)]).args(["--bouncer", PASSWORD]);
        // Where the cluster has TimescaleDB the tests run beside it.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        let [socket, port, bouncer] = words[..] else { panic!("{} told {line:?}", script.display()) };
        let (port, bouncer) = (port.parse().unwrap(), bouncer.parse().unwrap());
        Server { socket: socket.into(), port, bouncer, roots: authority.pem(), ready: OnceCell::new(), _script: child }
    }

    /// A statement of the superuser's.
    pub(crate) async fn superuser(&self, database: &str) -> Client {
        let conninfo = format!("host={} port={} user=postgres dbname={database}", self.socket.display(), self.port);
        let (client, connection) = tokio_postgres::connect(&conninfo, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// The owner is no superuser. The gateways' login is of the whole cluster, so it is made once.
    async fn ready(&self) {
        self.ready
            .get_or_init(|| async {
                let client = self.superuser("postgres").await;
                client.batch_execute("CREATE ROLE owner LOGIN CREATEROLE").await.unwrap();
                client.batch_execute("CREATE DATABASE first OWNER owner").await.unwrap();
                let mut central = Central::connect(&self.owner("first")).await.unwrap();
                central.migrate().await.unwrap();
                central.set_login_password(PASSWORD).await.unwrap();
            })
            .await;
    }

    /// How the owner gets to a database.
    pub(crate) fn owner(&self, database: &str) -> Options {
        Options::new(format!("host={} port={} user=owner dbname={database}", self.socket.display(), self.port))
    }

    /// How gateways get to a database: by TCP, with the certificate verified.
    pub(crate) fn login(&self, database: &str) -> Options {
        self.login_at(database, self.port)
    }

    pub(crate) fn login_at(&self, database: &str, port: u16) -> Options {
        let password = PASSWORD.replace('\'', "\\'");
        let conninfo = format!("host=localhost port={port} user=alluvium_gateway dbname={database} password='{password}'");
        let mut options = Options::new(conninfo);
        options.roots = Some(self.roots.clone().into_bytes());
        options
    }

    /// Makes a database, without a schema.
    pub(crate) async fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        self.ready().await;
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let client = self.superuser("postgres").await;
        client.batch_execute(&format!("CREATE DATABASE {name} OWNER owner")).await.unwrap();
        name
    }
}

/// A centre of its own.
pub(crate) struct Centre {
    pub(crate) database: String,
    pub(crate) owner: Central,
    /// For looking and meddling.
    pub(crate) sql: Client,
}

impl Centre {
    pub(crate) async fn new() -> Centre {
        let server = server();
        let database = server.database().await;
        let mut owner = Central::connect(&server.owner(&database)).await.unwrap();
        owner.migrate().await.unwrap();
        let sql = server.superuser(&database).await;
        Centre { database, owner, sql }
    }

    pub(crate) fn options(&self) -> Options {
        server().login(&self.database)
    }

    /// A gateway that was provisioned.
    pub(crate) async fn gateway(&self, name: &str) -> (Ledger, Secret) {
        let secret = self.owner.provision(name).await.unwrap();
        (Ledger::new(&self.options(), name, secret.clone()).unwrap(), secret)
    }

    /// One number.
    pub(crate) async fn number(&self, statement: &str) -> i64 {
        self.sql.query_one(statement, &[]).await.unwrap().get(0)
    }

    /// One text.
    pub(crate) async fn text(&self, statement: &str) -> String {
        self.sql.query_one(statement, &[]).await.unwrap().get(0)
    }

    /// Everything that is kept of all gateways but one, as one text: to see that nothing of it changed.
    pub(crate) async fn all_but(&self, gateway: &str) -> String {
        let mut all = String::new();
        let tables = "gateways incarnations cuts units segments gaps drops erasures announced_tables metadata";
        for table in tables.split(' ') {
            let statement = format!(
                "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM alluvium.{table} t
                WHERE t.gateway IS DISTINCT FROM (SELECT g.gateway FROM alluvium.gateways g WHERE g.name = '{gateway}')"
            );
            all = format!("{all}\n{table}\n{}", self.text(&statement).await);
        }
        all
    }
}
