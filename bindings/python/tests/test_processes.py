"""Signals, children and sudden ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import alluvium

ENDLESS = """
db = alluvium.open(sys.argv[1])
def waits():
    {}
try:
    waits()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    db.close()
    print("closed", flush=True)
"""


@pytest.mark.parametrize(
    "waits",
    [
        "db.create_queue('jobs'); print('ready', flush=True); db.queue('jobs').pop(wait=3600)",
        "print('ready', flush=True); next(db.changes(prefixes=['nothing'], follow=True))",
        "print('ready', flush=True); db.changes(prefixes=['nothing']).next(timeout='1h')",
    ],
)
def test_ctrl_c_ends_a_wait(folder: Path, child: Any, waits: str) -> None:
    other = child(ENDLESS.format(waits), folder / "data")
    assert other.line() == "ready"
    other.process.send_signal(signal.SIGINT)
    code, out, err = other.end()
    assert (code, out) == (0, "interrupted\nclosed\n"), err


SLOW = """
import signal
db = alluvium.open(sys.argv[1])
table = db.table("air", tags=["room"], fields={{"co2": "float64"}})
table.append({{"time": list(range(600_000)), "room": [str(i % 7) for i in range(600_000)], "co2": [0.5] * 600_000}})
def works():
    {}
# What it imports is there before it is interrupted: within an import Python itself may lose a signal.
works()
try:
    print("ready", flush=True)
    while True:
        works()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    print(table.scan().count("co2").to_dicts()[0]["count(co2)"], flush=True)
    db.close()
"""


@pytest.mark.parametrize(
    "works",
    [
        "table.scan().every('1us').by('room').stddev('co2').to_dicts()",
        "[None for _ in table.scan().order('-time')]",
        "table.scan().order('-time').to_arrow()",
        "table.scan().order('-time').to_polars()",
        "import pyarrow; pyarrow.table(table.scan().order('-time'))",
        "db.verify()",
    ],
)
def test_ctrl_c_ends_a_query(folder: Path, child: Any, works: str) -> None:
    other = child(SLOW.format(works), folder / "data")
    assert other.line() == "ready"
    other.process.send_signal(signal.SIGINT)
    code, out, err = other.end()
    assert (code, out) == (0, "interrupted\n600000\n"), err


def refused_in_child(db: alluvium.Database, objects: list[Any]) -> str:
    """What a child says that touches everything it inherited."""
    said = []
    for use in objects:
        try:
            use()
            said.append("worked")
        except alluvium.ForkedError as error:
            said.append("refused" if "forked" in str(error) else str(error))
        except BaseException as error:  # noqa: BLE001
            said.append(repr(error))
    return ",".join(said)


def test_a_forked_child_touches_nothing(db: alluvium.Database, air: alluvium.Table, folder: Path) -> None:
    db.create_queue("jobs")
    db.create_collection("devices")
    db.collection("devices")["a"] = {}
    found = db.collection("devices").find()
    for room in ("A", "B", "C", "D"):
        air.append({"time": list(range(50_000)), "room": [room] * 50_000, "co2": [1.0] * 50_000})
    tx = db.transaction()
    tx.kv["a"] = "1"
    stream = air.scan().stream()
    next(stream)
    changes, sync = db.changes(), db.sync(str(folder / "bucket"), gateway="g")
    sync.start()
    event = next(db.changes(tables=["air"])).events[0]
    uses = [
        lambda: db.kv.get("a"),
        lambda: air.scan().to_dicts(),
        lambda: air.append([{"time": 1, "co2": 1.0}]),
        lambda: tx.commit(),
        lambda: tx.kv.get("a"),
        lambda: next(stream),
        lambda: next(changes),
        lambda: next(found),
        lambda: db.queue("jobs").pop(wait=10),
        lambda: sync.stop(),
        lambda: db.transaction(),
        lambda: event.table,
        lambda: db.close(),
    ]
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        said = refused_in_child(db, uses)
        del uses, stream, changes, sync, tx, event
        db.__exit__(None, None, None)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    assert os.waitpid(pid, 0)[1] == 0
    assert said == ",".join(["refused"] * len(uses))
    tx.commit()
    assert db.kv["a"] == b"1" and sum(batch.num_rows for batch in stream) > 0
    assert air.append([{"time": 1, "co2": 2.0}]).rows == 1


def other_database(path: str) -> int:
    with alluvium.open(path) as db:
        table = db.table("t", fields={"v": "int64"})
        table.append([{"time": 1, "v": 7}])
        return table.scan().to_dicts()[0]["v"]


def test_children_have_databases_of_their_own(db: alluvium.Database, air: alluvium.Table, folder: Path) -> None:
    paths = [str(folder / "one"), str(folder / "two")]
    # Threads that the parent has at work, and no child has, make locks of no use there.
    with multiprocessing.get_context("fork").Pool(1) as pool:
        with pytest.raises(alluvium.InputError, match="forked"):
            pool.map(other_database, paths)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(other_database, paths) == [7, 7]
    air.append([{"time": 1, "co2": 1.0}])
    db.close()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(other_database, paths) == [7, 7]


def inherited(db: alluvium.Database) -> None:
    # It leaves as any process does, with what it inherited still there.
    try:
        db.kv.get("a")
    except alluvium.ForkedError:
        raise SystemExit(3)


def test_multiprocessing_forks(db: alluvium.Database) -> None:
    process = multiprocessing.get_context("fork").Process(target=inherited, args=(db,))
    process.start()
    process.join(60)
    assert process.exitcode == 3
    db.kv["a"] = "1"


WRITER = """
db = alluvium.open(sys.argv[1])
table = db.table("air", tags=["room"], fields={"co2": "float64"})
begin = int(sys.argv[2])
while True:
    with db.transaction() as tx:
        tx.kv["through"] = str(begin)
        tx.append("air", [{"time": begin, "room": "tx", "co2": 1.0}])
    appended = table.append({"time": range(begin, begin + 100), "room": ["A"] * 100, "co2": [float(begin)] * 100})
    begin += appended.rows
    print(begin, flush=True)
"""


def test_everything_acknowledged_survives_kill_9(folder: Path, child: Any) -> None:
    acknowledged = 0
    for _ in range(5):
        writer = child(WRITER, folder / "data", acknowledged)
        for _ in range(20):
            acknowledged = int(writer.line())
        writer.process.kill()
        _, rest, _ = writer.end()
        # Lines that were on their way when it died.
        acknowledged = max([acknowledged, *(int(line) for line in rest.split("\n")[:-1])])
        with alluvium.open(folder / "data") as db:
            count = db.table("air").scan().where(room="A").until(acknowledged).count("co2").to_dicts()
            assert count == [{"count(co2)": acknowledged}]
            through = int(db.kv["through"])
            assert through >= acknowledged - 100
            assert len(db.table("air").scan().where(room="tx").between(through, through + 1).to_dicts()) == 1


def test_a_process_may_end_without_closing(folder: Path, child: Any) -> None:
    code = """
    db = alluvium.open(sys.argv[1])
    table = db.table("air", fields={"co2": "float64"})
    table.append({"time": range(50_000), "co2": [1.0] * 50_000})
    stream = table.scan().stream()
    next(stream)
    tx = db.transaction()
    tx.kv["a"] = "1"
    sync = db.sync(sys.argv[1] + "-bucket", gateway="g")
    sync.start()
    """
    for _ in range(2):
        assert child(code, folder / "data").end() == (0, "", "")
    with alluvium.open(folder / "data") as db:
        assert "a" not in db.kv
