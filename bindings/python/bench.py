"""What Python costs: an append of 1 M rows of pyarrow and a scan of 10 M points, beside the same work in Rust, and the import of the module.

``bindings/python/bench`` builds what it needs and runs it. Each round has the same done by a process of Rust and one of Python, in turns; of each
the median of several times is taken. What is printed is the speed of Python with that of Rust as 1: the median of all rounds, and the extremes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

ROWS = 1_000_000
SERIES = 10
FIRST_SECOND = 1_700_000_000
POINTS = 10_000_000
TIMES = 5

#: What has to be reached.
APPEND_AT_LEAST = 0.9
SCAN_AT_LEAST = 0.8
IMPORT_MS_AT_MOST = 50


def readings(turn: int) -> Any:
    """One field, ten series, a reading a second of each: the rows of ``same_in_rust.rs``."""
    import numpy as np
    import pyarrow as pa

    each = ROWS // SERIES
    rows = np.arange(ROWS)
    seconds = FIRST_SECOND + turn * each + rows % each
    return pa.table(
        {
            "time": pa.array(seconds * 1_000_000, pa.timestamp("us", "UTC")),
            "room": pa.array([f"room-{row // each}" for row in range(ROWS)]),
            "co2": pa.array(400.0 + (rows % 977) / 8),
        }
    )


def timed(does: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    # What it answers lives until the time is taken, as it does in Rust.
    answer = does()
    taken = time.perf_counter() - begin
    del answer
    return taken


def work(what: str, directory: str, times: int) -> None:
    """In a process of its own: does something some times, and prints how many seconds each took."""
    import alluvium

    with alluvium.open(directory) as db:
        air = db.table("air", tags=["room"], fields={"co2": "float64"})
        for turn in range(times):
            if what == "append":
                table = readings(turn)
                print(timed(lambda: air.append(table)))
            else:
                to = {"polars": lambda: air.scan().to_polars(), "arrow": lambda: air.scan().to_arrow(), "batches": lambda: list(air.scan())}
                print(timed(to[what]))


def seconds(*command: object) -> float:
    return statistics.median(map(float, subprocess.check_output([str(word) for word in command], text=True).split()))


class Bench:
    def __init__(self, rust: str, rounds: int, folder: Path) -> None:
        self.rust, self.rounds, self.folder = rust, rounds, folder

    def ratios(self, what: str, in_rust: str, directory: Callable[[], Path]) -> dict[str, float]:
        """How fast Python is, with Rust as 1. Who begins changes with every round."""
        all_ratios, rates = [], []
        python = (sys.executable, __file__, "--work", what)
        for turn in range(self.rounds):
            commands = {"python": python, "rust": (self.rust, in_rust)}
            order = sorted(commands, reverse=turn % 2 == 1)
            taken = {who: seconds(*commands[who], directory(), TIMES) for who in order}
            all_ratios.append(taken["rust"] / taken["python"])
            rates.append((ROWS if what == "append" else POINTS) / taken["python"])
        return {
            "speed": round(statistics.median(all_ratios), 3),
            "least": round(min(all_ratios), 3),
            "most": round(max(all_ratios), 3),
            "rows_per_second": round(statistics.median(rates)),
        }

    def fresh(self) -> Path:
        directory = self.folder / "append"
        shutil.rmtree(directory, ignore_errors=True)
        return directory

    def filled(self) -> Path:
        import alluvium

        directory = self.folder / "filled"
        with alluvium.open(directory) as db:
            air = db.table("air", tags=["room"], fields={"co2": "float64"})
            for turn in range(POINTS // ROWS):
                assert air.append(readings(turn)).rows == ROWS
            db.seal()
            frame = air.scan().to_polars()
            assert frame.height == POINTS and frame["co2"].null_count() == 0
        return directory


def import_ms(rounds: int) -> dict[str, float]:
    code = "import time; begin = time.perf_counter(); import alluvium; print(time.perf_counter() - begin)"
    taken = [1e3 * seconds(sys.executable, "-c", code) for _ in range(3 * rounds)]
    return {"median": round(statistics.median(taken), 1), "most": round(max(taken), 1)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("rust", help="the program same_in_rust")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--dir", help="where data goes")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.dir) as folder:
        bench = Bench(asked.rust, asked.rounds, Path(folder))
        result: dict[str, Any] = {"rounds": asked.rounds, "import_ms": import_ms(asked.rounds)}
        result["append"] = bench.ratios("append", "append", bench.fresh)
        filled = bench.filled()
        for what in ("polars", "arrow", "batches"):
            result[f"scan_to_{what}"] = bench.ratios(what, "scan", lambda: filled)
    reached = {
        "import": result["import_ms"]["median"] <= IMPORT_MS_AT_MOST,
        "append": result["append"]["speed"] >= APPEND_AT_LEAST,
        "scan": result["scan_to_polars"]["speed"] >= SCAN_AT_LEAST,
    }
    print(json.dumps({**result, "reached": reached}, indent=2))
    sys.exit(0 if all(reached.values()) else 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
