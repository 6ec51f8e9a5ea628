//! Queues.

use std::time::{Duration, Instant};

use alluvium::{Lease, Leased, NewItem, Pop, QueueSpec, Retry};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::convert::{bytes, from_json, to_json};
use crate::error::{Fault, Outcome};
use crate::handle::{Via, reach};
use crate::{interrupt, time};

/// A queue: items are popped by priority, then in order. Who pops one has a lease of it, until it is acknowledged, given back, or the lease ends.
///
/// >>> db.create_queue("commands")
/// >>> commands = db.queue("commands")
/// >>> _ = commands.push({"open": "valve 3"})
/// >>> with commands.pop() as item:   # acknowledged at the end, given back where that fails
/// ...     item.json()
/// {'open': 'valve 3'}
/// >>> commands.pop() is None
/// True
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Queue {
    via: Via,
    name: String,
}

impl Queue {
    pub(crate) fn new(via: Via, name: String) -> Self {
        Queue { via, name }
    }

    fn leased(&self, leased: Leased) -> Item {
        Item {
            via: self.via.clone(),
            queue: self.name.clone(),
            lease: Some(leased.lease),
            item: leased.item,
            is_settled: Mutex::new(false),
        }
    }

    fn lying(&self, item: alluvium::Item) -> Item {
        Item { via: self.via.clone(), queue: self.name.clone(), lease: None, item, is_settled: Mutex::new(true) }
    }

    fn popped(&self, py: Python<'_>, how: Pop, wait: Option<Duration>) -> Outcome<Vec<Item>> {
        let name = &self.name;
        let leased = match (wait, &self.via) {
            (None, _) => reach!(py, &self.via, |access| access.queue(name).pop_many(how))?,
            (Some(_), Via::Transaction(..)) => {
                return Err(Fault::invalid(
                    "nothing comes into a queue while a transaction waits: pop without wait, or outside of it",
                ));
            }
            (Some(wait), Via::Database(handle)) => {
                let until = Instant::now().checked_add(wait);
                interrupt::poll(py, |glance| {
                    let left = until.map_or(glance, |until| until.saturating_duration_since(Instant::now()));
                    let popped = handle.with(|db| db.queue(name).pop_wait(how, glance.min(left)))?;
                    Ok((!popped.is_empty() || left <= glance && until.is_some()).then_some(popped))
                })?
            }
        };
        Ok(leased.into_iter().map(|leased| self.leased(leased)).collect())
    }
}

fn pop(at_most: usize, lease: Option<&Bound<'_, PyAny>>) -> Outcome<Pop> {
    let pop = Pop::at_most(at_most);
    Ok(time::optional(lease)?.map_or(pop, |time| pop.lease(time)))
}

/// What is pushed: bytes, text, or JSON.
fn payload(object: &Bound<'_, PyAny>) -> Outcome<Vec<u8>> {
    if object.is_instance_of::<PyDict>() || object.is_instance_of::<pyo3::types::PyList>() {
        return Ok(to_json(object)?.to_string().into_bytes());
    }
    bytes(object)
}

#[pymethods]
impl Queue {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Pushes an item: bytes, text, or a dict or list, as JSON. Higher `priority` comes first (0 to 255); `delay`, or `due`, is when it may be popped;
    /// and one with the same `key` is not pushed again within the queue's window.
    ///
    /// >>> db.create_queue("alarms")
    /// >>> alarms = db.queue("alarms")
    /// >>> alarms.push("door open", key="door/7").duplicate
    /// False
    /// >>> alarms.push("door open", key="door/7").duplicate
    /// True
    #[pyo3(signature = (payload, *, priority = 0, delay = None, due = None, key = None))]
    fn push(
        &self,
        py: Python<'_>,
        payload: &Bound<'_, PyAny>,
        priority: u8,
        delay: Option<&Bound<'_, PyAny>>,
        due: Option<&Bound<'_, PyAny>>,
        key: Option<&str>,
    ) -> Outcome<Pushed> {
        let mut item = NewItem::new(self::payload(payload)?).priority(priority);
        if let Some(due) = self.due(py, delay, due)? {
            item = item.due(due);
        }
        if let Some(key) = key {
            item = item.deduplicate(key);
        }
        let name = &self.name;
        let pushed = reach!(py, &self.via, |access| access.queue(name).push(item))?;
        Ok(Pushed { id: pushed.id, duplicate: pushed.duplicate })
    }

    /// Pops the next item, or returns None where there is none, after waiting for one as long as `wait` says. `lease` is how long it may be kept, if
    /// not for as long as the queue says.
    ///
    /// >>> db.create_queue("alarms")
    /// >>> db.queue("alarms").pop(wait=0.01) is None
    /// True
    #[pyo3(signature = (*, lease = None, wait = None))]
    fn pop(&self, py: Python<'_>, lease: Option<&Bound<'_, PyAny>>, wait: Option<&Bound<'_, PyAny>>) -> Outcome<Option<Item>> {
        Ok(self.popped(py, pop(1, lease)?, time::optional(wait)?)?.pop())
    }

    /// Pops the next items, at most so many.
    ///
    /// >>> db.create_queue("alarms")
    /// >>> _ = [db.queue("alarms").push(text) for text in ("a", "b", "c")]
    /// >>> [item.payload for item in db.queue("alarms").pop_many(2)]
    /// [b'a', b'b']
    #[pyo3(signature = (at_most, *, lease = None, wait = None))]
    fn pop_many(
        &self,
        py: Python<'_>,
        at_most: usize,
        lease: Option<&Bound<'_, PyAny>>,
        wait: Option<&Bound<'_, PyAny>>,
    ) -> Outcome<Vec<Item>> {
        self.popped(py, pop(at_most, lease)?, time::optional(wait)?)
    }

    /// Acknowledges an item: it is done, and gone. In a transaction it is if that is committed.
    ///
    /// >>> db.create_queue("alarms")
    /// >>> _ = db.queue("alarms").push("fire")
    /// >>> item = db.queue("alarms").pop()
    /// >>> with db.transaction() as tx:
    /// ...     _ = tx.kv.increment("fires")
    /// ...     tx.queue("alarms").ack(item)
    fn ack(&self, py: Python<'_>, item: &Item) -> Outcome<()> {
        let (name, lease) = (&self.name, item.lease()?);
        reach!(py, &self.via, |access| access.queue(name).ack(lease))?;
        *item.is_settled.lock() = true;
        Ok(())
    }

    /// Gives an item back: it may be popped again after the queue's back-off, or after `delay`, or counts as dead when it was tried often enough.
    ///
    /// >>> db.create_queue("alarms")
    /// >>> _ = db.queue("alarms").push("fire")
    /// >>> db.queue("alarms").nack(db.queue("alarms").pop(), delay="5m")
    /// >>> db.queue("alarms").sizes()["delayed"]
    /// 1
    #[pyo3(signature = (item, *, delay = None))]
    fn nack(&self, py: Python<'_>, item: &Item, delay: Option<&Bound<'_, PyAny>>) -> Outcome<()> {
        let (name, lease) = (&self.name, item.lease()?);
        let retry = time::optional(delay)?.map_or(Retry::BackOff, Retry::After);
        reach!(py, &self.via, |access| access.queue(name).nack(lease, retry))?;
        *item.is_settled.lock() = true;
        Ok(())
    }

    /// The items that would be popped next, which stay where they are.
    ///
    /// >>> db.create_queue("alarms")
    /// >>> _ = db.queue("alarms").push("fire")
    /// >>> [item.payload for item in db.queue("alarms").peek()]
    /// [b'fire']
    #[pyo3(signature = (limit = 10))]
    fn peek(&self, py: Python<'_>, limit: usize) -> Outcome<Vec<Item>> {
        let name = &self.name;
        let items = reach!(py, &self.via, |access| access.queue(name).peek(limit))?;
        Ok(items.into_iter().map(|item| self.lying(item)).collect())
    }

    /// Items that were tried too often, with higher ids than `after`.
    ///
    /// >>> db.create_queue("alarms", tries=1)
    /// >>> alarms = db.queue("alarms")
    /// >>> _ = alarms.push("fire")
    /// >>> alarms.pop().nack()
    /// >>> [item.payload for item in alarms.dead()]
    /// [b'fire']
    #[pyo3(signature = (*, after = 0, limit = 100))]
    fn dead(&self, py: Python<'_>, after: u64, limit: usize) -> Outcome<Vec<Item>> {
        let name = &self.name;
        let items = reach!(py, &self.via, |access| access.queue(name).dead(after, limit))?;
        Ok(items.into_iter().map(|item| self.lying(item)).collect())
    }

    /// Lets dead items be popped again, by their ids.
    ///
    /// >>> db.create_queue("alarms")
    /// >>> db.queue("alarms").requeue([item.id for item in db.queue("alarms").dead()])
    fn requeue(&self, py: Python<'_>, ids: Vec<u64>) -> Outcome<()> {
        let name = &self.name;
        reach!(py, &self.via, |access| access.queue(name).requeue(&ids))
    }

    /// Takes away every item there is; returns how many there were.
    ///
    /// >>> db.create_queue("alarms")
    /// >>> db.queue("alarms").purge()
    /// 0
    fn purge(&self, py: Python<'_>) -> Outcome<usize> {
        let name = &self.name;
        reach!(py, &self.via, |access| access.queue(name).purge())
    }

    /// How many items are where.
    ///
    /// >>> db.create_queue("alarms")
    /// >>> db.queue("alarms").sizes()
    /// {'ready': 0, 'scheduled': 0, 'leased': 0, 'delayed': 0, 'dead': 0}
    fn sizes<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyDict>> {
        let name = &self.name;
        let sizes = reach!(py, &self.via, |access| access.queue(name).sizes())?;
        let dict = PyDict::new(py);
        let all = [
            ("ready", sizes.ready),
            ("scheduled", sizes.scheduled),
            ("leased", sizes.leased),
            ("delayed", sizes.delayed),
            ("dead", sizes.dead),
        ];
        for (name, size) in all {
            dict.set_item(name, size)?;
        }
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        format!("<alluvium.Queue {:?}>", self.name)
    }
}

impl Queue {
    /// When an item is due, in microseconds of the wall clock.
    fn due(&self, py: Python<'_>, delay: Option<&Bound<'_, PyAny>>, due: Option<&Bound<'_, PyAny>>) -> Outcome<Option<i64>> {
        match (time::optional(delay)?, due) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Fault::invalid("an item has a delay or is due at a time: give one of them")),
            (Some(delay), None) => {
                let now = py.detach(|| self.via.handle().with(|db| Ok(db.now())))?.wall_micros;
                Ok(Some(now.saturating_add(i64::try_from(delay.as_micros()).unwrap_or(i64::MAX))))
            }
            (None, Some(due)) => {
                let moment = time::Clock::new(py, None)?.moment(due)?.map_err(Fault::invalid)?;
                let moment = moment.ok_or_else(|| Fault::invalid("NaT is no time that an item can be due at"))?;
                Ok(Some(moment.bound(alluvium::TimeUnit::Micro)))
            }
        }
    }
}

/// A queue to be made, in words.
pub(crate) fn spec(
    name: &str,
    lease: Option<&Bound<'_, PyAny>>,
    tries: Option<u32>,
    back_off: Option<&Bound<'_, PyAny>>,
    back_off_limit: Option<&Bound<'_, PyAny>>,
    dead_letters: bool,
    deduplication: Option<&Bound<'_, PyAny>>,
) -> Outcome<QueueSpec> {
    let mut spec = QueueSpec::new(name).dead_letters(dead_letters);
    spec.lease = time::optional(lease)?.unwrap_or(spec.lease);
    spec.tries = tries.unwrap_or(spec.tries);
    spec.back_off = time::optional(back_off)?.unwrap_or(spec.back_off);
    spec.back_off_limit = time::optional(back_off_limit)?.unwrap_or(spec.back_off_limit);
    spec.deduplication = time::optional(deduplication)?.unwrap_or(spec.deduplication);
    Ok(spec)
}

/// What became of a push.
#[pyclass(frozen, get_all, module = "alluvium")]
pub(crate) struct Pushed {
    /// The number of the item.
    id: u64,
    /// Whether it is the number of one pushed before with the same key, so that nothing was pushed now.
    duplicate: bool,
}

#[pymethods]
impl Pushed {
    fn __repr__(&self) -> String {
        format!("Pushed(id={}, duplicate={})", self.id, if self.duplicate { "True" } else { "False" })
    }
}

/// An item of a queue. One that was popped is acknowledged or given back; as a context manager, acknowledged at the end of the block, unless that was
/// done within, and given back where the block raises.
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Item {
    via: Via,
    queue: String,
    /// None where it was only looked at.
    lease: Option<Lease>,
    item: alluvium::Item,
    is_settled: Mutex<bool>,
}

impl Item {
    fn lease(&self) -> Outcome<Lease> {
        self.lease.ok_or_else(|| {
            Fault::invalid("this item was looked at and not popped, so it can be neither acknowledged nor given back")
        })
    }

    fn queue(&self) -> Queue {
        Queue { via: self.via.clone(), name: self.queue.clone() }
    }
}

#[pymethods]
impl Item {
    /// Its number in the queue.
    #[getter]
    fn id(&self) -> u64 {
        self.item.id
    }

    /// What was pushed.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.item.payload)
    }

    /// What was pushed, read as JSON.
    ///
    /// >>> db.create_queue("commands")
    /// >>> _ = db.queue("commands").push({"open": 3})
    /// >>> db.queue("commands").pop().json()
    /// {'open': 3}
    fn json<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let json = serde_json::from_slice(&self.item.payload)
            .map_err(|error| Fault::invalid(format_args!("the payload is no JSON: {error}")))?;
        Ok(from_json(py, &json)?)
    }

    /// Higher ones come first.
    #[getter]
    fn priority(&self) -> u8 {
        self.item.priority
    }

    /// How often it was popped, this time included.
    #[getter]
    fn tries(&self) -> u32 {
        self.item.tries
    }

    /// When it was pushed.
    #[getter]
    fn pushed_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        time::instant(py, self.item.pushed.into())
    }

    /// When it was to be due, if that was said.
    #[getter]
    fn due<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.item.due.map(|due| time::instant(py, due.into())).transpose()
    }

    /// The key that keeps the same from being pushed again.
    #[getter]
    fn key(&self) -> Option<&str> {
        self.item.deduplication.as_deref()
    }

    /// Acknowledges it: it is done, and gone. A `LeaseLostError` where its lease has ended; then someone else does it again.
    ///
    /// >>> db.create_queue("commands")
    /// >>> _ = db.queue("commands").push("stop")
    /// >>> db.queue("commands").pop().ack()
    fn ack(&self, py: Python<'_>) -> Outcome<()> {
        self.queue().ack(py, self)
    }

    /// Gives it back, to be popped again after the queue's back-off or after `delay`.
    ///
    /// >>> db.create_queue("commands")
    /// >>> _ = db.queue("commands").push("stop")
    /// >>> db.queue("commands").pop().nack(delay=0)
    /// >>> db.queue("commands").pop().tries
    /// 2
    #[pyo3(signature = (*, delay = None))]
    fn nack(&self, py: Python<'_>, delay: Option<&Bound<'_, PyAny>>) -> Outcome<()> {
        self.queue().nack(py, self, delay)
    }

    /// Keeps it for so long from now.
    ///
    /// >>> db.create_queue("commands")
    /// >>> _ = db.queue("commands").push("stop")
    /// >>> db.queue("commands").pop().extend("10m")
    fn extend(&self, py: Python<'_>, time: &Bound<'_, PyAny>) -> Outcome<()> {
        let (name, lease, time) = (&self.queue, self.lease()?, time::duration(time)?);
        reach!(py, &self.via, |access| access.queue(name).extend(lease, time))
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (kind, error, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Outcome<bool> {
        let _ = (error, traceback);
        let is_settled = *self.is_settled.lock();
        match (is_settled, kind.is_none()) {
            (true, _) => {}
            (false, true) => self.ack(py)?,
            // What failed within says more than what may fail now; the lease ends by itself.
            (false, false) => drop(self.nack(py, None)),
        }
        Ok(false)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Item(id={}, payload={}, priority={}, tries={})",
            self.item.id,
            self.payload(py).repr()?,
            self.item.priority,
            self.item.tries
        ))
    }
}
