//! A client that sends whatever bytes it is told to, well-behaved or not.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use alluvium_protocol::frame::{BODY, BULK_BYTES, Frame, Frames};
use alluvium_protocol::message::{AnswerDone, AnswerHead, Call, Failed, Hello, Message, Welcome};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::DigitallySignedStruct;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::Value;

/// A certificate chain and its key.
#[derive(Debug)]
pub struct Identity {
    /// The chain, the end entity first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// As `alluvium cert issue` writes it into a directory.
    pub fn read(directory: &Path, name: &str) -> Identity {
        let file = |ending: &str| directory.join(format!("{name}.{ending}"));
        let chain = CertificateDer::pem_file_iter(file("pem")).expect("a chain").map(|one| one.expect("a certificate"));
        Identity { chain: chain.collect(), key: PrivateKeyDer::from_pem_file(file("key")).expect("a key") }
    }
}

/// A connection to a server, which believes whatever the server says that it is.
#[derive(Debug)]
pub struct Wire {
    /// The QUIC connection.
    pub connection: Connection,
    /// The socket it goes through.
    pub endpoint: Endpoint,
}

/// A stream, frame by frame.
#[derive(Debug)]
pub struct Talk {
    /// What goes out.
    pub send: SendStream,
    receive: RecvStream,
    frames: Frames,
}

impl Wire {
    /// Connects without a greeting.
    pub async fn dial(at: SocketAddr, identity: Option<&Identity>) -> Result<Wire, ConnectionError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider.clone());
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("TLS 1.3");
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Believe(provider)));
        let mut tls = match identity {
            Some(Identity { chain, key }) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key()).expect("a certificate")
            }
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![alluvium_protocol::ALPN.to_vec()];
        let tls = QuicClientConfig::try_from(tls).expect("TLS 1.3");
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
        let connecting = endpoint.connect_with(quinn::ClientConfig::new(Arc::new(tls)), at, "server").expect("a name");
        Ok(Wire { connection: connecting.await?, endpoint })
    }

    /// Connects and greets. The talk on which that happened has to be kept.
    pub async fn connect(at: SocketAddr, identity: Option<&Identity>) -> Result<(Wire, Talk, Welcome), ConnectionError> {
        let wire = Wire::dial(at, identity).await?;
        let mut talk = wire.talk().await?;
        talk.say(&Hello { minor: 0, features: 0, agent: "test".to_owned() }).await;
        match talk.hear().await {
            Some(frame) => {
                let welcome = Welcome::read(&frame).expect("a welcome");
                Ok((wire, talk, welcome))
            }
            None => Err(wire.connection.closed().await),
        }
    }

    /// Opens a stream.
    pub async fn talk(&self) -> Result<Talk, ConnectionError> {
        let (send, receive) = self.connection.open_bi().await?;
        Ok(Talk { send, receive, frames: Frames::new(BULK_BYTES) })
    }

    /// The same for a server that does not refuse.
    pub async fn begin<M: Message>(&self, message: &M) -> Talk {
        let mut talk = self.talk().await.expect("connected");
        talk.say(message).await;
        talk
    }

    /// Asks for something in JSON; the status and what was answered.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let mut talk = self.begin(&Call { method: method.to_owned(), path: path.to_owned(), body }).await;
        let AnswerHead { status, .. } = talk.hear_a().await;
        let mut body = Vec::new();
        loop {
            let frame = talk.hear().await.expect("an end of the answer");
            match frame.kind {
                BODY => body.extend(frame.payload),
                _ => break assert_eq!(AnswerDone::read(&frame).expect("an end").bytes, body.len() as u64),
            }
        }
        let answer = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        (status, answer)
    }

    /// The code with which the server closes the connection.
    pub async fn closed_with(&self) -> u64 {
        match self.connection.closed().await {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            other => panic!("{other}"),
        }
    }
}

impl Talk {
    /// Sends a message. Whether it arrives shows later.
    pub async fn say<M: Message>(&mut self, message: &M) {
        self.say_frame(&message.frame().expect("a frame")).await;
    }

    /// Sends a frame.
    pub async fn say_frame(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.write(&mut bytes).expect("a frame");
        self.say_bytes(&bytes).await;
    }

    /// Sends any bytes.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        let _ = self.send.write_all(bytes).await;
    }

    /// The next frame; `None` if the stream ends.
    pub async fn hear(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.take().expect("sound frames") {
                return Some(frame);
            }
            let chunk = self.receive.read_chunk(1 << 20, true).await.ok()??;
            self.frames.push(&chunk.bytes);
        }
    }

    /// The next frame, which has to be this.
    pub async fn hear_a<M: Message>(&mut self) -> M {
        let frame = self.hear().await.expect("an answer");
        M::read(&frame).unwrap_or_else(|error| panic!("{error}: {:?}", Failed::read(&frame)))
    }

    /// The failure that ends the stream.
    pub async fn failure(&mut self) -> Failed {
        let failed = self.hear_a().await;
        assert_eq!(self.hear().await, None, "nothing comes behind it");
        failed
    }
}

/// Believes any server.
#[derive(Debug)]
struct Believe(Arc<CryptoProvider>);

impl ServerCertVerifier for Believe {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
