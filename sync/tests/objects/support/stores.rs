//! Targets of every kind, each empty.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_sync::objects::{Settings, Target, Throttle};
use http::{Method, Request};
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::HttpRequestBody;

use super::proxy::{Proxy, raw};
use super::servers::{self, ACCESS_KEY};

/// Azurite's, which is no secret.
pub(crate) const AZURITE: (&str, &str) =
    ("devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Folder,
    Moto,
    S3s,
    Azurite,
}

pub(crate) const KINDS: [Kind; 5] = [Kind::Memory, Kind::Folder, Kind::Moto, Kind::S3s, Kind::Azurite];

impl Kind {
    /// Those that are asked over a connection.
    pub(crate) const REMOTE: [Kind; 3] = [Kind::Moto, Kind::S3s, Kind::Azurite];

    pub(crate) fn at(self) -> SocketAddr {
        match self {
            Kind::Moto => servers::moto().at,
            Kind::S3s => servers::s3s().at,
            Kind::Azurite => servers::azurite().at,
            Kind::Memory | Kind::Folder => panic!("{self:?} is nowhere"),
        }
    }
}

/// A place for objects that no other test uses.
pub(crate) struct Store {
    pub(crate) kind: Kind,
    pub(crate) bucket: String,
    /// Of files that the settings name.
    pub(crate) folder: PathBuf,
}

impl Store {
    pub(crate) async fn new(kind: Kind) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let bucket = format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        match kind {
            Kind::Memory | Kind::Folder => {}
            Kind::S3s => std::fs::create_dir(servers::s3s().folder.join(&bucket)).unwrap(),
            Kind::Moto => {
                let made = Request::put(format!("/{bucket}"))
                    .header("authorization", "AWS4-HMAC-SHA256 Credential=a/20251129/us-east-1/s3/aws4_request");
                assert_eq!(raw(kind.at(), made.body(HttpRequestBody::empty()).unwrap()).await.0, 200);
            }
            Kind::Azurite => make_container(kind.at(), &bucket).await,
        }
        let folder = base().join(&bucket);
        std::fs::create_dir(&folder).unwrap();
        Store { kind, bucket, folder }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("archive")
    }

    /// A file of credentials that the store takes.
    pub(crate) fn credentials(&self, id: &str, secret: &str) -> PathBuf {
        let path = self.folder.join("credentials");
        std::fs::write(&path, format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")).unwrap();
        path
    }

    /// How it is reached at an address.
    pub(crate) fn settings(&self, at: SocketAddr) -> Settings {
        let settings = match self.kind {
            Kind::Folder => return Settings::new(self.root().to_str().unwrap()),
            Kind::Memory => panic!("memory has no settings"),
            Kind::Moto | Kind::S3s => Settings {
                endpoint: Some(format!("http://{at}")),
                credentials_file: Some(self.credentials(ACCESS_KEY.0, ACCESS_KEY.1)),
                ..Settings::new(format!("s3://{}/north", self.bucket))
            },
            Kind::Azurite => Settings {
                endpoint: Some(format!("http://{at}/{}", AZURITE.0)),
                emulator: true,
                ..Settings::new(format!("az://{}/north", self.bucket))
            },
        };
        Settings { allow_http: true, stall_seconds: 30, connect_seconds: 15, ..settings }
    }

    /// The store over the best of links.
    pub(crate) fn target(&self) -> Target {
        match self.kind {
            Kind::Memory => Target::in_memory(Throttle::new(None, None)),
            Kind::Folder => Target::open(&self.settings(SocketAddr::from(([127, 0, 0, 1], 1)))).unwrap(),
            Kind::Moto | Kind::S3s | Kind::Azurite => Target::open(&self.settings(self.kind.at())).unwrap(),
        }
    }

    /// The store over a link of its own, on which all goes well as long as nothing is said.
    pub(crate) async fn behind_proxy(&self) -> (Target, Proxy) {
        let proxy = Proxy::before(self.kind).await;
        (Target::open(&self.settings(proxy.at)).unwrap(), proxy)
    }

    /// Uploads in parts that were begun and not ended.
    pub(crate) async fn open_uploads(&self) -> usize {
        match self.kind {
            Kind::Moto => {
                let asked = Request::get(format!("/{}?uploads", self.bucket))
                    .header("authorization", "AWS4-HMAC-SHA256 Credential=a/20251129/us-east-1/s3/aws4_request");
                let (status, body) = raw(self.kind.at(), asked.body(HttpRequestBody::empty()).unwrap()).await;
                assert_eq!(status, 200);
                String::from_utf8(body).unwrap().matches("<UploadId>").count()
            }
            other => panic!("{other:?} is not asked"),
        }
    }
}

/// Where files of these tests are. Those of runs that are over are removed.
fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("objects");
        for run in std::fs::read_dir(&all).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(run.file_name()).exists() {
                let _ = std::fs::remove_dir_all(run.path());
            }
        }
        let base = all.join(std::process::id().to_string());
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir_all(&base).unwrap();
        base
    })
}

async fn make_container(at: SocketAddr, name: &str) {
    let key = AzureCredential::AccessKey(AzureAccessKey::try_new(AZURITE.1).unwrap());
    let uri = format!("http://{at}/{}/{name}?restype=container", AZURITE.0);
    let request = Request::builder().method(Method::PUT).uri(uri).header("content-length", "0");
    let mut request = request.body(HttpRequestBody::empty()).unwrap();
    AzureAuthorizer::new(&key, AZURITE.0).try_authorize(&mut request).unwrap();
    let (status, body) = raw(at, request).await;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
}
