//! A connection from its greeting to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_protocol::code::Code;
use alluvium_protocol::greeting::Terms;
use alluvium_protocol::message::{self, Call, Failed, Hello, Message, OpenWriter, Welcome};
use axum::Router;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info};

use super::endpoint::Guest;
use super::metrics::{Counted, Kind};
use super::session::{Server, Session};
use super::stream::{Ended, Reader, Writer};
use super::{call, failed, query, writer};

/// How often a certificate is looked at again.
const JUDGED_EVERY: Duration = Duration::from_secs(60);

/// Serves a connection until it ends, and all that is under way on it.
pub(super) async fn serve(server: Arc<Server>, api: Router, connection: Connection, guest: Guest) {
    let (peer, principal) = (connection.remote_address(), guest.caller.principal().to_owned());
    server.metrics.connections_accepted.inc();
    let _counted = Counted::among(&server.metrics.connections);
    let session = Session { server, caller: guest.caller.clone(), api };
    let mut streams = JoinSet::new();
    let outcome = converse(&session, &guest, &connection, &mut streams).await;
    if let Err(failed) = &outcome
        && failed.code() != Code::Closing
    {
        // Whoever may do nothing any more does nothing more.
        close(&connection, failed);
    }
    while streams.join_next().await.is_some() {}
    match outcome {
        Ok(()) => debug!(%peer, principal, "disconnected"),
        Err(failed) => {
            session.server.metrics.error(Kind::Connection, failed.code());
            close(&connection, &failed);
            info!(%peer, principal, code = failed.code, reason = failed.message, "connection closed");
        }
    }
}

/// Closes a connection with what is to be told.
pub(super) fn close(connection: &Connection, failed: &Failed) {
    connection.close(VarInt::from_u32(failed.code.into()), failed.message.as_bytes());
}

/// Answers streams until the client goes, or has to go.
async fn converse(session: &Session, guest: &Guest, connection: &Connection, streams: &mut JoinSet<()>) -> Result<(), Failed> {
    let mut changes = session.access().changes();
    session.access().rights(&session.caller)?;
    // Kept open as long as the connection.
    let Some(_greeting) = greet(session, connection).await? else { return Ok(()) };
    let mut again = tokio::time::interval(JUDGED_EVERY);
    loop {
        tokio::select! {
            biased;
            () = session.server.is_closing() => return Err(failed::closing()),
            Ok(()) = changes.changed() => {
                guest.check()?;
                session.access().rights(&session.caller)?;
            }
            _ = again.tick() => guest.check()?,
            Some(_) = streams.join_next() => {}
            accepted = connection.accept_bi() => match accepted {
                Ok((send, receive)) => {
                    streams.spawn(answer(session.clone(), send, receive));
                }
                Err(_) => return Ok(()),
            },
        }
    }
}

/// The first stream: who speaks what. `None` if the client has gone.
async fn greet(session: &Session, connection: &Connection) -> Result<Option<(Writer, Reader)>, Failed> {
    let within = session.server.settings.first_frame;
    let Ok(accepted) = timeout(within, connection.accept_bi()).await else { return Err(failed::timeout("a greeting")) };
    let Ok((send, receive)) = accepted else { return Ok(None) };
    let (mut reader, mut writer) = ends(session, send, receive);
    let hello = match timeout(within, reader.next()).await {
        Err(_) => return Err(failed::timeout("a greeting")),
        Ok(Ok(Some(received))) => Hello::read(&received.frame).map_err(|malformed| failed::malformed(&malformed))?,
        Ok(Err(Ended::Failed(failed))) => return Err(failed),
        Ok(Ok(None) | Err(Ended::Gone)) => return Ok(None),
    };
    let terms = Terms::OURS.agree(&hello)?;
    debug!(principal = session.caller.principal(), agent = hello.agent, minor = terms.minor, "greeted");
    let settings = &session.server.settings;
    let welcome = Welcome {
        minor: terms.minor,
        features: terms.features,
        gateway: session.server.gateway.clone(),
        principal: session.caller.principal().to_owned(),
        bulk_bytes: u32::try_from(settings.bulk_bytes).unwrap_or(u32::MAX),
        streams: settings.streams,
        wall_micros: jiff::Timestamp::now().as_microsecond(),
    };
    match writer.message(&welcome).await {
        Ok(()) => Ok(Some((writer, reader))),
        Err(Ended::Failed(failed)) => Err(failed),
        Err(Ended::Gone) => Ok(None),
    }
}

fn ends(session: &Session, send: SendStream, receive: RecvStream) -> (Reader, Writer) {
    let settings = &session.server.settings;
    let reader = Reader::new(receive, settings.bulk_bytes, session.server.room.of(&session.caller), settings.progress);
    (reader, Writer::new(send, settings.progress, session.server.metrics.clone()))
}

/// Answers a stream by what its first frame says it is for.
async fn answer(session: Session, send: SendStream, receive: RecvStream) {
    let (mut reader, mut writer) = ends(&session, send, receive);
    let first = match timeout(session.server.settings.first_frame, reader.next()).await {
        Ok(Ok(Some(first))) => first.frame,
        Ok(Ok(None)) => return,
        Ok(Err(ended)) => return writer.fail(ended).await,
        Err(_) => return writer.fail(failed::timeout("the first frame of a stream").into()).await,
    };
    match first.kind {
        OpenWriter::KIND => match OpenWriter::read(&first) {
            Ok(open) => writer::serve(&session, &open, reader, writer.of_kind(Kind::Writer)).await,
            Err(malformed) => writer.fail(malformed.into()).await,
        },
        message::Query::KIND => match message::Query::read(&first) {
            Ok(asked) => {
                let begun = Instant::now();
                query::serve(&session, &asked, writer.of_kind(Kind::Query)).await;
                session.server.metrics.request(Kind::Query, "", "", begun.elapsed());
            }
            Err(malformed) => writer.fail(malformed.into()).await,
        },
        Call::KIND => match Call::read(&first) {
            Ok(call) => call::serve(&session, call, writer.of_kind(Kind::Call)).await,
            Err(malformed) => writer.fail(malformed.into()).await,
        },
        kind => {
            let said = format!("a stream begins with a frame of kind {kind:#06x}, which this server does not serve");
            writer.fail(Failed::new(Code::Protocol, said).into()).await;
        }
    }
}
