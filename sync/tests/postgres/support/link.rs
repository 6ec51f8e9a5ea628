//! A bad link to the server, on which chosen questions fare as links, and servers, have them. It reads what is asked, so it is of plain
//! connections.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// What a connection begins with.
    Startup,
    /// The password, or what stands for it.
    Password,
    /// Whether the server takes writes.
    Writable,
    Head,
    Advance,
    Hold,
    Metadata,
    Cuts,
    Missing,
    Other,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is lost, and the connection with it.
    Refused,
    /// It is done, and the connection ends before the answer.
    Lost,
    /// It is done, and the connection ends within the answer.
    Truncated,
    /// It is not done, and the server says that it has too little of something.
    Error,
    /// It is done, and the server says that it is shut down.
    Shutdown,
    /// It is done, and so much later answered.
    Late(Duration),
    /// It arrives so much later.
    Stray(Duration),
}

/// The link, and what is to happen on it: to so many questions of a kind, behind so many others.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) port: u16,
    rule: Arc<Mutex<Option<Rule>>>,
    struck: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Call>>>,
}

pub(crate) struct Rule {
    pub(crate) of: Call,
    pub(crate) after: usize,
    pub(crate) times: usize,
    pub(crate) fault: Fault,
}

impl Call {
    fn of(question: &[u8], is_first: bool) -> Self {
        let has = |text: &str| question.windows(text.len()).any(|part| part == text.as_bytes());
        match question {
            _ if is_first => Call::Startup,
            [b'p', ..] => Call::Password,
            [b'Q', ..] if has("transaction_read_only") => Call::Writable,
            _ if has("alluvium_v1.head(") => Call::Head,
            _ if has("alluvium_v1.advance(") => Call::Advance,
            _ if has("alluvium_v1.hold(") => Call::Hold,
            _ if has("alluvium_v1.metadata(") => Call::Metadata,
            _ if has("alluvium_v1.cuts(") => Call::Cuts,
            _ if has("alluvium_v1.missing(") => Call::Missing,
            _ => Call::Other,
        }
    }

    /// Whether it is of a connection that is not made yet.
    fn connects(self) -> bool {
        matches!(self, Call::Startup | Call::Password)
    }
}

impl Link {
    /// To a port of this machine.
    pub(crate) async fn to(port: u16) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port_here = listener.local_addr().unwrap().port();
        let link = Link { port: port_here, rule: Arc::default(), struck: Arc::default(), seen: Arc::default() };
        let one = link.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(one.clone().carry(client, server));
            }
        });
        link
    }

    pub(crate) fn rule(&self, rule: Rule) {
        *self.rule.lock().unwrap() = Some(rule);
    }

    /// How often the fault struck.
    pub(crate) fn struck(&self) -> usize {
        self.struck.load(Ordering::Relaxed)
    }

    /// What was asked.
    pub(crate) fn seen(&self) -> Vec<Call> {
        self.seen.lock().unwrap().clone()
    }

    fn fault(&self, call: Call) -> Option<Fault> {
        self.seen.lock().unwrap().push(call);
        let mut rule = self.rule.lock().unwrap();
        let rule = rule.as_mut().filter(|rule| rule.of == call && rule.times > 0)?;
        if rule.after > 0 {
            rule.after -= 1;
            return None;
        }
        rule.times -= 1;
        self.struck.fetch_add(1, Ordering::Relaxed);
        Some(rule.fault)
    }

    async fn carry(self, mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
        let (mut asked, mut told) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let (mut is_first, mut fate) = (true, None);
        loop {
            tokio::select! {
                many @ Ok(1..) = client.read(&mut asked) => {
                    let question = &asked[..many?];
                    let call = Call::of(question, std::mem::take(&mut is_first));
                    match self.fault(call) {
                        Some(Fault::Refused) => return Ok(()),
                        Some(Fault::Error) if call.connects() => return client.write_all(&complaint("FATAL", "53300")).await,
                        Some(Fault::Error) => {
                            // With what says that the next question may come.
                            let answer = [&complaint("ERROR", "53200")[..], b"Z\0\0\0\x05I"].concat();
                            client.write_all(&answer).await?;
                            continue;
                        }
                        Some(Fault::Stray(by)) => sleep(by).await,
                        fault => fate = fault,
                    }
                    server.write_all(question).await?;
                }
                many @ Ok(1..) = server.read(&mut told) => {
                    let answer = &told[..many?];
                    match fate.take() {
                        Some(Fault::Lost) => return Ok(()),
                        Some(Fault::Truncated) => return client.write_all(&answer[..answer.len() / 2]).await,
                        Some(Fault::Shutdown) => return client.write_all(&complaint("FATAL", "57P01")).await,
                        Some(Fault::Late(by)) => sleep(by).await,
                        _ => {}
                    }
                    client.write_all(answer).await?;
                }
                else => return Ok(()),
            }
        }
    }
}

/// What a server says that is wrong.
fn complaint(severity: &str, code: &str) -> Vec<u8> {
    let fields = format!("S{severity}\0V{severity}\0C{code}\0Mof the link\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat()
}
