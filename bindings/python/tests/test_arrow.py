"""Arrow in and out: pyarrow, pandas, polars and the PyCapsule interface."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import alluvium

UTC = dt.timezone.utc
HOUR = 3_600_000_000


def table(rows: int = 3, **columns: Any) -> Any:
    base = {
        "time": pa.array([i * HOUR for i in range(rows)], pa.timestamp("us", "UTC")),
        "room": pa.array(["A"] * rows),
        "co2": pa.array([float(i) for i in range(rows)]),
    }
    return pa.table({**base, **columns})


class Capsules:
    """Only the interface, and nothing else of what it is."""

    def __init__(self, of: Any, kind: str) -> None:
        setattr(self, kind, getattr(of, kind))


@pytest.mark.parametrize(
    "data",
    [
        table(),
        table().to_batches()[0],
        pa.RecordBatchReader.from_batches(table().schema, table().to_batches()),
        Capsules(table(), "__arrow_c_stream__"),
        Capsules(table().to_batches()[0], "__arrow_c_array__"),
        table().to_pandas(),
        table().to_pandas().set_index("time"),
        pl.from_arrow(table()),
        pl.from_arrow(table()).with_columns(pl.col("room").cast(pl.Categorical)),
        table(room=pa.array(["A"] * 3).dictionary_encode()),
        table(room=pa.array(["A"] * 3, pa.large_string()), co2=pa.array([0, 1, 2], pa.int8())),
        table().to_pandas().astype({"room": "category"}),
        {"time": np.array([0, 1, 2], "M8[h]"), "room": pa.array(["A"] * 3), "co2": np.arange(3.0)[::1]},
        {"time": pd.Series(np.array([0, 1, 2], "M8[h]")), "room": pl.Series(["A"] * 3), "co2": np.array([9, 0, 9, 1, 9, 2], "f4")[1::2]},
        {"time": [np.datetime64(i, "h") for i in range(3)], "room": ["A"] * 3, "co2": [np.float32(i) for i in range(3)]},
        {"time": [pd.Timestamp(i * HOUR * 1000, tz="Asia/Tokyo") for i in range(3)], "room": ["A"] * 3, "co2": np.arange(3)},
    ],
)
def test_all_are_the_same(air: alluvium.Table, data: Any) -> None:
    if isinstance(data, pa.RecordBatchReader):
        data = pa.RecordBatchReader.from_batches(table().schema, table().to_batches())
    assert air.append(data).rows == 3
    assert air.scan().to_arrow() == table().cast(air.scan().to_arrow().schema)


def test_pandas_without_pyarrow(air: alluvium.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(["2024-01-01T00:00Z", "2024-01-01T01:00Z"]).tz_convert("Europe/Berlin"),
            "room": ["A", None],
            "co2": [1.0, math.nan],
        }
    )
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    air.append(frame)
    rows = air.scan().order("time").to_dicts()
    assert rows == [
        {"time": dt.datetime(2024, 1, 1, 0, tzinfo=UTC), "room": "A", "co2": 1.0},
        {"time": dt.datetime(2024, 1, 1, 1, tzinfo=UTC), "room": None, "co2": None},
    ]
    with pytest.raises(ImportError, match="pip install"):
        air.scan().to_arrow()


def test_whole_columns_of_pandas_without_pyarrow(air: alluvium.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"time": pd.to_datetime([0, 1], unit="h"), "room": ["A", "B"], "co2": [1.0, 2.0]})
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert air.append(frame).rows == 2
    assert [row["co2"] for row in air.scan().to_dicts()] == [1.0, 2.0]


def test_what_is_missing_in_numpy_and_pandas(air: alluvium.Table) -> None:
    masked = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])
    air.append({"time": [0, 1, 2], "room": ["A"] * 3, "co2": masked})
    air.append({"time": [3, 4], "room": ["A"] * 2, "co2": np.array([pd.NA, 5.0], dtype=object)})
    air.append([{"time": 5, "room": "A", "co2": pd.NA}])
    assert [row["co2"] for row in air.scan().to_dicts()] == [1.0, None, 3.0, None, 5.0, None]


def test_nan_and_null(air: alluvium.Table) -> None:
    air.append(table(co2=pa.array([math.nan, None, 1.0])))
    values = [row["co2"] for row in air.scan().to_dicts()]
    assert math.isnan(values[0]) and values[1:] == [None, 1.0]


def test_nat_is_refused_by_row(air: alluvium.Table) -> None:
    nat = [
        pd.DataFrame({"time": pd.to_datetime(["2024-01-01", None], utc=True), "co2": [1.0, 2.0]}),
        {"time": np.array(["2024-01-01", "NaT"], "M8[s]"), "co2": [1.0, 2.0]},
        {"time": [pd.Timestamp("2024-01-01", tz="UTC"), pd.NaT], "co2": [1.0, 2.0]},
        [{"time": np.datetime64("2024-01-01"), "co2": 1.0}, {"time": np.datetime64("NaT"), "co2": 1.0}],
        pl.DataFrame({"time": [dt.datetime(2024, 1, 1, tzinfo=UTC), None], "co2": [1.0, 2.0]}),
    ]
    for data in nat:
        with pytest.raises(alluvium.BadRowsError) as caught:
            air.append(data)
        assert caught.value.rows == [{"row": 1, "column": "time", "reason": "has no time"}]
    with pytest.raises(alluvium.InputError, match="no time"):
        air.scan().since(pd.NaT)


def test_columns_without_a_zone(air: alluvium.Table) -> None:
    naive = pd.DataFrame({"time": pd.date_range("2024-07-01", periods=2, freq="D"), "co2": [1.0, 2.0]})
    air.append(naive)
    assert air.scan().to_dicts()[0]["time"] == dt.datetime(2024, 7, 1, tzinfo=UTC)
    air.append(naive, tz="Europe/Berlin")
    assert air.scan().to_dicts()[0]["time"] == dt.datetime(2024, 6, 30, 22, tzinfo=UTC)
    air.append({"time": np.array(["2024-08-01"], "M8[D]"), "co2": [1.0]}, tz="Europe/Berlin")
    assert air.scan().order("-time").limit(1).to_dicts()[0]["time"] == dt.datetime(2024, 7, 31, 22, tzinfo=UTC)
    odd = pd.DataFrame({"time": pd.to_datetime(["2024-10-27 01:30", "2024-10-27 02:30"]), "co2": [1.0, 2.0]})
    with pytest.raises(alluvium.BadRowsError) as caught:
        air.append(odd, tz="Europe/Berlin")
    assert caught.value.rows[0]["row"] == 1
    with pytest.raises(alluvium.BadRowsError, match="time zone"):
        air.append([{"time": pd.Timestamp("2024-01-01"), "co2": 1.0}])


def test_nanoseconds(db: alluvium.Database) -> None:
    table = db.table("nanos", fields={"v": "float64"}, time_unit="ns")
    table.append([{"time": pd.Timestamp(1_700_000_000_123_456_789, tz="UTC"), "v": 1.0}])
    table.append({"time": np.array([1_700_000_000_123_456_790], "M8[ns]"), "v": [2.0]})
    assert table.scan().to_arrow()["time"].cast(pa.int64()).to_pylist() == [1_700_000_000_123_456_789, 1_700_000_000_123_456_790]
    assert len(table.scan().since(pd.Timestamp(1_700_000_000_123_456_790, tz="UTC")).to_dicts()) == 1


def test_zones_of_answers(air: alluvium.Table) -> None:
    air.append(table())
    berlin = "Europe/Berlin"
    assert air.scan().to_arrow().schema.field("time").type == pa.timestamp("us", "UTC")
    assert air.scan().to_arrow(tz=berlin).schema.field("time").type == pa.timestamp("us", berlin)
    assert str(air.scan().to_pandas(tz=berlin)["time"].dtype) == "datetime64[us, Europe/Berlin]"
    assert air.scan().to_polars(tz=berlin)["time"].dtype == pl.Datetime("us", berlin)
    assert air.scan().to_pandas()["time"][0] == pd.Timestamp(0, tz="UTC")
    with pytest.raises(alluvium.InputError, match="IANA"):
        air.scan().to_arrow(tz="Mars/Olympus")


def test_days_of_a_zone_have_23_and_25_hours(air: alluvium.Table) -> None:
    for first, hours in (("2024-03-30T23:00:00Z", 23), ("2024-10-26T22:00:00Z", 25)):
        start = dt.datetime.fromisoformat(first.replace("Z", "+00:00"))
        air.append([{"time": start + dt.timedelta(hours=i), "room": "A", "co2": 1.0} for i in range(48)])
        days = air.scan().between(start, start + dt.timedelta(hours=48)).every("1d", tz="Europe/Berlin").count("co2").to_dicts()
        assert days[0]["time"] == start and days[0]["count(co2)"] == hours


def address(array: Any) -> int:
    return array.buffers()[1].address + 8 * array.offset


def test_nothing_is_copied_on_the_way_out(db: alluvium.Database, air: alluvium.Table) -> None:
    air.append(table(20_000))
    db.seal()
    for batch in air.scan():
        first, second = pa.record_batch(batch), pa.record_batch(batch)
        in_numpy = pl.DataFrame(batch)["co2"].to_numpy(allow_copy=False)
        assert len(in_numpy) == batch.num_rows
        places = [address(first["co2"]), address(second["co2"]), in_numpy.__array_interface__["data"][0]]
        assert len(set(places)) == 1


class Noting:
    """Hands on what it is given, and notes where its columns are."""

    def __init__(self, query: Any) -> None:
        self.batches = list(pa.RecordBatchReader.from_stream(query))

    def places(self, column: str) -> list[int]:
        return [address(batch[column]) for batch in self.batches]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.RecordBatchReader.from_batches(self.batches[0].schema, self.batches).__arrow_c_stream__(requested_schema)


def test_polars_has_numbers_where_they_were(db: alluvium.Database, air: alluvium.Table) -> None:
    air.append(table(100_000))
    db.seal()
    noted = Noting(air.scan())
    frame = pl.DataFrame(noted)
    assert frame.height == 100_000 and len(noted.batches) > 1
    for column in ("co2", "time"):
        chunks = [chunk.to_physical().to_numpy(allow_copy=False) for chunk in frame[column].get_chunks()]
        assert [chunk.__array_interface__["data"][0] for chunk in chunks] == noted.places(column)
    ours = air.scan().to_polars()
    assert ours.n_chunks() == frame.n_chunks(), "the way is the same"


def test_long_texts_are_written_in_large_pieces(db: alluvium.Database) -> None:
    notes = db.table("notes", tags=["place"], fields={"text": str})
    texts, places = [f"{i:05} " * 100 for i in range(30_000)], [f"a place with a long name {i % 3}" for i in range(30_000)]
    times = pl.Series(range(30_000)).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame({"time": times, "place": places, "text": texts})
    before = notes.append(frame[:1]).sequence
    assert notes.append(frame).sequence - before < 30
    assert notes.append(frame.with_columns(pl.col("place", "text").cast(pl.Categorical))).sequence - before < 60
    assert notes.scan().order("time").to_polars()["text"].to_list() == texts


def test_what_is_appended_is_no_longer_the_callers(db: alluvium.Database, air: alluvium.Table) -> None:
    values = np.arange(1_000, dtype="f8")
    columns = {"time": pa.array(np.arange(1_000), pa.timestamp("us", "UTC")), "co2": pa.array(values)}
    assert columns["co2"].buffers()[1].address == values.__array_interface__["data"][0], "they share their memory"
    air.append(pa.table(columns))
    values[:] = -1
    assert air.scan().min("co2").to_dicts() == [{"min(co2)": 0.0}]


def test_streams_are_read_once(air: alluvium.Table) -> None:
    air.append(table())
    query, stream = air.scan(), air.scan().stream()
    assert pa.table(query) == pa.table(query)
    assert pa.table(stream).num_rows == 3
    with pytest.raises(alluvium.InputError, match="read before"):
        pa.table(stream)
    reader = table().to_reader()
    capsule = reader.__arrow_c_stream__()

    class Once:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return capsule

    assert air.append(Once()).rows == 3
    with pytest.raises(ValueError):
        air.append(Once())


def test_capsules_of_other_things_are_refused(air: alluvium.Table) -> None:
    class Wrong:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return table().schema.__arrow_c_schema__()

    with pytest.raises(ValueError):
        air.append(Wrong())

    class Odd:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return 5

    with pytest.raises(TypeError):
        air.append(Odd())
    with pytest.raises((TypeError, ValueError)):
        air.append(pa.chunked_array([[1.0]]))


def test_narrow_columns_become_wide(db: alluvium.Database) -> None:
    names = [f"f{i}" for i in range(200)]
    wide = db.table("wide", fields={name: "float64" for name in names})
    columns = {name: np.zeros(70_000, "i1") for name in names}
    data = pa.table({"time": pa.array(np.arange(70_000), pa.timestamp("us", "UTC")), **columns})
    assert wide.append(data).rows == 70_000
    with pytest.raises(alluvium.MissingError):
        wide.append(pa.table({"time": pa.array([], pa.timestamp("us", "UTC")), "unknown": pa.array([], pa.int8())}))


def test_texts_that_are_none_are_refused(air: alluvium.Table) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    with pytest.raises(ValueError, match="cannot be read"):
        air.append(pa.table({"time": pa.array([0], pa.timestamp("us", "UTC")), "room": broken}))


def test_a_query_goes_into_another_table(db: alluvium.Database, air: alluvium.Table) -> None:
    air.append(table(50_000))
    copy = db.table("copy", tags=["room"], fields={"co2": "float64"})
    assert copy.append(air.scan()).rows == 50_000
    with db.transaction() as tx:
        tx.append("copy", air.scan().limit(10))
        assert pa.table(tx.table("copy").scan()).num_rows == 50_000


def test_errors_of_a_query_are_as_they_were(air: alluvium.Table) -> None:
    for read in (lambda q: q.to_arrow(), lambda q: q.to_polars(), lambda q: q.to_dicts(), lambda q: pa.table(q)):
        with pytest.raises(alluvium.MissingError, match="humidity"):
            read(air.scan().select("humidity"))


def test_within_what_python_calls_back(db: alluvium.Database, air: alluvium.Table) -> None:
    """pyarrow lets go of Python's lock where our own code called it."""
    air.append(table())
    assert db.transact(lambda tx: pa.table(tx.table("air").scan()).num_rows) == 3
    assert list(map(lambda q: pa.table(q).num_rows, [air.scan()] * 3)) == [3] * 3


def test_answers_read_by_other_threads(air: alluvium.Table) -> None:
    from concurrent.futures import ThreadPoolExecutor

    air.append(table(50_000))
    reader = pa.RecordBatchReader.from_stream(air.scan())
    with ThreadPoolExecutor(4) as pool:
        assert pool.submit(lambda: reader.read_all().num_rows).result() == 50_000
        assert sum(pool.map(lambda _: air.scan().to_polars().height, range(8))) == 400_000


def test_repr_of_notebooks(db: alluvium.Database, air: alluvium.Table) -> None:
    air.append(table(30, room=pa.array(["<b>"] * 30)))
    html = air.scan()._repr_html_()
    assert html.count("<tr>") == 11 and "&lt;b&gt;" in html and "and more" in html
    assert "mean(co2)" in air.scan().mean("co2")._repr_html_()
    assert "co2" in air._repr_html_() and "air" in db._repr_html_()
    assert "co2" in next(iter(air.scan()))._repr_html_()
