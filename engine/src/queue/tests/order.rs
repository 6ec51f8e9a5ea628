//! Random operations, held against a list that is searched from end to end.

use fastrand::Rng;

use super::*;
use crate::testing;

/// An item as the model sees it.
#[derive(Debug, Clone)]
struct Modelled {
    id: u64,
    priority: u8,
    tries: u32,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// Since a time, due at another, and the how-manieth it was to become so.
    Ready(u64, i64, usize),
    Scheduled(i64),
    Leased(u64, Lease),
    Delayed(u64),
    Dead,
}

#[derive(Debug, Default)]
struct Model {
    items: Vec<Modelled>,
    engine: u64,
    wall: i64,
    arrivals: usize,
}

const MOST_TRIES: u32 = 3;

impl Model {
    /// What it is once those whose time has come are promoted.
    fn now(&self) -> Model {
        let mut now = Model { items: self.items.clone(), ..*self };
        now.promote();
        now
    }

    /// Those whose time has come, in the order in which it came: those by the engine's clock, then those by the wall clock.
    fn promote(&mut self) {
        let (engine, wall) = (self.engine, self.wall);
        let mut due: Vec<_> = (0..self.items.len())
            .filter_map(|n| match self.items[n].place {
                Place::Leased(until, _) | Place::Delayed(until) if until <= engine => Some((0, until, 0, self.items[n].id, n)),
                Place::Scheduled(due) if due <= wall => Some((1, 0, due, self.items[n].id, n)),
                _ => None,
            })
            .collect();
        due.sort_unstable();
        for (.., n) in due {
            self.arrivals += 1;
            let item = &mut self.items[n];
            item.place = match item.place {
                Place::Leased(..) if item.tries >= MOST_TRIES => Place::Dead,
                Place::Leased(until, _) | Place::Delayed(until) => Place::Ready(until, i64::MIN, self.arrivals),
                Place::Scheduled(due) => Place::Ready(engine, due, self.arrivals),
                place => place,
            };
        }
    }

    fn ready(&mut self) -> Place {
        self.arrivals += 1;
        Place::Ready(self.engine, i64::MIN, self.arrivals)
    }

    /// By priority, time and number.
    fn order(&self) -> Vec<usize> {
        let key = |item: &Modelled| match item.place {
            Place::Ready(since, due, arrival) => Some((!item.priority, since, due, arrival)),
            _ => None,
        };
        let mut order: Vec<_> = (0..self.items.len()).filter_map(|n| Some((key(&self.items[n])?, n))).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, n)| n).collect()
    }

    fn sizes(&self) -> QueueSizes {
        let mut sizes = QueueSizes::default();
        for item in &self.items {
            *match item.place {
                Place::Ready(..) => &mut sizes.ready,
                Place::Scheduled(_) => &mut sizes.scheduled,
                Place::Leased(..) => &mut sizes.leased,
                Place::Delayed(_) => &mut sizes.delayed,
                Place::Dead => &mut sizes.dead,
            } += 1;
        }
        sizes
    }

    fn leased(&self) -> Vec<(usize, Lease)> {
        let lease = |(n, item): (usize, &Modelled)| match item.place {
            Place::Leased(_, lease) => Some((n, lease)),
            _ => None,
        };
        self.items.iter().enumerate().filter_map(lease).collect()
    }
}

/// One thing happens to both.
fn step(random: &mut Rng, model: &mut Model, db: &Database, clock: &Hands, stale: &mut Vec<Lease>) {
    let mut queue = db.queue(Q);
    // Promotion numbers those it promotes, and only changes promote.
    match random.usize(..10) {
        0..=3 => {
            model.promote();
            for _ in 0..=random.usize(..3) {
                let (priority, due) = (random.u8(..3), model.wall + random.i64(0..40) - 20);
                let (item, place) = match random.usize(..3) {
                    0 if due > model.wall => (NewItem::new("x").due(due), Place::Scheduled(due)),
                    0 => {
                        model.arrivals += 1;
                        (NewItem::new("x").due(due), Place::Ready(model.engine, due, model.arrivals))
                    }
                    _ => (NewItem::new("x"), model.ready()),
                };
                let id = queue.push(item.priority(priority)).unwrap().id;
                model.items.push(Modelled { id, priority, tries: 0, place });
            }
        }
        4..=5 => {
            model.promote();
            let (limit, lease) = (random.usize(..5), random.u64(..20));
            let popped = queue.pop_many(Pop::at_most(limit).lease(Duration::from_micros(lease))).unwrap();
            let expected: Vec<_> = model.order().into_iter().take(limit).collect();
            let ids: Vec<_> = expected.iter().map(|n| model.items[*n].id).collect();
            assert_eq!(popped.iter().map(|leased| leased.item.id).collect::<Vec<_>>(), ids);
            for (leased, n) in popped.iter().zip(expected) {
                let item = &mut model.items[n];
                item.tries += 1;
                assert_eq!((leased.item.tries, leased.item.priority), (item.tries, item.priority));
                item.place = Place::Leased(model.engine + lease, leased.lease);
                stale.push(leased.lease);
            }
        }
        6..=7 => {
            let now = model.now();
            let leased = now.leased();
            let Some(&(n, lease)) = leased.get(random.usize(..leased.len().max(1))) else { return };
            *model = now;
            match random.usize(..3) {
                0 => {
                    queue.ack(lease).unwrap();
                    model.items.remove(n);
                }
                1 => {
                    let time = random.u64(..15);
                    queue.extend(lease, Duration::from_micros(time)).unwrap();
                    model.items[n].place = Place::Leased(model.engine + time, lease);
                }
                _ => {
                    let wait = random.u64(..15);
                    queue.nack(lease, Retry::After(Duration::from_micros(wait))).unwrap();
                    let ready = model.ready();
                    let item = &mut model.items[n];
                    item.place = match wait {
                        _ if item.tries >= MOST_TRIES => Place::Dead,
                        0 => ready,
                        wait => Place::Delayed(model.engine + wait),
                    };
                }
            }
        }
        8 if random.usize(..4) == 0 => {
            model.promote();
            let mut dead: Vec<_> = (0..model.items.len()).filter(|n| model.items[*n].place == Place::Dead).collect();
            dead.sort_by_key(|n| model.items[*n].id);
            dead.truncate(2);
            assert_eq!(queue.requeue_dead(2).unwrap(), dead.len());
            for n in dead {
                let place = model.ready();
                model.items[n] = Modelled { tries: 0, place, ..model.items[n].clone() };
            }
        }
        8 => {
            // Only leases that hold do anything.
            let Some(&lease) = stale.get(random.usize(..stale.len().max(1))) else { return };
            if !model.now().leased().iter().any(|(_, held)| *held == lease) {
                lost(queue.ack(lease), lease);
            }
        }
        _ => {
            let micros = random.u64(..12);
            clock.pass(micros);
            model.engine += micros;
            model.wall = if random.usize(..4) == 0 { random.i64(0..1_000) } else { model.wall + micros as i64 };
            clock.set_wall(model.wall);
        }
    }
}

fn check(model: &Model, db: &Database) {
    let now = model.now();
    let order: Vec<_> = now.order().into_iter().map(|n| now.items[n].id).collect();
    let queue = db.queue(Q);
    assert_eq!(queue.peek(usize::MAX).unwrap().iter().map(|item| item.id).collect::<Vec<_>>(), order);
    assert_eq!(queue.peek(2).unwrap().iter().map(|item| item.id).collect::<Vec<_>>(), order[..order.len().min(2)]);
    assert_eq!(queue.sizes().unwrap(), now.sizes());
    let mut dead: Vec<_> = now.items.iter().filter(|item| item.place == Place::Dead).map(|item| item.id).collect();
    dead.sort_unstable();
    assert_eq!(queue.dead(0, usize::MAX).unwrap().iter().map(|item| item.id).collect::<Vec<_>>(), dead);
}

#[test]
fn random_operations_do_what_a_list_would() {
    let mut random = testing::random(0x5EED);
    for _ in 0..2 {
        let (disk, clock, db) = with_queue();
        let (mut model, mut stale, mut db) = (Model::default(), Vec::new(), Some(db));
        for _ in 0..1_200 {
            let open_db = db.as_ref().unwrap();
            step(&mut random, &mut model, open_db, &clock, &mut stale);
            check(&model, open_db);
            match random.usize(..150) {
                0 => open_db.seal().unwrap(),
                // Afterwards everything lies in the catalog, where there was an overlay before.
                1 => {
                    drop(db.take());
                    db = Some(open(&disk, &clock));
                }
                _ => {}
            }
        }
        let (db, items) = (db.unwrap(), model.now().items.len());
        assert!(items > 20, "only {items} items left");
        assert_eq!(db.queue(Q).purge().unwrap(), items);
        assert_eq!(cells(&db).len(), 4, "counts, indexes and lanes agree to the last item");
    }
}
