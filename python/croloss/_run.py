"""Run folders."""

import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _parquet, _toml
from ._error import Error

if TYPE_CHECKING:
    import pyarrow


class Run:
    """What a training has left in its run folder, or leaves there while it goes on."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises Error: where `path` is no run folder."""
        #: The folder.
        self.path = Path(path)
        if not (self.path / "config.toml").is_file():
            raise Error(f"{self.path} is not a run folder: it has no config.toml; make one with croloss.train")

    def __repr__(self) -> str:
        return f"croloss.load_run({str(self.path)!r})"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The effective configuration, every key with its value."""
        return _toml.read(self.path / "config.toml")

    @property
    def result(self) -> dict[str, Any]:
        """Steps, seconds, memory, and the metrics of `validation` and `test` by name.

        Raises:
            Error: where the training has not ended.
        """
        path = self.path / "result.json"
        if not path.is_file():
            raise Error(f"{self.path} has no result yet: its training goes on, or was cut off (resume=True)")
        result: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return result

    def metrics(self, part: str | None = None) -> list[dict[str, Any]]:
        """What was measured, in its order: of each line of the log and each validation `part` ("train",
        "validation" or "test"), `step`, `seconds`, and `loss` or the metrics by name.

        Args:
            part: Only these.
        """
        path = self.path / "metrics.jsonl"
        text = path.read_text("utf-8") if path.is_file() else ""
        # The last line may be being written.
        lines = (json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n"))
        return [line for line in lines if part in (None, line["part"])]

    def ranks(self) -> "pyarrow.Table":
        """The rank of every test target, a row each: `user`, `original_user`, `item`, `original_item`,
        `rank` from 1. `.to_pandas()` makes a data frame of it.

        Raises:
            Error: where there are none yet; without pyarrow.
        """
        return _parquet.read(self.path / "ranks.parquet")


def load_run(path: str | os.PathLike[str]) -> Run:
    """The run in the folder `path`.

    Raises:
        Error: where `path` is no run folder.
    """
    return Run(path)
