//! A store that stands for S3, on this machine, until it is dropped.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How long one may take to start.
const START: Duration = Duration::from_secs(60);
/// The only one that s3s-fs knows; moto takes any.
pub(super) const KEY: (&str, &str) = ("AKIAPUMPHOUSE", "correct-horse-battery-staple");
/// Where objects go.
pub(super) const BUCKET: &str = "bench";

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Of Rust's registry, into a folder
    S3sFs,
    /// Of PyPI, into memory
    Moto,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::S3sFs => "s3s-fs",
            Kind::Moto => "moto",
        }
    }
}

/// One that runs.
#[derive(Debug)]
pub(super) struct Emulator {
    child: Child,
    pub(super) at: SocketAddr,
}

impl Emulator {
    /// Starts one on an empty folder, and makes the bucket.
    pub(super) fn start(kind: Kind, folder: &Path) -> Result<Self> {
        let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut words = installed(kind)?.into_iter();
        let mut command = Command::new(words.next().context("the store has no program")?);
        command.args(words).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let port = at.port().to_string();
        match kind {
            Kind::S3sFs => {
                fs::create_dir(folder.join(BUCKET))?;
                command.args(["--host", "127.0.0.1", "--access-key", KEY.0, "--secret-key", KEY.1, "--port", &port]).arg(folder)
            }
            Kind::Moto => command.args(["-H", "127.0.0.1", "-p", &port]),
        };
        let child = command.spawn().with_context(|| format!("cannot start {}", kind.name()))?;
        let emulator = Emulator { child, at };
        let began = Instant::now();
        while TcpStream::connect(at).is_err() {
            ensure!(began.elapsed() < START, "{} does not listen", kind.name());
            std::thread::sleep(Duration::from_millis(20));
        }
        if kind == Kind::Moto {
            let signed = [("authorization", "AWS4-HMAC-SHA256 Credential=a/20251129/us-east-1/s3/aws4_request")];
            let made = alluvium_tests::http::ask(at, "PUT", &format!("/{BUCKET}"), &signed, b"");
            ensure!(made.status == 200, "{} makes no bucket", kind.name());
        }
        Ok(emulator)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The words that start it, after it is installed where it is not there.
fn installed(kind: Kind) -> Result<Vec<String>> {
    let tool = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/object-store");
    let output = Command::new(&tool).arg(kind.name()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {}", tool.display()))?;
    ensure!(output.status.success(), "{} was not installed", kind.name());
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}
