//! What a gateway does at the centre.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::remote::{Hash, Incarnation, Manifest};

use super::answers::{self, AdvanceAnswer, HeadAnswer, MetadataAnswer};
use super::connect::Door;
use super::error::{Failure, of_statement};
use super::{Advance, Applied, Error, Head, Held, KnownCut, KnownSegment, Line, MissingUnit, Options, SecretFrom, Segment};

type Argument<'a> = (&'a (dyn ToSql + Sync), Type);

/// The centre, as one gateway sees it. A connection is made when something is asked, and closed when nothing was asked for a while. One
/// thing is asked at a time.
pub struct Ledger {
    gateway: String,
    secret: SecretFrom,
    door: Door,
    session: Arc<Mutex<Option<Session>>>,
}

struct Session {
    client: Client,
    used: Instant,
}

impl Ledger {
    /// For a gateway. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] where it is not said clearly or safely enough where the centre is.
    pub fn new(options: &Options, gateway: &str, secret: impl Into<SecretFrom>) -> Result<Ledger, Error> {
        let (gateway, secret, door) = (gateway.to_owned(), secret.into(), Door::new(options)?);
        Ok(Ledger { gateway, secret, door, session: Arc::default() })
    }

    /// The last cut that the centre has of this gateway; none where it has none.
    ///
    /// # Errors
    ///
    /// [`Error`], by what to do.
    pub async fn head(&self) -> Result<Option<Head>, Error> {
        let answer = self.ask("SELECT alluvium_v1.head($1, $2)::text", &[]).await?;
        Ok(answers::read::<HeadAnswer>(&answer)?.head.map(|head| *head))
    }

    /// Registers a manifest, of these very bytes. To register it again changes nothing.
    ///
    /// Where the answer is lost, the head tells whether it was done, and if not it is tried once more.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`], [`Error::Behind`] and [`Error::UnknownPrevious`] tell where the centre is instead; others by what to do.
    pub async fn advance(&self, manifest: &[u8]) -> Result<Advance, Error> {
        let hash = Hash::of(manifest);
        let wrong = |why: String| Error::Invalid(format!("this is no manifest: {why}"));
        Manifest::decode(manifest).map_err(|malformed| wrong(malformed.to_string()))?;
        let text = str::from_utf8(manifest).map_err(|error| wrong(error.to_string()))?;
        let digits = hash.to_string();
        let (statement, arguments) =
            ("SELECT alluvium_v1.advance($1, $2, $3, $4)::text", [(&digits as _, Type::TEXT), (&text as _, Type::TEXT)]);
        let answer = match self.call(statement, &arguments).await {
            Err(Failure::Lost(why)) => {
                let unknown = |error: Error| Error::Ambiguous(format!("{why}; then {error}"));
                let head = self.head().await.map_err(unknown)?;
                if head.is_some_and(|head| head.hash == hash) {
                    return Ok(Advance::Registered);
                }
                self.call(statement, &arguments).await
            }
            answer => answer,
        };
        answers::read::<AdvanceAnswer>(&answer?)?.outcome()
    }

    /// Registers segments that a target was seen to have. To register them again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error`], by what to do.
    pub async fn hold(&self, segments: &[Segment]) -> Result<Held, Error> {
        let told = answers::told_segments(&self.gateway, segments)?;
        let answer = self.ask("SELECT alluvium_v1.hold($1, $2, $3)::text", &[(&told, Type::TEXT)]).await?;
        answers::read(&answer)
    }

    /// Sends lines of the metadata that travelled with a cut. They may be sent in several calls, in any order, and again: the newest of each key
    /// holds. `complete` with the last of them, which is when the cut's metadata are there.
    ///
    /// # Errors
    ///
    /// [`Error`], by what to do.
    pub async fn metadata(&self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Result<Applied, Error> {
        let (told, incarnation, cut) = (answers::told_lines(lines)?, incarnation.to_string(), number(cut)?);
        let arguments: [Argument<'_>; 4] =
            [(&incarnation, Type::TEXT), (&cut, Type::INT8), (&told, Type::TEXT), (&complete, Type::BOOL)];
        let answer = self.ask("SELECT alluvium_v1.metadata($1, $2, $3, $4, $5, $6)::text", &arguments).await?;
        answers::read::<MetadataAnswer>(&answer)?.outcome()
    }

    /// The cuts that the centre has and the head follows, from one on, 10,000 at most.
    ///
    /// # Errors
    ///
    /// [`Error`], by what to do.
    pub async fn cuts(&self, from: u64, most: u32) -> Result<Vec<KnownCut>, Error> {
        answers::read(&self.page("SELECT alluvium_v1.cuts($1, $2, $3, $4)::text", number(from)?, most).await?)
    }

    /// The segments that the centre has, registered behind one, 10,000 at most; from the beginning behind 0.
    ///
    /// # Errors
    ///
    /// [`Error`], by what to do.
    pub async fn segments(&self, after: i64, most: u32) -> Result<Vec<KnownSegment>, Error> {
        answers::read(&self.page("SELECT alluvium_v1.segments($1, $2, $3, $4)::text", after, most).await?)
    }

    /// The units that the centre has no segment for and no cut states to be gone, from a cut on, 10,000 at most.
    ///
    /// # Errors
    ///
    /// [`Error`], by what to do.
    pub async fn missing(&self, from: u64, most: u32) -> Result<Vec<MissingUnit>, Error> {
        answers::read(&self.page("SELECT alluvium_v1.missing($1, $2, $3, $4)::text", number(from)?, most).await?)
    }

    /// Closes the connection, if there is one.
    pub async fn disconnect(&self) {
        self.session.lock().await.take();
    }

    async fn page(&self, statement: &str, from: i64, most: u32) -> Result<String, Error> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        self.ask(statement, &[(&from, Type::INT8), (&most, Type::INT4)]).await
    }

    /// What is harmless to do twice: a lost answer is asked for again.
    async fn ask(&self, statement: &str, arguments: &[Argument<'_>]) -> Result<String, Error> {
        let first = self.call(statement, arguments).await;
        let answer = if matches!(first, Err(Failure::Lost(_))) { self.call(statement, arguments).await } else { first };
        answer.map_err(|failure| match failure {
            Failure::Lost(why) => Error::Unreachable(why),
            Failure::Not(error) => error,
        })
    }

    /// Calls a function, gateway and secret first. The session is put back only when the answer is there: whatever else happens, and if
    /// this is dropped midway, the connection ends.
    async fn call(&self, statement: &str, arguments: &[Argument<'_>]) -> Result<String, Failure> {
        // It may be another one by now.
        let secret = self.secret.read().map_err(Failure::Not)?;
        let mut slot = self.session.lock().await;
        let kept = slot.take().map(|session| session.client).filter(|client| !client.is_closed());
        let (client, reused) = match kept {
            Some(client) => (client, true),
            None => (self.door.open().await.map_err(Failure::Not)?, false),
        };
        let secret = secret.expose();
        let mut all: Vec<Argument<'_>> = vec![(&self.gateway, Type::TEXT), (&secret, Type::TEXT)];
        all.extend(arguments.iter().map(|(value, of)| (*value, of.clone())));
        let most = self.door.options().statement_timeout;
        let answered = timeout(most, client.query_typed_one(statement, &all)).await;
        let late = |_| Failure::Lost(format!("no answer within {} s", most.as_secs_f32()));
        let row = match answered.map_err(late)? {
            // What the centre refuses leaves the session as it was.
            Err(error) => {
                let failure = of_statement(&error);
                if matches!(failure, Failure::Not(_)) {
                    self.put_back(&mut slot, client, reused);
                }
                return Err(failure);
            }
            Ok(row) => row,
        };
        self.put_back(&mut slot, client, reused);
        row.try_get(0).map_err(|error| Failure::Not(Error::Unsupported(error.to_string())))
    }

    fn put_back(&self, slot: &mut Option<Session>, client: Client, reused: bool) {
        *slot = Some(Session { client, used: Instant::now() });
        if !reused {
            tokio::spawn(close_when_idle(Arc::downgrade(&self.session), self.door.options().idle));
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

/// Ends with the connection that it watches, or with the one that took its place: that has a watcher of its own, but two do no harm.
async fn close_when_idle(session: Weak<Mutex<Option<Session>>>, idle: Duration) {
    let mut until = Instant::now() + idle;
    loop {
        sleep_until(until).await;
        let Some(session) = session.upgrade() else { return };
        let mut slot = session.lock().await;
        match slot.as_ref() {
            Some(session) if session.used + idle > Instant::now() => until = session.used + idle,
            _ => return drop(slot.take()),
        }
    }
}

fn number(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Invalid(format!("{number} is no number of a cut")))
}
