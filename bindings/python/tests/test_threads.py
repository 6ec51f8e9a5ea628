"""Python's lock is let go of while the engine works."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest

import alluvium

pa = pytest.importorskip("pyarrow")
np = pytest.importorskip("numpy")

ROWS = 2_000_000


def readings() -> Any:
    rows = np.arange(ROWS)
    return pa.table({"time": pa.array(rows, pa.timestamp("us", "UTC")), "room": pa.array((rows % 7).astype(str)), "co2": pa.array(rows / 8)})


def longest_silence(work: Callable[[], object]) -> float:
    """The longest time for which another thread could not go on, as a part of what the work took."""
    silences, is_over = [0.0], threading.Event()

    def ticks() -> None:
        before = time.perf_counter()
        while not is_over.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            silences.append(now - before)
            before = now

    thread = threading.Thread(target=ticks)
    thread.start()
    begin = time.perf_counter()
    work()
    took = time.perf_counter() - begin
    is_over.set()
    thread.join()
    return max(silences) / took


def test_others_go_on(folder: Path) -> None:
    data = readings()
    with alluvium.open(folder / "data") as db:
        table = db.table("air", tags=["room"], fields={"co2": "float64"})
        silences = {
            "append": longest_silence(lambda: table.append(data)),
            "seal": longest_silence(db.seal),
            "query": longest_silence(lambda: table.scan().every("1ms").by("room").stddev("co2").to_arrow()),
            "stream": longest_silence(lambda: [None for _ in table.scan().order("-time")]),
            "verify": longest_silence(db.verify),
        }
    assert {what: silence for what, silence in silences.items() if silence > 0.5} == {}


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
