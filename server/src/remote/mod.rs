//! Asking a server for what a command would otherwise do to the files itself: over QUIC with a certificate, or, where the server on
//! this machine has the directory open, over HTTP with the token it left there.
//!
//! - `chosen`: which server, and who we are to it;
//! - `request`: what is asked; `answer`: what comes back, piece by piece; `batches`: rows;
//! - `quic`, `http`: the two ways there;
//! - `told`: what went wrong, in the words of the command line.

mod answer;
mod batches;
mod chosen;
mod http;
mod quic;
mod request;
mod told;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_client::{Client, Query};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value as Json;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Outcome};
use crate::local::Local;
use answer::Answer;
pub(crate) use batches::{ARROW_STREAM, Batches};
pub(crate) use chosen::{Credentials, ServerAt};
pub(crate) use request::{Request, delete, get, patch, post, put};

/// Bytes of an answer that is taken whole, at most.
const ANSWER_BYTES: usize = 64 << 20;
/// How long the server hears that we go, at most.
const FAREWELL: Duration = Duration::from_millis(500);
/// Things of a page of a list, as the server gives them out.
pub(crate) const PAGE: usize = 1_000;

/// A server that can be asked.
pub(crate) struct Remote {
    way: Way,
    runtime: Arc<Runtime>,
    /// What it is called in messages.
    named: String,
}

enum Way {
    Quic(Client),
    Http(http::Place),
}

impl Remote {
    /// The server that somebody named.
    pub(crate) fn named(server: &ServerAt, credentials: &Credentials) -> Outcome<Remote> {
        let runtime = runtime()?;
        let client = runtime.block_on(quic::connect(server, credentials))?;
        Ok(Remote { way: Way::Quic(client), runtime, named: server.to_string() })
    }

    /// The server on this machine that holds the lock of a directory.
    pub(crate) fn holding(data: &Path, holder: &str) -> Outcome<Remote> {
        let local = Local::of(data);
        let Some(found) = local.find()?.filter(|found| found.is(holder)) else {
            return Err(Failure::failed(format_args!(
                "{holder} has {} open, and is no server that could be asked over HTTP: wait for it to end",
                data.display()
            )));
        };
        let place = http::Place::of(data, &local, &found)?;
        Ok(Remote { named: place.to_string(), way: Way::Http(place), runtime: runtime()? })
    }

    /// Asks for something, and answers what is said: null where nothing is.
    pub(crate) fn ask<T: DeserializeOwned>(&self, request: &Request) -> Outcome<T> {
        let (status, body) = self.whole(request)?;
        if status >= 400 {
            return Err(self.refused(status, &body));
        }
        self.parse(&body)
    }

    /// Has something done of which nothing more has to be told.
    pub(crate) fn order(&self, request: &Request) -> Outcome {
        self.ask::<IgnoredAny>(request).map(drop)
    }

    /// Asks for something that may not be there.
    pub(crate) fn find<T: DeserializeOwned>(&self, request: &Request) -> Outcome<Option<T>> {
        match self.whole(request)? {
            (404, body) if told::is_missing(&body) => Ok(None),
            (status, body) if status >= 400 => Err(self.refused(status, &body)),
            (_, body) => self.parse(&body).map(Some),
        }
    }

    /// Has something done to what may not be there. Answers whether it was.
    pub(crate) fn order_any(&self, request: &Request) -> Outcome<bool> {
        Ok(self.find::<IgnoredAny>(request)?.is_some())
    }

    /// A list that is told at once, under its name.
    pub(crate) fn list<T: DeserializeOwned>(&self, name: &str, request: &Request) -> Outcome<Vec<T>> {
        Ok(self.page(name, request)?.0)
    }

    /// All of a list, page after page.
    pub(crate) fn all<T: DeserializeOwned>(&self, name: &str, request: &Request) -> Outcome<Vec<T>> {
        self.pages(name, usize::MAX, |limit, after| request.clone().with("limit", limit).with_any("after", after))
    }

    /// So many of a list: page after page, each asked for with where the last one ended.
    pub(crate) fn pages<T: DeserializeOwned>(
        &self,
        name: &str,
        limit: usize,
        page: impl Fn(usize, Option<&str>) -> Request,
    ) -> Outcome<Vec<T>> {
        let (mut all, mut next) = (Vec::new(), None);
        while all.len() < limit {
            let (some, end) = self.page(name, &page(PAGE.min(limit - all.len()), next.as_deref()))?;
            all.extend(some);
            next = end;
            if next.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// A page of a list, and where it ends if there are more.
    fn page<T: DeserializeOwned>(&self, name: &str, request: &Request) -> Outcome<(Vec<T>, Option<String>)> {
        let mut said: Json = self.ask(request)?;
        let list =
            said.get_mut(name).map(Json::take).ok_or_else(|| self.strange(&format!("its answer has no list of {name}")))?;
        let next = said.get("next").and_then(Json::as_str).map(str::to_owned);
        let list = serde_json::from_value(list).map_err(|error| self.strange(&format!("{name}: {error}")))?;
        Ok((list, next))
    }

    /// Calls for every line of an answer, until it ends or `each` has had enough.
    pub(crate) fn lines(&self, request: &Request, mut each: impl FnMut(&[u8]) -> Outcome<ControlFlow<()>>) -> Outcome {
        let mut answer = self.begin(request)?;
        let mut rest: Vec<u8> = Vec::new();
        while let Some(piece) = self.runtime.block_on(answer.next()).map_err(|error| self.told(error))? {
            rest.extend_from_slice(&piece);
            let mut lines = rest.split_inclusive(|byte| *byte == b'\n');
            let mut taken = 0;
            for line in lines.by_ref().take_while(|line| line.ends_with(b"\n")) {
                taken += line.len();
                if each(line.trim_ascii_end())?.is_break() {
                    return Ok(());
                }
            }
            rest.drain(..taken);
        }
        Ok(())
    }

    /// Asks for rows. The server reads no faster than they are taken.
    pub(crate) fn query(&self, query: &Query, unit: alluvium::TimeUnit) -> Outcome<Batches> {
        match &self.way {
            Way::Quic(client) => {
                let rows = self.runtime.block_on(client.query(query)).map_err(|error| told::of_client(&self.named, &error))?;
                Batches::over_quic(self.runtime.clone(), rows, self.named.clone())
            }
            Way::Http(_) => {
                let request = batches::request(query, unit);
                Batches::over_http(self.runtime.clone(), self.begin(&request)?, self.named.clone())
            }
        }
    }

    /// An answer that was not refused.
    fn begin(&self, request: &Request) -> Outcome<Answer> {
        let mut answer = self.runtime.block_on(self.open(request)).map_err(|error| self.told(error))?;
        if answer.status() < 400 {
            return Ok(answer);
        }
        let body = self.runtime.block_on(answer.whole(ANSWER_BYTES)).map_err(|error| self.told(error))?;
        Err(self.refused(answer.status(), &body))
    }

    fn whole(&self, request: &Request) -> Outcome<(u16, Vec<u8>)> {
        let asked = async {
            let mut answer = self.open(request).await?;
            Ok((answer.status(), answer.whole(ANSWER_BYTES).await?))
        };
        self.runtime.block_on(asked).map_err(|error| self.told(error))
    }

    async fn open(&self, request: &Request) -> Result<Answer, told::Error> {
        match &self.way {
            Way::Quic(client) => quic::ask(client, request).await,
            Way::Http(place) => place.ask(request).await,
        }
    }

    fn told(&self, error: told::Error) -> Failure {
        error.told(&self.named)
    }

    fn refused(&self, status: u16, body: &[u8]) -> Failure {
        let hint = match &self.way {
            Way::Http(place) if status == 401 => Some(place.about_token()),
            _ => None,
        };
        told::refused(&self.named, status, body, hint.as_deref())
    }

    fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Outcome<T> {
        let body = if body.is_empty() { b"null" } else { body };
        serde_json::from_slice(body).map_err(|error| self.strange(&error.to_string()))
    }

    /// An answer that is none of this API.
    pub(crate) fn strange(&self, why: &str) -> Failure {
        Failure::failed(format_args!("the server {} answers something else: {why}; is it of another version?", self.named))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Way::Quic(client) = &self.way {
            let leaving = async { tokio::time::timeout(FAREWELL, client.close()).await };
            // A server that does not hear of it finds out.
            let _ = self.runtime.block_on(leaving);
        }
    }
}

/// A thread of its own keeps the connection while something else is done with what came.
fn runtime() -> Outcome<Arc<Runtime>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map(Arc::new).map_err(|error| Failure::io("start", "a thread to ask a server", &error))
}
