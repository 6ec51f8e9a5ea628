"""Rows that come in, of every kind, and how they come out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

import alluvium

UTC = dt.timezone.utc


def rows(table: alluvium.Table) -> list[dict[str, Any]]:
    return table.scan().to_dicts()


def at(hour: int) -> dt.datetime:
    return dt.datetime(2024, 1, 1, hour, tzinfo=UTC)


def test_dictionaries(air: alluvium.Table) -> None:
    appended = air.append([{"time": at(0), "room": "A", "co2": 1}, {"time": at(1), "co2": 2.5, "room": "A"}, {"time": at(2), "room": "A"}])
    assert appended.rows == 3 and appended.sequence > 0
    assert rows(air) == [
        {"time": at(0), "room": "A", "co2": 1.0},
        {"time": at(1), "room": "A", "co2": 2.5},
        {"time": at(2), "room": "A", "co2": None},
    ]


def test_a_generator_of_rows(air: alluvium.Table) -> None:
    assert air.append({"time": i, "room": "A", "co2": i} for i in range(100_000)).rows == 100_000
    assert air.scan().count("co2").to_dicts() == [{"count(co2)": 100_000}]


def test_columns(air: alluvium.Table) -> None:
    assert air.append({"time": [at(0), at(1)], "room": ("A", None), "co2": iter([1.0, None])}).rows == 2
    assert [(row["room"], row["co2"]) for row in air.scan().order("time").to_dicts()] == [("A", 1.0), (None, None)]
    assert air.append({"time": [], "room": [], "co2": []}).rows == 0
    assert air.append([]).rows == 0


def test_every_type(db: alluvium.Database) -> None:
    fields = {
        "double": float,
        "single": "float32",
        "whole": int,
        "natural": "uint64",
        "lit": bool,
        "text": str,
        "bytes": bytes,
        "exact": "decimal(2)",
    }
    table = db.table("all", fields=fields)
    row = {
        "time": at(0),
        "double": -0.1,
        "single": 0.5,
        "whole": -(2**63),
        "natural": 2**64 - 1,
        "lit": True,
        "text": "grüß\0",
        "bytes": b"\xff\0",
        "exact": Decimal("12.50"),
    }
    table.append([row])
    assert rows(table) == [row]
    assert table.fields["exact"] == "decimal(2)"
    table.append([{"time": at(0), "exact": 12.25}, {"time": at(0), "text": None}])
    assert rows(table) == [{**row, "exact": Decimal("12.25")}]
    sums = table.scan().sum("whole", "exact").to_dicts()[0]
    assert sums == {"sum(whole)": Decimal(-(2**63)), "sum(exact)": Decimal("12.25")}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("co2", "5"),
        ("co2", True),
        ("co2", 2**53 + 1),
        ("co2", object()),
        ("room", 5),
        ("time", None),
        ("time", 1.5),
        ("time", "yesterday"),
        ("time", "2024-01-01T00:00:00"),
        ("time", dt.datetime(2024, 1, 1)),
        ("time", dt.date(2024, 1, 1)),
        ("time", 2**63),
        ("time", True),
    ],
)
def test_bad_rows_are_named(air: alluvium.Table, column: str, value: object) -> None:
    good = {"time": at(0), "room": "A", "co2": 1.0}
    with pytest.raises(alluvium.BadRowsError) as caught:
        air.append([good, {**good, column: value}])
    [bad] = caught.value.rows
    assert (bad["row"], bad["column"]) == (1, column) and bad["reason"]
    assert caught.value.kind == "input" and isinstance(caught.value, ValueError)
    assert caught.value.appended == 0 and rows(air) == []


def test_what_is_no_table(air: alluvium.Table) -> None:
    with pytest.raises(alluvium.MissingError, match="humidity"):
        air.append([{"time": at(0), "humidity": 1.0}])
    for timeless in ({"co2": [1.0]}, {"co2": []}, {}):
        with pytest.raises(alluvium.InputError, match="no column .time"):
            air.append(timeless)
    with pytest.raises(alluvium.BadRowsError, match="no time"):
        air.append([{}])
    with pytest.raises(alluvium.InputError, match="values"):
        air.append({"time": [at(0)], "co2": [1.0, 2.0]})
    for wrong in (5, None, ["a"], {"time": "text"}):
        with pytest.raises(TypeError):
            air.append(wrong)


def test_local_times_with_a_zone(air: alluvium.Table) -> None:
    air.append([{"time": dt.datetime(2024, 7, 1, 12), "co2": 1.0}, {"time": "2024-12-01T12:00", "co2": 2.0}], tz="Europe/Berlin")
    assert [row["time"] for row in rows(air)] == [dt.datetime(2024, 7, 1, 10, tzinfo=UTC), dt.datetime(2024, 12, 1, 11, tzinfo=UTC)]
    for odd in ("2024-10-27T02:30", "2024-03-31T02:30"):
        with pytest.raises(alluvium.BadRowsError, match="twice or not at all"):
            air.append([{"time": odd, "co2": 1.0}], tz="Europe/Berlin")
    with pytest.raises(alluvium.InputError, match="IANA"):
        air.append([], tz="Mars/Olympus")
        air.append([{"time": 1, "co2": 1.0}], tz="Mars/Olympus")


def test_aware_times_of_any_zone(air: alluvium.Table) -> None:
    east = dt.timezone(dt.timedelta(hours=5, minutes=30))
    air.append([{"time": dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=east), "co2": 1.0}])
    assert rows(air)[0]["time"] == dt.datetime(1969, 12, 31, 18, 29, 59, 999_999, tzinfo=UTC)


def test_units_of_time(db: alluvium.Database) -> None:
    millis = db.table("millis", fields={"v": int}, time_unit="ms")
    millis.append([{"time": 5, "v": 1}, {"time": "1970-01-01T00:00:00.006Z", "v": 2}])
    with pytest.raises(alluvium.BadRowsError, match="finer"):
        millis.append([{"time": "1970-01-01T00:00:00.0065Z", "v": 2}])
    assert [row["time"].microsecond for row in rows(millis)] == [5_000, 6_000]
    # The bounds of a span are rounded up: 5.5 ms is behind 5 and before 6.
    assert [row["v"] for row in millis.scan().since("1970-01-01T00:00:00.0055Z").to_dicts()] == [2]
    assert [row["v"] for row in millis.scan().until("1970-01-01T00:00:00.0055Z").to_dicts()] == [1]
    nanos = db.table("nanos", fields={"v": int}, time_unit="ns")
    nanos.append([{"time": "1970-01-01T00:00:00.000000001Z", "v": 1}])
    assert len(nanos.scan().between(1, 2).to_dicts()) == 1
    with pytest.raises(alluvium.InputError, match="weeks"):
        db.table("millis", fields={"v": int}, time_unit="weeks")


def test_what_is_not_durable_yet_is_seen(db: alluvium.Database, air: alluvium.Table) -> None:
    air.append([{"time": at(0), "co2": 1.0}], durable=False)
    assert len(rows(air)) == 1
    db.flush()


def test_larger_than_a_batch(folder: Any) -> None:
    with alluvium.open(folder / "small", batch_bytes=100_000) as db:
        table = db.table("t", fields={"text": str})
        assert table.append([{"time": i, "text": "x" * (i % 2_000)} for i in range(1_000)]).rows == 1_000
        with pytest.raises(alluvium.LimitError) as caught:
            table.append([{"time": 5_000, "text": "x" * 200_000}])
        assert caught.value.appended == 0
        bad = [{"time": i, "text": "y" * 1_000} for i in range(10_000, 10_500)]
        bad[-1]["time"] = None  # type: ignore[assignment]
        with pytest.raises(alluvium.BadRowsError) as refused:
            table.append({"time": [row["time"] for row in bad], "text": [row["text"] for row in bad]})
        assert [row["row"] for row in refused.value.rows] == [499]
        there = table.scan().since(10_000).count("text").to_dicts()
        assert there == [{"count(text)": refused.value.appended}]


def test_bad_rows_are_counted_from_the_first(air: alluvium.Table) -> None:
    times: list[Any] = list(range(200_000))
    times[150_000] = -(2**62)
    with pytest.raises(alluvium.BadRowsError) as refused:
        air.append({"time": times, "co2": [1.0] * 200_000})
    assert refused.value.rows[0]["row"] == 150_000 and refused.value.appended == 131_072
    assert air.scan().count("co2").to_dicts() == [{"count(co2)": 131_072}]
    rows = ({"time": None if i == 150_000 else i, "co2": 1.0} for i in range(200_000))
    with pytest.raises(alluvium.BadRowsError) as refused:
        air.append(rows)
    assert refused.value.rows[0]["row"] == 150_000
