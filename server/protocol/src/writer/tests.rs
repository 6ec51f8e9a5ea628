//! Both ends together: whatever goes wrong between them, each batch counts once.

use std::collections::{BTreeSet, VecDeque};

use fastrand::Rng;

use super::*;
use crate::message::Opened;

const ID: [u8; 16] = [7; 16];
const WINDOW: u32 = 40;

/// On the way to the server.
#[derive(Debug, Clone, Copy)]
enum Up {
    Batch { number: u64, content: u64 },
    Skip(u64),
}

/// On the way to the client.
#[derive(Debug, Clone, Copy)]
enum Down {
    Applied(u64),
    Refused(u64),
}

/// A server that applies batches and may lose everything but what it applied; a client that may lose everything but what it kept;
/// and a connection that goes at any moment with what is on it.
struct World {
    random: Rng,
    /// The number and content of what was applied. Durable.
    applied: Vec<(u64, Option<u64>)>,
    receiver: Option<Receiver>,
    /// Batches that the client keeps: number and content. Durable.
    kept: VecDeque<(u64, u64)>,
    acknowledged: u64,
    noted: bool,
    sender: Sender,
    up: VecDeque<Up>,
    down: VecDeque<Down>,
    made: u64,
    given_up: BTreeSet<u64>,
}

/// Contents that are multiples of this are refused.
const BAD: u64 = 7;

impl World {
    fn new(seed: u64) -> Self {
        World {
            random: Rng::with_seed(seed),
            applied: Vec::new(),
            receiver: None,
            kept: VecDeque::new(),
            acknowledged: 0,
            noted: false,
            sender: Sender::new(ID),
            up: VecDeque::new(),
            down: VecDeque::new(),
            made: 0,
            given_up: BTreeSet::new(),
        }
    }

    fn size(content: u64) -> usize {
        (content % 30) as usize + 1
    }

    fn step(&mut self) {
        match self.random.u8(..20) {
            0..4 => self.make(),
            4..8 => self.send(),
            8..12 => self.server_reads(),
            12..16 => self.client_reads(),
            16 => self.connect(),
            17 => self.decide(),
            18 if self.random.u8(..4) == 0 => self.cut(),
            19 if self.random.u8(..4) == 0 => self.client_dies(),
            _ => {}
        }
    }

    fn make(&mut self) {
        self.made += 1;
        let number = self.sender.push(Self::size(self.made));
        self.kept.push_back((number, self.made));
    }

    fn connect(&mut self) {
        if self.receiver.is_some() {
            return;
        }
        let applied = self.applied.last().map_or(0, |(number, _)| *number);
        let open = self.sender.open();
        assert!(open.acknowledged.is_none_or(|acknowledged| acknowledged <= applied), "nothing acknowledged was lost");
        assert!(open.acknowledged.is_some() || applied == 0, "one of which something was applied is not new");
        self.receiver = Some(Receiver::new(applied));
        self.sender.opened(&Opened { applied_through: applied, window_bytes: WINDOW }).unwrap();
        self.keep_behind();
    }

    /// The client lets go of what is acknowledged.
    fn keep_behind(&mut self) {
        self.acknowledged = self.sender.acknowledged();
        while self.kept.front().is_some_and(|(number, _)| *number <= self.acknowledged) {
            self.kept.pop_front();
        }
    }

    fn cut(&mut self) {
        (self.receiver, self.up, self.down) = Default::default();
        self.sender.disconnected();
    }

    fn client_dies(&mut self) {
        self.cut();
        let sizes: Vec<usize> = self.kept.iter().map(|(_, content)| Self::size(*content)).collect();
        self.sender = Sender::restore(ID, self.noted, self.acknowledged, sizes);
    }

    fn send(&mut self) {
        match self.sender.poll() {
            Next::Note => {
                self.noted = true;
                self.sender.noted();
            }
            Next::Send(number) => {
                assert!(self.noted);
                let (_, content) = self.kept.iter().find(|(kept, _)| *kept == number).copied().unwrap();
                self.up.push_back(Up::Batch { number, content });
                let flying: usize = self.kept.iter().take_while(|(kept, _)| *kept <= number).map(|(_, c)| Self::size(*c)).sum();
                assert!(flying <= WINDOW as usize || self.kept[0].0 == number, "{flying} bytes under way");
            }
            Next::Wait => {}
        }
    }

    fn server_reads(&mut self) {
        let Some(receiver) = &mut self.receiver else { return };
        match self.up.pop_front() {
            None => {}
            Some(Up::Skip(number)) => {
                receiver.skip(number).unwrap();
                self.applied.push((number, None));
                self.down.push_back(Down::Applied(number));
            }
            Some(Up::Batch { number, content }) => match receiver.batch(number).unwrap() {
                Incoming::Apply if content.is_multiple_of(BAD) => {
                    receiver.refused(number);
                    self.down.push_back(Down::Refused(number));
                }
                Incoming::Apply => {
                    self.applied.push((number, Some(content)));
                    self.down.push_back(Down::Applied(number));
                }
                Incoming::Known => {
                    let applied = self.applied.last().map_or(0, |(number, _)| *number);
                    self.down.push_back(Down::Applied(applied));
                }
                Incoming::HeldUp => {}
            },
        }
    }

    fn client_reads(&mut self) {
        match self.down.pop_front() {
            None => {}
            Some(Down::Applied(through)) => {
                self.sender.applied(through).unwrap();
                self.keep_behind();
            }
            Some(Down::Refused(number)) => self.sender.refused(number).unwrap(),
        }
    }

    /// The client mends or gives up what was refused.
    fn decide(&mut self) {
        let Some(refused) = self.sender.is_refused() else { return };
        if self.random.bool() {
            assert_eq!(self.sender.skip(), Some(refused));
            self.given_up.insert(refused);
            self.up.push_back(Up::Skip(refused));
        } else {
            let place = self.kept.iter_mut().find(|(number, _)| *number == refused).unwrap();
            place.1 = 1_000_001 * BAD + 1;
            self.sender.resend(Self::size(place.1));
        }
    }

    fn settle(&mut self) {
        for _ in 0..200_000 {
            if self.kept.is_empty() {
                return;
            }
            match self.random.u8(..5) {
                0 => self.connect(),
                1 => self.send(),
                2 => self.server_reads(),
                3 => self.client_reads(),
                _ => self.decide(),
            }
        }
        panic!("{} batches are never acknowledged", self.kept.len());
    }
}

#[test]
fn each_batch_counts_once_whatever_happens() {
    let number =
        |variable: &str, default: u64| std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seed, cases) = (number("ALLUVIUM_SEED", 1), number("ALLUVIUM_CASES", 300));
    let mut given_up = 0;
    for seed in seed..seed + cases {
        println!("ALLUVIUM_SEED={seed}");
        let mut world = World::new(seed);
        (0..2_000).for_each(|_| world.step());
        world.settle();
        let numbers: Vec<u64> = world.applied.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=world.made).collect::<Vec<_>>(), "each once, in order");
        for (number, content) in &world.applied {
            match content {
                None => assert!(world.given_up.contains(number) && number.is_multiple_of(BAD)),
                Some(content) if number.is_multiple_of(BAD) => assert_eq!(*content, 1_000_001 * BAD + 1, "mended"),
                Some(content) => assert_eq!(content, number, "as it was made"),
            }
        }
        given_up += world.applied.iter().filter(|(_, content)| content.is_none()).count();
    }
    assert!(given_up > 0, "it comes to that");
}

#[test]
fn a_receiver_takes_what_is_next_and_knows_what_was() {
    let mut receiver = Receiver::new(5);
    assert_eq!(receiver.batch(5), Ok(Incoming::Known));
    assert_eq!(receiver.batch(6), Ok(Incoming::Apply));
    assert_eq!(receiver.batch(6), Ok(Incoming::Known));
    assert_eq!(receiver.batch(8), Err(OutOfOrder::Gap { expected: 7, found: 8 }));
    assert_eq!(receiver.skip(7), Err(OutOfOrder::NotRefused { number: 7 }));
    assert_eq!((receiver.batch(7), receiver.batch(8)), (Ok(Incoming::Apply), Ok(Incoming::Apply)));
    receiver.refused(7);
    assert_eq!((receiver.batch(8), receiver.batch(9)), (Ok(Incoming::HeldUp), Ok(Incoming::HeldUp)));
    assert_eq!(receiver.skip(8), Err(OutOfOrder::NotRefused { number: 8 }));
    assert_eq!(receiver.batch(7), Ok(Incoming::Apply));
    receiver.refused(7);
    receiver.skip(7).unwrap();
    assert_eq!(receiver.batch(8), Ok(Incoming::Apply));
}

#[test]
fn a_sender_believes_nothing_impossible() {
    let mut sender = Sender::restore(ID, true, 3, [10, 10, 10]);
    assert_eq!(sender.open().acknowledged, Some(3));
    for applied in [2, 7] {
        let opened = Opened { applied_through: applied, window_bytes: 15 };
        assert_eq!(sender.opened(&opened), Err(OutOfOrder::Impossible { applied, acknowledged: 3, made: 6 }));
    }
    assert_eq!((sender.poll(), sender.applied(4)), (Next::Wait, Err(OutOfOrder::NotUnderWay { number: 4 })));
    sender.opened(&Opened { applied_through: 4, window_bytes: 15 }).unwrap();
    assert_eq!((sender.poll(), sender.poll()), (Next::Send(5), Next::Wait), "the window holds one");
    assert_eq!(sender.applied(6), Err(OutOfOrder::NotUnderWay { number: 6 }));
    assert_eq!(sender.refused(4), Err(OutOfOrder::NotUnderWay { number: 4 }));
    assert_eq!(sender.applied(5), Ok(5..=5));
    assert!(sender.applied(5).unwrap().is_empty(), "said again");
    assert_eq!(sender.applied(4), Err(OutOfOrder::NotUnderWay { number: 4 }));
    assert_eq!((sender.poll(), sender.refused(6)), (Next::Send(6), Ok(())));
    sender.push(1);
    assert_eq!((sender.poll(), sender.is_refused()), (Next::Wait, Some(6)), "nothing goes on behind it");
    assert_eq!((sender.skip(), sender.poll()), (Some(6), Next::Send(7)));
}

#[test]
fn nothing_is_sent_before_it_is_noted_that_something_will_be() {
    let mut sender = Sender::new(ID);
    assert_eq!(sender.open().acknowledged, None);
    sender.push(100);
    sender.opened(&Opened { applied_through: 0, window_bytes: 15 }).unwrap();
    assert_eq!((sender.poll(), sender.poll()), (Next::Note, Next::Note));
    sender.noted();
    assert_eq!(sender.poll(), Next::Send(1), "one goes, however large");
    assert_eq!(sender.open().acknowledged, Some(0));
}
