"""Python's lock is let go of while the engine works."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

import alluvium

ROWS = 2_000_000


def readings() -> Any:
    rows = np.arange(ROWS)
    return pa.table({"time": pa.array(rows, pa.timestamp("us", "UTC")), "room": pa.array((rows % 7).astype(str)), "co2": pa.array(rows / 8)})


def others_go_on(work: Callable[[], object]) -> bool:
    """Whether another thread went on while this one was at work: it can only where that lets go of the lock, since nobody takes it by force."""
    is_at_work, is_over, went_on = threading.Event(), threading.Event(), threading.Event()

    def goes_on() -> None:
        while not is_over.is_set():
            if is_at_work.is_set():
                went_on.set()
            time.sleep(0)

    thread = threading.Thread(target=goes_on)
    thread.start()
    is_at_work.set()
    work()
    is_at_work.clear()
    is_over.set()
    thread.join()
    return went_on.is_set()


@pytest.fixture
def no_lock_by_force() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e6)
    yield
    sys.setswitchinterval(usual)


def test_others_go_on(folder: Path, no_lock_by_force: None) -> None:
    data = readings()
    with alluvium.open(folder / "data") as db:
        table = db.table("air", tags=["room"], fields={"co2": "float64"})
        works: dict[str, Callable[[], object]] = {
            "append": lambda: table.append(data),
            "seal": db.seal,
            "query": lambda: table.scan().every("1s").by("room").stddev("co2").to_dicts(),
            "stream": lambda: [None for _ in table.scan().order("-time")],
            "verify": db.verify,
        }
        assert [what for what, work in works.items() if not others_go_on(work)] == []
        assert not others_go_on(lambda: sum(range(1_000_000)))


def test_readers_and_writers_at_a_time(db: alluvium.Database, air: alluvium.Table) -> None:
    failed: list[BaseException] = []

    def write(room: str) -> None:
        for turn in range(20):
            air.append({"time": range(turn * 100, turn * 100 + 100), "room": [room] * 100, "co2": [1.0] * 100})
            db.kv.increment("appends")

    def read() -> None:
        for _ in range(20):
            counts = [row["count(co2)"] % 100 for row in air.scan().by("room").count("co2").to_dicts()]
            assert counts == [0] * len(counts)

    def noted(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    works = [lambda room=room: write(room) for room in "ABCD"] + [read] * 2
    threads = [threading.Thread(target=noted, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == [] and db.kv["appends"] == b"80"
    assert air.scan().count("co2").to_dicts() == [{"count(co2)": 8_000}]


BUSY = """
import threading
db = alluvium.open(sys.argv[1])
sync = db.sync(sys.argv[1] + "-bucket", gateway="g")
def runs():
    for turn in range(30):
        db.kv["turn"] = str(turn)
        try:
            sync.run_once()
        except alluvium.SyncError:
            pass
thread = threading.Thread(target=runs)
thread.start()
while thread.is_alive():
    sync.start()
    sync.status()
    sync.stop()
thread.join()
db.close()
print("done")
"""


def test_sync_is_started_while_it_runs_once(folder: Path, child: Any) -> None:
    assert child(BUSY, folder / "data").end() == (0, "done\n", "")
