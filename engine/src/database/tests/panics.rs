//! A panic in the middle of a commit: what became of the group is unknown, so nothing more is accepted.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::io::{Clock, OsClock};

/// A clock that panics at the last of so many looks. A commit looks at it before the write, and between the sync and the publication.
#[derive(Debug)]
struct Trap {
    clock: OsClock,
    looks: AtomicU32,
}

impl Clock for Trap {
    fn wall_micros(&self) -> i64 {
        self.clock.wall_micros()
    }

    fn monotonic_micros(&self) -> u64 {
        let looks = self.looks.fetch_update(Ordering::AcqRel, Ordering::Acquire, |looks| looks.checked_sub(1));
        if looks == Ok(1) {
            // Without the panic hook, whose words would only puzzle whoever reads the output.
            resume_unwind(Box::new("the clock"));
        }
        self.clock.monotonic_micros()
    }
}

#[test]
fn a_panic_while_committing_stops_the_database_and_blocks_nobody() {
    let disk = MemoryDisk::new();
    let clock = Arc::new(Trap { clock: OsClock::new(), looks: AtomicU32::new(0) });
    let components = Components { disk: Arc::new(disk.clone()), clock: clock.clone(), ..Components::os() };
    let db = Database::builder().settings(settings()).components(components).open(ROOT).unwrap();
    db.create_table(TableSpec::new("t").tag("device").field("v", FieldType::Int64)).unwrap();
    append(&db, 0..1);
    let (second, third) = (batch(&db, 1), batch(&db, 2));
    clock.looks.store(2, Ordering::Release);
    assert!(catch_unwind(AssertUnwindSafe(|| db.append("t", &second))).is_err());
    let stopped = |outcome: Result<()>| assert!(matches!(outcome, Err(Error::Stopped { .. })), "{outcome:?}");
    stopped(db.append("t", &third).map(drop));
    stopped(db.append_all(&[("t", &third), ("t", &second)]).map(drop));
    stopped(db.flush());
    stopped(db.seal());
    assert_values(&db, 1);
    stopped(db.close());
    // The group had reached the disk, though nobody was told.
    assert_values(&open(&disk.after_power_cut()), 2);
}
