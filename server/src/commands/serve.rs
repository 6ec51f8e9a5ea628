//! `alluvium serve`: the database, for devices over QUIC.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{AuditEntry, AuditOutcome, Database, Settings as EngineSettings};
use clap::Args;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

use crate::certificates::{Clock, Office};
use crate::commands::Context;
use crate::commands::values::say;
use crate::failure::{Failure, Outcome};
use crate::serve::{Guests, Places, Running, Settings, runtime};

/// Where it listens unless it is told otherwise, with certificates and without.
const ANYWHERE: &str = "0.0.0.0:7423";
const LOOPBACK: &str = "127.0.0.1:7423";

/// How often it is noted what time it is. The first time only after as long: a clock that is wrong at first is set right by then.
const NOTED_EVERY: Duration = Duration::from_secs(3_600);
/// Writers that are remembered with --dev.
const DEV_WRITERS: usize = 4_096;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen for devices, over UDP [default: 0.0.0.0:7423, with --dev 127.0.0.1:7423]
    #[arg(long, value_name = "ADDRESS:PORT", env = "ALLUVIUM_LISTEN")]
    listen: Option<SocketAddr>,
    /// Where to listen for people and tools, over HTTP on loopback; `none` for not at all
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7424", env = "ALLUVIUM_HTTP", value_parser = http_at)]
    http: HttpAt,
    /// The gateway's id, which clients know it by whatever its address [default: what it was before, or the host name]
    #[arg(long, value_name = "NAME", env = "ALLUVIUM_GATEWAY")]
    gateway: Option<String>,
    /// Lets everybody on this machine do everything, without certificates: for trying things out. Refused anywhere but on loopback
    #[arg(long)]
    dev: bool,
}

/// Where HTTP is served, if it is.
#[derive(Debug, Clone, Copy)]
struct HttpAt(Option<SocketAddr>);

fn http_at(text: &str) -> Result<HttpAt, String> {
    match text {
        "none" => Ok(HttpAt(None)),
        text => text.parse().map(|at| HttpAt(Some(at))).map_err(|error| format!("{error}: write 127.0.0.1:7424, or none")),
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let places = Places { quic: listen_at(arguments)?, http: arguments.http.0 };
    let db = Arc::new(Database::builder().settings(engine_settings(arguments.dev)).open(context.data())?);
    let own = Own::open(context, arguments, &db)?;
    note(&db, "server.start", &own.gateway, if arguments.dev { "without certificates" } else { "" })?;
    runtime()?.block_on(serve(context, &db, &own, places))?;
    note(&db, "server.stop", &own.gateway, "")?;
    // Nobody else has it any more, unless something hangs that was waited for in vain.
    Arc::into_inner(db).map_or(Ok(()), |db| Ok(db.close()?))
}

/// Where everybody is the same principal, it has the writers of all.
fn engine_settings(dev: bool) -> EngineSettings {
    let usual = EngineSettings::default();
    EngineSettings { writers: if dev { DEV_WRITERS } else { usual.writers }, ..usual }
}

fn listen_at(arguments: &Arguments) -> Outcome<SocketAddr> {
    let default = if arguments.dev { LOOPBACK } else { ANYWHERE };
    let at = arguments.listen.map_or_else(|| default.parse().map_err(Failure::failed), Ok)?;
    if arguments.dev && !at.ip().is_loopback() {
        return Err(Failure::usage(format_args!(
            "--dev lets everybody do everything, so it listens on loopback only, not on {at}: leave out --dev, or --listen"
        )));
    }
    Ok(at)
}

async fn serve(context: &Context, db: &Arc<Database>, own: &Own, places: Places) -> Outcome {
    let [mut terminate, mut interrupt, mut hang_up] =
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let mut hours = tokio::time::interval_at(tokio::time::Instant::now() + NOTED_EVERY, NOTED_EVERY);
    let running = Running::start(db.clone(), own.gateway.clone(), own.guests.clone(), Settings::default(), places).await?;
    tell(context, &own.gateway, running.places, own.guests.office.is_some())?;
    loop {
        tokio::select! {
            () = received(&mut terminate) => break,
            () = received(&mut interrupt) => break,
            () = received(&mut hang_up) => match own.reload() {
                Ok(()) => running.access().changed(),
                Err(failure) => warn!(?failure, "certificates are as before"),
            },
            _ = hours.tick() => {
                if let Err(failure) = own.note_time(db) {
                    warn!(?failure, "what time it is could not be noted");
                }
            }
        }
    }
    running.finish().await
}

/// What the server is to its clients, and they to it.
struct Own {
    gateway: String,
    guests: Guests,
}

impl Own {
    fn open(context: &Context, arguments: &Arguments, db: &Database) -> Outcome<Own> {
        if arguments.dev {
            let gateway = arguments.gateway.clone().unwrap_or_else(|| "localhost".to_owned());
            let guests = Guests { tls: Arc::new(throwaway(&gateway)?), office: None };
            return Ok(Own { gateway, guests });
        }
        let clock = Clock::new(db.principals().noted_time()?);
        let office = Arc::new(Office::open(context.data(), arguments.gateway.as_deref(), clock)?);
        let guests = Guests { tls: Arc::new(office.server_config()?), office: Some(office.clone()) };
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

fn tell(context: &Context, gateway: &str, Places { quic, http }: Places, certified: bool) -> Outcome {
    if !certified {
        let warning = "alluvium: --dev: everybody on this machine may read and change everything\n";
        let _ = io::stderr().write_all(warning.as_bytes());
    }
    if context.json {
        let http = http.map(|http| http.to_string());
        return context
            .print_json(&json!({ "gateway": gateway, "listen": quic.to_string(), "http": http, "certificates": certified }));
    }
    let http = http.map(|http| format!(", and on http://{http}")).unwrap_or_default();
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
