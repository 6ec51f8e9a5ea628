"""The examples in the documentation of everything that users meet."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path
from typing import Iterator

import pytest

import alluvium

ROWS = [
    {"time": "2024-01-01T00:00:00Z", "room": "A", "co2": 600.0},
    {"time": "2024-01-01T01:00:00Z", "room": "A", "co2": 700.0},
    {"time": "2024-01-01T00:30:00Z", "room": "B", "co2": 500.0},
]
OPTIONS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


def documented() -> Iterator[tuple[str, str]]:
    for name in alluvium.__all__:
        public = getattr(alluvium, name)
        if not isinstance(public, str):
            yield name, inspect.getdoc(public) or ""
        if inspect.isclass(public) and not issubclass(public, Exception):
            for member, value in vars(public).items():
                if not member.startswith("_"):
                    yield f"{name}.{member}", inspect.getdoc(value) or ""


@pytest.mark.parametrize(("name", "text"), [pytest.param(*each, id=each[0]) for each in documented()])
def test_documentation(name: str, text: str, db: alluvium.Database, folder: Path) -> None:
    assert text, f"{name} has no documentation"
    air = db.table("air", tags=["room"], fields={"co2": "float64"})
    air.append(ROWS)
    names = {"alluvium": alluvium, "db": db, "air": air, "folder": folder}
    example = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    told: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=told.append)
    assert not told, "".join(told)


def test_readme(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert "'mean(co2)': 612.5" in capsys.readouterr().out
    with alluvium.open("data") as db:
        assert db.kv["pump/7/state"] == b"on"


def test_most_of_it_has_examples() -> None:
    without = [name for name, text in documented() if ">>>" not in text and "." in name]
    properties = [name for name in without if inspect.isgetsetdescriptor(_of(name)) or inspect.isdatadescriptor(_of(name))]
    plain = {"Collection.name", "Sync.start", "Sync.stop", "Sync.resume", "Sync.retry", "Sync.close", "Sync.status", "Transaction.cursor"}
    assert set(without) - set(properties) <= plain


def _of(name: str) -> object:
    owner, member = name.split(".")
    return vars(getattr(alluvium, owner))[member]
