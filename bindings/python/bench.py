"""How long it takes: the import of the module, an append of 1 M rows of pyarrow, a scan of 10 M points to polars, each the best of several.

    python bindings/python/bench.py [DIRECTORY]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

import polars as pl
import pyarrow as pa

import alluvium

ROWS = 1_000_000
POINTS = 10_000_000
TIMES = 5


def best(does: Callable[[], Any], times: int = TIMES) -> float:
    def once() -> float:
        begin = time.perf_counter()
        does()
        return time.perf_counter() - begin

    return min(once() for _ in range(times))


def import_seconds() -> float:
    code = "import time; begin = time.perf_counter(); import alluvium; print(time.perf_counter() - begin)"
    return min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(TIMES))


def readings(rows: int, begin: int) -> pa.Table:
    """One field, ten series, a reading a second of each."""
    series, each = 10, rows // 10
    seconds = pa.array([begin + i for i in range(each)], pa.int64())
    times = pa.concat_arrays([seconds] * series)
    rooms = pa.array([f"room-{i // each}" for i in range(rows)])
    values = pa.array([400.0 + (i % 977) / 8 for i in range(rows)])
    micros = pa.compute.multiply(times, 1_000_000).cast(pa.timestamp("us", "UTC"))
    return pa.table({"time": micros, "room": rooms, "co2": values})


def main() -> None:
    import pyarrow.compute  # noqa: F401

    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as directory:
        with alluvium.open(Path(directory) / "data") as db:
            air = db.table("air", tags=["room"], fields={"co2": "float64"})
            appends = []
            for turn in range(POINTS // ROWS):
                table = readings(ROWS, 1_700_000_000 + turn * ROWS // 10)
                begin = time.perf_counter()
                assert air.append(table).rows == ROWS
                appends.append(time.perf_counter() - begin)
            db.seal()
            frame = air.scan().to_polars()
            assert frame.height == POINTS and frame["co2"].null_count() == 0
            result = {
                "import_ms": 1e3 * import_seconds(),
                "append_rows_per_second": ROWS / min(appends),
                "scan_to_polars_points_per_second": POINTS / best(lambda: air.scan().to_polars()),
                "scan_to_batches_points_per_second": POINTS / best(lambda: [len(batch) for batch in air.scan()]),
                "scan_to_arrow_points_per_second": POINTS / best(lambda: air.scan().to_arrow()),
                "chunks": frame.n_chunks(),
                "versions": {"polars": pl.__version__, "pyarrow": pa.__version__, "python": sys.version.split()[0]},
            }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
