//! A TCP proxy that takes a question to the server and loses the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// It stands before a port of this machine.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// So many questions later the connection is cut, the question having been passed on; negative: never.
    questions: Arc<AtomicI64>,
    /// The last question is lost too.
    before: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn before(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy {
            port: listener.local_addr().unwrap().port(),
            questions: Arc::new(AtomicI64::new(-1)),
            before: Arc::default(),
        };
        let one = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(one.clone().carry(client, server));
            }
        });
        proxy
    }

    /// After so many more packets from the client, the last of which still goes to the server, nothing comes back.
    pub(crate) fn cut_after(&self, questions: i64) {
        self.before.store(false, Ordering::SeqCst);
        self.questions.store(questions, Ordering::SeqCst);
    }

    /// The same, and the last one does not reach the server.
    pub(crate) fn cut_before(&self, questions: i64) {
        self.before.store(true, Ordering::SeqCst);
        self.questions.store(questions, Ordering::SeqCst);
    }

    async fn carry(self, client: TcpStream, server: TcpStream) {
        let ((mut asked, mut told), (mut answers, mut ask)) = (client.into_split(), server.into_split());
        let mute = Arc::new(AtomicBool::new(false));
        let muted = Arc::clone(&mute);
        let back = tokio::spawn(async move {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(many @ 1..) = answers.read(&mut bytes).await {
                let lost = muted.load(Ordering::SeqCst);
                if !lost && told.write_all(&bytes[..many]).await.is_err() {
                    return;
                }
            }
        });
        let mut bytes = vec![0; 1 << 20];
        while let Ok(many @ 1..) = asked.read(&mut bytes).await {
            let last = self.questions.fetch_sub(1, Ordering::SeqCst) == 1;
            mute.store(last, Ordering::SeqCst);
            let lost = last && self.before.load(Ordering::SeqCst);
            if !lost && ask.write_all(&bytes[..many]).await.is_err() {
                break;
            }
            if last {
                // The server has done it by the time that the client sees the end.
                tokio::time::sleep(Duration::from_millis(300)).await;
                break;
            }
        }
        back.abort();
    }
}
