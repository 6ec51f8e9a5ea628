"""What type checkers are to know: it is checked, not run."""

from __future__ import annotations

import datetime as dt

import alluvium


def uses(path: str) -> float:
    with alluvium.open(path, memtable_bytes=1 << 20) as db:
        air = db.table("air", tags=["room"], fields={"co2": "float64", "lit": bool})
        appended: alluvium.Appended = air.append([{"time": dt.datetime.now(dt.timezone.utc), "co2": 612.5}])
        hourly = air.scan().where(room="A").where("co2", ">", 800).every("1h").mean("co2")
        for batch in hourly:
            print(len(batch), batch.columns)
        answer: list[dict[str, object]] = hourly.to_dicts()
        state: bytes = db.kv["state"]
        device = db.collection("devices").get("pump-7")
        room: object = None if device is None else device["room"]
        item = db.queue("commands").pop(wait="1s")
        if item is not None:
            with item:
                print(item.payload.decode(), item.tries + 1)
        count: int = db.transact(lambda tx: tx.kv.increment("n"))
        for change in db.changes(tables=["air"]):
            print(change.sequence, [event.rows for event in change.events])
        try:
            air.append({})
        except alluvium.BadRowsError as error:
            print(error.rows[0]["reason"], error.appended + 1)
        return float(len(answer) + len(state) + count + appended.rows + (room is None))
