"""What the tests have in common."""

from __future__ import annotations

import sys
import subprocess
import textwrap
from pathlib import Path
from typing import Iterator

import pytest

import alluvium


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def db(folder: Path) -> Iterator[alluvium.Database]:
    with alluvium.open(folder / "data") as db:
        yield db


@pytest.fixture
def air(db: alluvium.Database) -> alluvium.Table:
    return db.table("air", tags=["room"], fields={"co2": "float64"})


class Child:
    """Another process that runs some Python with the module ``alluvium``, and talks by lines."""

    def __init__(self, code: str, *args: object) -> None:
        code = "import sys, alluvium\n" + textwrap.dedent(code)
        command = [sys.executable, "-c", code, *map(str, args)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def child() -> Iterator[type[Child]]:
    children: list[Child] = []

    class Noted(Child):
        def __init__(self, code: str, *args: object) -> None:
            super().__init__(code, *args)
            children.append(self)

    yield Noted
    for child in children:
        if child.process.poll() is None:
            child.process.kill()
            child.process.communicate()
