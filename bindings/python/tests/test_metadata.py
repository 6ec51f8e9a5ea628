"""Documents, key-value pairs, queues, changes and transactions."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path
from typing import Any

import pytest

import alluvium


def test_pairs(db: alluvium.Database) -> None:
    kv = db.kv
    kv["a"] = "text"
    kv["b"] = b"\0\xff"
    assert kv["a"] == b"text" and kv["b"] == b"\0\xff" and "a" in kv
    del kv["a"]
    for missing in (lambda: kv["a"], lambda: kv.__delitem__("a")):
        with pytest.raises(KeyError):
            missing()
    assert kv.get("a") is None and kv.pair("a") is None and not kv.delete("a")
    revision = kv.put("c", "1", ttl=dt.timedelta(hours=1))
    pair = kv.pair("c")
    assert pair is not None and pair.revision == revision and dt.timedelta(0) < pair.expires_in <= dt.timedelta(hours=1)
    with pytest.raises(alluvium.StaleError) as caught:
        kv.put("c", "2", if_absent=True)
    assert caught.value.found == revision and caught.value.kind == "unavailable"
    assert kv.put("c", "2", if_revision=revision) > revision
    assert kv.increment("n", 5) == 5 and kv.increment("n", -7) == -2
    assert [pair.key for pair in kv.scan(reverse=True, limit=2)] == ["n", "c"]
    assert [pair.key for pair in kv.scan(after="b")] == ["c", "n"]
    with pytest.raises(TypeError):
        kv["a"] = 5  # type: ignore[assignment]
    for wrong in ("soon", -1, "1mo", True, [1]):
        with pytest.raises(alluvium.InputError):
            kv.put("c", "2", ttl=wrong)  # type: ignore[arg-type]


def test_documents(db: alluvium.Database) -> None:
    db.create_collection("devices", unique={"by_serial": ["serial"]}, history=2, soft_delete=True)
    with pytest.raises(alluvium.ExistsError):
        db.create_collection("devices")
    devices = db.collection("devices")
    content = {"serial": "A", "list": [1, 2.5, None, True, {"x": "ü"}], "big": 2**64 - 1, "small": -(2**63)}
    devices["pump"] = content
    assert devices["pump"].content == content and devices["pump"]["serial"] == "A" and "serial" in devices["pump"]
    with pytest.raises(alluvium.NotUniqueError) as caught:
        devices.put("other", {"serial": "A"})
    assert caught.value.other == "pump"
    failed = devices.put_many({"x": {"serial": "X"}, "y": {"serial": "X"}})
    assert list(failed) == ["y"] and isinstance(failed["y"], alluvium.NotUniqueError)
    devices.merge("pump", {"list": None, "big": None, "small": None})
    assert devices["pump"].content == {"serial": "A"} and devices.history("pump")[0].content == content
    del devices["pump"]
    assert devices.get("pump") is None
    deleted = devices.get("pump", deleted=True)
    assert deleted is not None and deleted.deleted_at.tzinfo is not None
    devices.restore("pump")
    assert "pump" in devices and devices.purge("pump") and "pump" not in devices
    with pytest.raises(KeyError):
        devices["pump"]
    for wrong in ({1: 2}, {"a": object()}, {"a": {1, 2}}):
        with pytest.raises(TypeError):
            devices.put("z", wrong)
    deep: Any = []
    deep.append(deep)
    for bad in ({"a": float("nan")}, {"a": 2**64}, {"a": deep}):
        with pytest.raises(alluvium.InputError):
            devices.put("z", bad)
    db.drop_collection("devices")
    with pytest.raises(alluvium.MissingError):
        devices.count()


def test_documents_are_found(db: alluvium.Database) -> None:
    db.create_collection("devices")
    devices = db.collection("devices")
    devices.put_many({f"d{i:04}": {"n": i, "room": "AB"[i % 2], "place": {"floor": i % 3}} for i in range(2_500)})
    assert sum(1 for _ in devices) == 2_500
    assert [found.id for found in devices.find({"n": {"lt": 3}})] == ["d0000", "d0001", "d0002"]
    assert [found["n"] for found in devices.find({"room": "B"}, order="-n", limit=2)] == [2_499, 2_497]
    assert len(list(devices.find(limit=1_500))) == 1_500
    assert devices.count({"place.floor": 0, "or": [{"room": "A"}, {"n": 3}]}) == 418
    with pytest.raises(alluvium.InputError, match="condition"):
        devices.find(5)
    devices.create_index("by_n", ["n"], unique=True)
    assert devices.schema() is None
    assert devices.set_schema({"type": "object", "required": ["n"]}) == 1 and devices.schema() == {"type": "object", "required": ["n"]}
    with pytest.raises(alluvium.InvalidDocumentError) as caught:
        devices.put("x", {})
    assert caught.value.rule and caught.value.detail
    with db.transaction() as tx:
        tx.collection("devices").put("new", {"n": -1})
        assert [found.id for found in tx.collection("devices").find({"n": {"lt": 0}})] == ["new"]


def test_queues(db: alluvium.Database) -> None:
    db.create_queue("jobs", tries=2, back_off=0)
    with pytest.raises(alluvium.ExistsError):
        db.create_queue("jobs")
    jobs = db.queue("jobs")
    jobs.push("low")
    jobs.push(b"high", priority=9, key="k")
    assert jobs.push(b"high", key="k").duplicate
    jobs.push([1, 2], delay="1h")
    jobs.push("later", due=dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1))
    assert jobs.sizes() == {"ready": 2, "scheduled": 2, "leased": 0, "delayed": 0, "dead": 0}
    with jobs.pop() as item:
        assert (item.payload, item.priority, item.key, item.tries) == (b"high", 9, "k", 1)
        item.extend("1m")
    with pytest.raises(alluvium.LeaseLostError):
        item.ack()
    with pytest.raises(RuntimeError, match="broken"):
        with jobs.pop():
            raise RuntimeError("broken")
    again = jobs.pop()
    assert again is not None and again.tries == 2
    again.nack()
    [dead] = jobs.dead()
    assert dead.payload == b"low" and jobs.pop() is None
    with pytest.raises(alluvium.InputError, match="not popped"):
        dead.ack()
    jobs.requeue([dead.id])
    assert [item.payload for item in jobs.peek()] == [b"low"]
    assert len(jobs.pop_many(5)) == 1
    assert jobs.purge() == 3
    with pytest.raises(alluvium.InputError, match="JSON"):
        jobs.push("{")
        jobs.pop().json()
    db.drop_queue("jobs")
    with pytest.raises(alluvium.MissingError):
        jobs.pop()


def test_waiting_for_an_item_lets_others_work(db: alluvium.Database) -> None:
    db.create_queue("jobs")
    got: list[bytes] = []
    worker = threading.Thread(target=lambda: got.append(db.queue("jobs").pop(wait=60).payload))
    worker.start()
    db.queue("jobs").push("here")
    worker.join(60)
    assert got == [b"here"]


def test_changes(db: alluvium.Database, air: alluvium.Table) -> None:
    db.create_collection("devices")
    db.create_queue("jobs")
    air.append([{"time": 1, "room": "A", "co2": 1.0}])
    db.kv["a"] = "1"
    db.collection("devices")["d"] = {"n": 1}
    db.queue("jobs").push("x")
    del db.kv["a"]
    air.delete(0, 1)
    events = [event for change in db.changes() for event in change.events]
    told = [event.what for event in events]
    for what in ("table_created", "rows", "collection", "document", "queue", "item", "rows_deleted"):
        assert what in told, what
    [put, gone] = [event for event in events if event.what == "pair"]
    assert (put.key, put.value, put.removed) == ("a", b"1", False) and gone.removed and gone.value is None
    [document] = [event for event in events if event.what == "document"]
    assert (document.collection, document.id, document.document) == ("devices", "d", {"n": 1})
    [rows] = [event for event in events if event.what == "rows"]
    assert rows.table == "air" and rows.rows == 1 and rows.batch().to_dicts()[0]["co2"] == 1.0
    [item] = [event for event in events if event.what == "item"]
    assert item.queue == "jobs" and item.value == b"x"
    last = max(change.sequence for change in db.changes())
    assert list(db.changes(from_=last + 1)) == []
    with pytest.raises(alluvium.InputError):
        db.changes(from_=last + 1_000)
    with pytest.raises(alluvium.InputError, match="pairs"):
        db.changes(kinds=["pair"])
    assert [change.events[0].kind for change in db.changes(kinds=["pairs"], limit=1)] == ["pairs"]


def test_following(db: alluvium.Database) -> None:
    heard: list[str] = []
    begun = threading.Event()

    def follow() -> None:
        changes = db.changes(prefixes=["k"], follow=True)
        begun.set()
        for change in changes:
            heard.extend(event.key for event in change.events if event.key)

    follower = threading.Thread(target=follow)
    follower.start()
    assert begun.wait(60)
    for i in range(100):
        db.kv[f"k{i:02}"] = "x"
    last = db.changes().next(timeout=0)
    assert last is not None
    while len(heard) < 100:
        assert follower.is_alive()
        follower.join(0.01)
    db.close()
    follower.join(60)
    assert not follower.is_alive() and heard == [f"k{i:02}" for i in range(100)]


def test_cursors_outlast_the_process(folder: Path) -> None:
    with alluvium.open(folder / "data") as db:
        cursor = db.cursor("mirror")
        with pytest.raises(alluvium.MissingError):
            cursor.position
        assert cursor.begin() == 0
        db.kv["a"] = "1"
        [change] = cursor.changes(kinds=["pairs"])
        with db.transaction() as tx:
            tx.kv["copied"] = "1"
            tx.cursor("mirror").acknowledge(change.sequence)
    with alluvium.open(folder / "data") as db:
        assert db.cursors() == {"mirror": change.sequence}
        assert [event.key for change in db.cursor("mirror").changes(kinds=["pairs"]) for event in change.events] == ["copied"]
        assert db.cursor("mirror").remove() and db.cursors() == {}


def test_transactions(db: alluvium.Database, air: alluvium.Table) -> None:
    db.create_queue("jobs")
    with db.transaction() as tx:
        tx.kv["a"] = "1"
        tx.append("air", [{"time": 1, "room": "A", "co2": 1.0}])
        tx.queue("jobs").push("x")
        assert tx.kv["a"] == b"1" and "a" not in db.kv
        assert len(tx.table("air").scan().to_dicts()) == 1 and air.scan().to_dicts() == []
        with pytest.raises(alluvium.InputError, match="wait"):
            tx.queue("jobs").pop(wait=1)
    assert tx.sequence and db.kv["a"] == b"1" and len(air.scan().to_dicts()) == 1
    with pytest.raises(ZeroDivisionError):
        with db.transaction() as tx:
            tx.kv["b"] = "1"
            1 / 0
    assert "b" not in db.kv and tx.sequence is None
    with pytest.raises(alluvium.InputError, match="ended"):
        tx.kv["b"] = "1"
    with db.transaction() as tx:
        tx.kv["b"] = "1"
        tx.rollback()
    assert "b" not in db.kv and tx.sequence is None
    with db.transaction() as tx:
        tx.table("air").delete(where={})
        tx.commit()
    assert air.scan().to_dicts() == []


def test_conflicts(db: alluvium.Database) -> None:
    with pytest.raises(alluvium.ConflictError):
        with db.transaction() as tx:
            tx.kv.increment("n")
            db.kv.increment("n")
    tries: list[int] = []

    def body(tx: alluvium.Transaction) -> int:
        tries.append(1)
        if len(tries) < 3:
            tx.kv.get("n")
            db.kv.increment("n")
        return tx.kv.increment("n", 10)

    assert db.transact(body) == 13 and len(tries) == 3
    with pytest.raises(KeyError):
        db.transact(lambda tx: tx.kv["nothing"])


def test_many_threads_in_transactions(db: alluvium.Database) -> None:
    def work() -> None:
        for _ in range(50):
            db.transact(lambda tx: tx.kv.increment("n"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert db.kv["n"] == b"200"


def test_closing(folder: Path) -> None:
    db = alluvium.open(folder / "data")
    table = db.table("air", fields={"co2": float})
    tx = db.transaction()
    with pytest.raises(alluvium.InputError, match="under way"):
        db.close()
    tx.rollback()
    db.close()
    db.close()
    for use in (lambda: db.kv.get("a"), lambda: table.scan().to_dicts(), lambda: db.transaction(), lambda: table.append([])):
        with pytest.raises(alluvium.ClosedError) as caught:
            use()
        assert caught.value.kind == "fatal"
    db = alluvium.open(folder / "data")
    with pytest.raises(alluvium.LockedError, match="in use"):
        alluvium.open(folder / "data")
    del db
    with alluvium.open(str(folder / "data"), create=False) as db:
        assert [table.name for table in db.tables()] == ["air"]
    with pytest.raises(alluvium.InputError):
        alluvium.open(folder / "nothing", create=False)
    assert not (folder / "nothing").exists()


def test_settings(folder: Path) -> None:
    settings = {"memtable_bytes": 1 << 22, "seal_after": dt.timedelta(minutes=10), "profile": "compact", "background": False, "required": ["cloud"]}
    with alluvium.open(folder / "data", **settings):
        pass
    for wrong in ({"memory": 1}, {"memtable_bytes": "much"}, {"profile": "small"}):
        with pytest.raises(alluvium.InputError):
            alluvium.open(folder / "data", **wrong)


def test_sync(folder: Path, db: alluvium.Database, air: alluvium.Table) -> None:
    air.append([{"time": 1, "room": "A", "co2": 1.0}])
    sync = db.sync(str(folder / "bucket"), gateway="pump-house", bytes_per_second=10_000_000)
    assert sync.run_once()["running"] is False
    assert (folder / "bucket" / "table=air").is_dir()
    [status] = db.sync_status()
    assert status["gateway"] == "pump-house" and status["units_left"] == 0
    sync.pause()
    assert db.sync_status()[0]["paused"]
    sync.resume()
    with sync:
        assert sync.status()["running"]
        with pytest.raises(alluvium.SyncError, match="running"):
            sync.run_once()
        sync.retry()
    with pytest.raises(alluvium.InputError, match="ended"):
        sync.status()
    with pytest.raises(alluvium.InputError):
        db.sync("s3://bucket", gateway="g", endpoint="http://localhost:1")
    with pytest.raises(alluvium.InputError):
        db.sync("/nowhere", gateway="g", colour="red")
    alone = alluvium.open(folder / "alone").sync(str(folder / "other"), gateway="alone")
    assert alone.run_once()["set_aside"] == []
    del alone
    alluvium.open(folder / "alone").close()
    other = db.sync(str(folder / "bucket"), gateway="pump-house")
    other.start()
    db.close()
    with pytest.raises(alluvium.InputError, match="ended"):
        other.status()


def test_upkeep(db: alluvium.Database, air: alluvium.Table) -> None:
    air.append([{"time": 1, "room": "A", "co2": 1.0}])
    db.seal()
    db.compact()
    assert db.verify() == []
    status = db.status()
    assert status["tables"]["air"]["segments"] == 1 and status["bytes_used"] > 0 and status["has_room"]
