//! A bad link: a UDP proxy that loses, delays and so reorders datagrams, is cut at times, and sends from other ports than before.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Longer than any datagram of QUIC.
const LONGEST: usize = 65_535;

/// What becomes of datagrams, of each direction alike.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// How many in a hundred are lost.
    pub lost: u8,
    /// The longest that one is delayed. Each is by another time, so some overtake others.
    pub delay: Duration,
    /// Whether all are lost.
    pub is_cut: bool,
}

/// The proxy, which runs in the runtime that made it until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients find it.
    pub at: SocketAddr,
    link: Arc<Link>,
    hearing: JoinHandle<()>,
}

#[derive(Debug)]
struct Link {
    to: SocketAddr,
    front: Arc<UdpSocket>,
    sky: Mutex<Sky>,
    lanes: Mutex<HashMap<SocketAddr, Lane>>,
    carried: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug)]
struct Sky {
    weather: Weather,
    random: Rng,
}

/// The way of one client to the server.
#[derive(Debug)]
struct Lane {
    socket: Arc<UdpSocket>,
    hearing: JoinHandle<()>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.hearing.abort();
        lock(&self.link.lanes).clear();
    }
}

impl Proxy {
    /// On a port of its choice, to a server. The seed says which datagrams are lost and for how long the others are delayed.
    pub async fn start(to: SocketAddr, seed: u64, weather: Weather) -> Proxy {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket"));
        let at = front.local_addr().expect("an address");
        let sky = Sky { weather, random: Rng::with_seed(seed) };
        let (lanes, carried, lost) = Default::default();
        let link = Arc::new(Link { to, front, sky: sky.into(), lanes, carried, lost });
        let hearing = tokio::spawn(hear_clients(link.clone()));
        Proxy { at, link, hearing }
    }

    /// Changes the weather.
    pub fn weather(&self, weather: Weather) {
        lock(&self.link.sky).weather = weather;
    }

    /// From now on the server hears all clients from other ports than before, as behind a router that was restarted.
    pub fn move_elsewhere(&self) {
        for (client, lane) in lock(&self.link.lanes).iter_mut() {
            *lane = Lane::new(&self.link, *client);
        }
    }

    /// Datagrams that were carried, and those that were lost.
    pub fn count(&self) -> (u64, u64) {
        (self.link.carried.load(Ordering::Relaxed), self.link.lost.load(Ordering::Relaxed))
    }
}

impl Lane {
    fn new(link: &Arc<Link>, client: SocketAddr) -> Lane {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.set_nonblocking(true).expect("a socket that does not block");
        let socket = Arc::new(UdpSocket::from_std(socket).expect("a socket"));
        let hearing = tokio::spawn(hear_server(link.clone(), socket.clone(), client));
        Lane { socket, hearing }
    }
}

impl Link {
    /// Sends a datagram on, if that is its fate.
    async fn carry(&self, datagram: &[u8], from: &Arc<UdpSocket>, to: SocketAddr) {
        let fate = {
            let Sky { weather, random } = &mut *lock(&self.sky);
            let is_lost = weather.is_cut || random.u8(..100) < weather.lost;
            (!is_lost).then(|| weather.delay.mul_f64(random.f64()))
        };
        let Some(delay) = fate else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.carried.fetch_add(1, Ordering::Relaxed);
        if delay.is_zero() {
            // Where nobody listens it is lost, as anywhere.
            let _ = from.send_to(datagram, to).await;
        } else {
            let (datagram, from) = (datagram.to_vec(), from.clone());
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = from.send_to(&datagram, to).await;
            });
        }
    }
}

async fn hear_clients(link: Arc<Link>) {
    let mut bytes = vec![0; LONGEST];
    loop {
        // What goes wrong here is that a client has gone.
        let Ok((length, client)) = link.front.recv_from(&mut bytes).await else { continue };
        let socket = lock(&link.lanes).entry(client).or_insert_with(|| Lane::new(&link, client)).socket.clone();
        link.carry(&bytes[..length], &socket, link.to).await;
    }
}

async fn hear_server(link: Arc<Link>, socket: Arc<UdpSocket>, client: SocketAddr) {
    let mut bytes = vec![0; LONGEST];
    loop {
        let Ok((length, _)) = socket.recv_from(&mut bytes).await else { continue };
        link.carry(&bytes[..length], &link.front, client).await;
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
