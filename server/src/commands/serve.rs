//! `alluvium serve`: the database, for devices over QUIC.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{AuditEntry, AuditOutcome, Database, Settings as EngineSettings};
use alluvium_protocol::code::Code;
use clap::Args;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;
use tracing_subscriber::EnvFilter;

use crate::certificates::{Clock, Office};
use crate::commands::Context;
use crate::commands::supervisor::Supervisor;
use crate::commands::values::say;
use crate::config::{Config, ConfigFile, HttpAt, Log, LogFormat};
use crate::failure::{Failure, Outcome};
use crate::local::Local;
use crate::parse::size;
use crate::serve::{Guests, Places, Running, runtime};
use crate::sync::Links;

/// Where it listens unless it is told otherwise, with certificates and without.
const ANYWHERE: &str = "0.0.0.0:7423";
const LOOPBACK: &str = "127.0.0.1:7423";

/// How often it is noted what time it is. The first time only after as long: a clock that is wrong at first is set right by then.
const NOTED_EVERY: Duration = Duration::from_secs(3_600);
/// Writers that are remembered with --dev.
const DEV_WRITERS: usize = 4_096;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Where to listen for devices, over UDP [default: 0.0.0.0:7423, with --dev 127.0.0.1:7423]
    #[arg(long, value_name = "ADDRESS:PORT", env = "ALLUVIUM_LISTEN")]
    listen: Option<SocketAddr>,
    /// Where to listen for people and tools, over HTTP, with TLS anywhere but on loopback; `none` for not at all [default: 127.0.0.1:7424]
    #[arg(long, value_name = "ADDRESS:PORT", env = "ALLUVIUM_HTTP")]
    http: Option<HttpAt>,
    /// The gateway's id, which clients know it by whatever its address [default: what it was before, or the host name]
    #[arg(long, value_name = "NAME", env = "ALLUVIUM_GATEWAY")]
    gateway: Option<String>,
    /// Bytes that the storage device may be written in its life, as its maker says (such as 150TB), to tell how long it lasts
    #[arg(long, value_name = "SIZE", env = "ALLUVIUM_DEVICE_ENDURANCE", value_parser = size::bytes)]
    device_endurance: Option<u64>,
    /// Is not ready with less free on the disk (such as 500MB) [default: what the next seal may take]
    #[arg(long, value_name = "SIZE", env = "ALLUVIUM_MIN_FREE", value_parser = size::bytes)]
    min_free: Option<u64>,
    /// Lets everybody on this machine do everything, without certificates: for trying things out. Refused anywhere but on loopback
    #[arg(long)]
    dev: bool,
}

impl Arguments {
    /// All that is to be done: what the command line says, then the environment, then the file.
    fn config(&self) -> Outcome<Config> {
        let mut config = self.file.load()?;
        config.listen.quic = self.listen.or(config.listen.quic);
        config.listen.http = self.http.unwrap_or(config.listen.http);
        config.gateway = self.gateway.clone().or(config.gateway);
        config.limits.endurance_bytes = self.device_endurance.or(config.limits.endurance_bytes);
        config.limits.min_free_bytes = self.min_free.or(config.limits.min_free_bytes);
        if self.dev && config.engine.writers == EngineSettings::default().writers {
            // Everybody is the same principal, who has the writers of all.
            config.engine.writers = DEV_WRITERS;
        }
        Ok(config)
    }
}

pub(crate) fn run(context: Context, arguments: &Arguments) -> Outcome {
    let config = arguments.config()?;
    start_log(&config.log)?;
    let context = context.or_in(config.data.clone());
    context.need_files("serve opens a database of its own")?;
    let places = Places { quic: listen_at(&config, arguments.dev)?, http: config.listen.http.0 };
    let db = Arc::new(Database::builder().settings(config.engine.clone()).open(context.data())?);
    let own = Own::open(&context, &config, arguments.dev, &db)?;
    if own.guests.office.is_some() && places.http.is_some() {
        Local::of(context.data()).leave_token(&db)?;
    }
    note(&db, "server.start", &own.gateway, if arguments.dev { "without certificates" } else { "" })?;
    runtime()?.block_on(serve(&context, &db, &own, places, &config))?;
    note(&db, "server.stop", &own.gateway, "")?;
    // Nobody else has it any more, unless something hangs that was waited for in vain.
    Arc::into_inner(db).map_or(Ok(()), |db| Ok(db.close()?))
}

/// What happens is said on stderr, as `ALLUVIUM_LOG` or the settings have it.
fn start_log(log: &Log) -> Outcome {
    let filter = EnvFilter::try_from_env("ALLUVIUM_LOG").or_else(|_| EnvFilter::try_new(&log.level)).map_err(Failure::usage)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

fn listen_at(config: &Config, dev: bool) -> Outcome<SocketAddr> {
    let default = if dev { LOOPBACK } else { ANYWHERE };
    let at = config.listen.quic.map_or_else(|| default.parse().map_err(Failure::failed), Ok)?;
    if dev && !at.ip().is_loopback() {
        return Err(Failure::usage(format_args!(
            "--dev lets everybody do everything, so it listens on loopback only, not on {at}: leave out --dev, or --listen"
        )));
    }
    Ok(at)
}

async fn serve(context: &Context, db: &Arc<Database>, own: &Own, places: Places, config: &Config) -> Outcome {
    let [mut terminate, mut interrupt, mut hang_up] =
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let mut hours = tokio::time::interval_at(tokio::time::Instant::now() + NOTED_EVERY, NOTED_EVERY);
    let (gateway, guests, limits) = (own.gateway.clone(), own.guests.clone(), config.limits.clone());
    let links = Links::open(db, context.data(), &gateway, &config.sync)?;
    let running = Running::start(db.clone(), gateway, guests, limits, places, &config.http, links).await?;
    let local = Local::of(context.data());
    if let Some(http) = running.places.http {
        local.announce(http, running.is_secure, &own.gateway)?;
    }
    tell(context, &own.gateway, &running, own.guests.office.is_some())?;
    let mut supervisor = Supervisor::ready();
    loop {
        tokio::select! {
            () = received(&mut terminate) => break,
            () = received(&mut interrupt) => break,
            () = received(&mut hang_up) => match own.reload() {
                Ok(()) => running.access().changed(),
                Err(failure) => warn!(?failure, "certificates are as before"),
            },
            () = supervisor.beat() => match running.check().await {
                Ok(()) => supervisor.well(),
                // Starting anew makes no room.
                Err(failed) if failed.code() == Code::DiskFull => supervisor.well(),
                Err(failed) => warn!(reason = failed.message, "the disk takes no writes: the service manager is not told that all is well"),
            },
            _ = hours.tick() => {
                if let Err(failure) = own.note_time(db) {
                    warn!(?failure, "what time it is could not be noted");
                }
            }
        }
    }
    supervisor.stopping();
    local.withdraw()?;
    running.finish().await
}

/// What the server is to its clients, and they to it.
struct Own {
    gateway: String,
    guests: Guests,
}

impl Own {
    fn open(context: &Context, config: &Config, dev: bool, db: &Database) -> Outcome<Own> {
        let secret = Local::of(context.data()).secret()?;
        if dev {
            let gateway = config.gateway.clone().unwrap_or_else(|| "localhost".to_owned());
            let guests = Guests { tls: Arc::new(throwaway(&gateway)?), office: None, secret };
            return Ok(Own { gateway, guests });
        }
        let clock = Clock::new(db.principals().noted_time()?);
        let office = Arc::new(Office::open(context.data(), config.gateway.as_deref(), clock)?);
        let guests = Guests { tls: Arc::new(office.server_config()?), office: Some(office.clone()), secret };
        Ok(Own { gateway: office.gateway(), guests })
    }

    /// Takes certificates and authorities as they are by now.
    fn reload(&self) -> Outcome {
        self.guests.office.as_ref().map_or(Ok(()), |office| office.reload())
    }

    /// Notes by which time certificates are judged, for when the clock begins anew in 1970.
    fn note_time(&self, db: &Database) -> Outcome {
        if let Some(office) = &self.guests.office {
            db.principals().note_time(office.now_micros())?;
        }
        Ok(())
    }
}

/// Resolves once a signal comes; never, where the system does not tell of it.
async fn received(signal: &mut io::Result<Signal>) {
    match signal {
        Ok(signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

fn tell(context: &Context, gateway: &str, running: &Running, certified: bool) -> Outcome {
    let Places { quic, http } = running.places;
    if !certified {
        let warning = "alluvium: --dev: everybody on this machine may read and change everything\n";
        let _ = io::stderr().write_all(warning.as_bytes());
    }
    if context.json {
        let http = http.map(|http| http.to_string());
        return context.print_json(&json!({
            "gateway": gateway,
            "listen": quic.to_string(),
            "http": http,
            "https": running.is_secure,
            "certificates": certified,
        }));
    }
    let scheme = if running.is_secure { "https" } else { "http" };
    let http = http.map(|http| format!(", and on {scheme}://{http}")).unwrap_or_default();
    say(&format!("{gateway} listens on {quic}{http}; Ctrl-C ends it"))
}

fn note(db: &Database, what: &str, gateway: &str, detail: &str) -> Outcome {
    db.trail().append(AuditEntry::new("server", what, AuditOutcome::Done).object(gateway).detail(detail))?;
    Ok(())
}

/// TLS with a certificate that nobody knows, and none asked for.
fn throwaway(gateway: &str) -> Outcome<rustls::ServerConfig> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format_args!("a certificate for --dev: {error}"));
    let made = rcgen::generate_simple_self_signed([gateway.to_owned()]).map_err(|error| failed(&error))?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.map_err(|error| failed(&error))?.with_no_client_auth();
    let mut tls = builder.with_single_cert(vec![made.cert.der().clone()], key.into()).map_err(|error| failed(&error))?;
    tls.alpn_protocols = vec![alluvium_protocol::ALPN.to_vec()];
    Ok(tls)
}
