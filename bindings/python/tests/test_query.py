"""Queries."""

from __future__ import annotations

from typing import Any

import pytest

import alluvium


@pytest.fixture
def filled(db: alluvium.Database) -> alluvium.Table:
    table = db.table("air", tags=["room"], fields={"co2": "float64", "lit": "bool", "n": "int64"})
    table.append([{"time": i, "room": "AB"[i % 2], "co2": float(i), "lit": i > 5, "n": i} for i in range(10)])
    return table


def n(query: alluvium.Query) -> list[int]:
    return [row["n"] for row in query.order("time").to_dicts()]


def test_steps_leave_what_was_before(filled: alluvium.Table) -> None:
    scan = filled.scan()
    few = scan.between(2, 5)
    assert n(few) == [2, 3, 4] and n(few.where(room="A")) == [2, 4]
    assert n(scan) == list(range(10))
    assert n(few.between(3, None)) == [3, 4] and n(few.until(3)) == [2]


def test_filters(filled: alluvium.Table) -> None:
    scan = filled.scan()
    assert n(scan.where(lit=True)) == [6, 7, 8, 9]
    assert n(scan.where(n=3)) == n(scan.where("n", "==", 3)) == n(scan.where({"n": {"eq": 3}})) == [3]
    assert n(scan.where(n=[3, 4], room="A")) == [4]
    assert n(scan.where("co2", ">", 7)) == n(scan.where(co2={"gt": 7})) == [8, 9]
    assert n(scan.where(co2={"ge": 2, "lt": 4})) == [2, 3]
    assert n(scan.where(room={"ne": "A"})) == [1, 3, 5, 7, 9]
    for wrong in (lambda: scan.where("n", "~", 3), lambda: scan.where(n=None)):
        with pytest.raises(alluvium.InputError):
            wrong()
    with pytest.raises(TypeError):
        scan.where(n=object())
    with pytest.raises(alluvium.MissingError, match="floor"):
        scan.where(floor=3).to_dicts()


def test_aggregates(filled: alluvium.Table) -> None:
    scan = filled.scan()
    assert scan.mean("co2").max("n").to_dicts() == [{"mean(co2)": 4.5, "max(n)": 9}]
    assert scan.by("room").count("n").to_dicts() == [{"room": "A", "count(n)": 5}, {"room": "B", "count(n)": 5}]
    assert scan.aggregate(["min", "max"], "n").to_dicts() == [{"min(n)": 0, "max(n)": 9}]
    assert set(scan.select("co2", "n").max().to_dicts()[0]) == {"max(co2)", "max(n)"}
    assert set(scan.count().to_dicts()[0]) == {"count(co2)", "count(lit)", "count(n)"}
    assert [row["first(n)"] for row in scan.every("5us").first("n").to_dicts()] == [0, 5]
    with pytest.raises(alluvium.InputError, match="mean"):
        scan.every("1h").to_dicts()
    with pytest.raises(alluvium.InputError, match="median"):
        scan.aggregate(["median"], "n")
    with pytest.raises(alluvium.InputError):
        scan.every("2w")


def test_last_values(filled: alluvium.Table) -> None:
    assert [(row["room"], row["n"]) for row in filled.last().to_dicts()] == [("A", 8), ("B", 9)]
    assert set(filled.last("co2").to_dicts()[0]) == {"time", "room", "co2"}
    assert len(filled.last().where(room="A").to_dicts()) == 1


def test_order_and_limit(filled: alluvium.Table) -> None:
    assert [row["n"] for row in filled.scan().order("-time").limit(3).to_dicts()] == [9, 8, 7]
    assert [row["n"] for row in filled.scan().limit(2).to_dicts()] == [0, 2]
    with pytest.raises(alluvium.InputError, match="series"):
        filled.scan().order("room")


def test_deletes(filled: alluvium.Table) -> None:
    assert filled.delete(0, 4, where={"room": "A"}) > 0
    assert n(filled.scan()) == [1, 3, 4, 5, 6, 7, 8, 9]
    with pytest.raises(alluvium.InputError, match="which rows"):
        filled.delete()
    filled.delete(where={})
    assert n(filled.scan()) == []


def test_cancelled(filled: alluvium.Table) -> None:
    filled.append({"time": list(range(200_000)), "n": list(range(200_000))})
    stream = filled.scan().stream()
    next(stream)
    stream.cancel()
    with pytest.raises(alluvium.CancelledError):
        for _ in stream:
            pass
    assert list(stream) == []


def test_tables_grow_and_do_not_change(db: alluvium.Database, filled: alluvium.Table) -> None:
    more: Any = db.table("air", tags=["floor"], fields={"kw": float})
    assert more.tags == ["room", "floor"] and list(more.fields) == ["co2", "lit", "n", "kw"]
    with pytest.raises(alluvium.InputError, match="float64"):
        db.table("air", fields={"co2": "int64"})
    with pytest.raises(alluvium.InputError, match="unknown type"):
        db.table("other", fields={"co2": "double"})
    assert db.rename_table("air", "water").name == "water"
    db.drop_table("water")
    assert db.tables() == []
    with pytest.raises(alluvium.MissingError):
        filled.scan().to_dicts()
