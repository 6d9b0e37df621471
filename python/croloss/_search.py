"""Folders of searches."""

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from . import _toml
from ._error import Error
from ._run import Run

#: Searches of this major version of their format are read.
FORMAT = "1"


class Case(NamedTuple):
    """A setting that was trained to its end under several seeds: shares, not percent, the means over
    them and their standard deviations, None where there is one seed or nothing is measured."""

    name: str
    validation: float
    validation_sd: float | None
    test: float | None
    test_sd: float | None
    #: One a seed, the best in validation first.
    runs: list[Run]


class Gain(NamedTuple):
    """What the first case has more than the second on test, with a 95 % interval."""

    mean: float
    low: float
    high: float
    #: The interval covers what other seeds would change, not the choice of users alone.
    of_seeds: bool


class Best:
    """What is best by one metric."""

    def __init__(self, folder: Path, found: dict[str, Any]) -> None:
        #: That metric.
        self.metric: str = found["metric"]
        #: Which setting to take, and what it gains.
        self.words: str = found["words"]
        #: The configuration to train it by.
        self.config_path: Path = folder / found["config"]
        #: What validation chooses first, then what it was compared with: cross-entropy, or, where that is
        #: chosen itself, the best of the search.
        self.cases = [Case(**{**case, "runs": [Run(folder / run) for run in case["runs"]]}) for case in found["cases"]]
        #: None where the two cannot be compared on test.
        self.gain = Gain(**found["gain"]) if found["gain"] else None
        #: The points of the search that were measured, the best first: of each `point` in words, `run`, the
        #: `share` of its steps to which it was trained, and its best `validation` up to there.
        self.ranking: list[dict[str, Any]] = [{**row, "run": str(folder / row["run"])} for row in found["ranking"]]

    def __repr__(self) -> str:
        return f"<best by {self.metric}: {self.cases[0].name}>"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration, every key with its value."""
        return _toml.read(self.config_path)

    @property
    def runs(self) -> list[Run]:
        """The runs of the first case."""
        return self.cases[0].runs


class Search:
    """What a search has found, in its folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises Error: where `path` holds no search that has come to its end, or one of another version."""
        #: The folder.
        self.path = Path(path)
        file = self.path / "found.json"
        if not file.is_file():
            raise Error(f"{self.path} has no found.json: a search writes it at its end; call croloss.tune again")
        found = json.loads(file.read_text("utf-8"))
        if found["format"].split(".")[0] != FORMAT:
            raise Error(
                f"the search {self.path} has format {found['format']}, and format {FORMAT} is read here: "
                "use the program that wrote it"
            )
        #: Steps that all points of the search have taken.
        self.steps: int = found["steps"]
        #: By metric, as they were asked for.
        self.best: dict[str, Best] = {own["metric"]: Best(self.path, own) for own in found["best"]}

    def __repr__(self) -> str:
        return f"croloss.load_search({str(self.path)!r})"

    @property
    def words(self) -> str:
        """What to take, a paragraph a metric."""
        return "\n\n".join(best.words for best in self.best.values())


def load_search(path: str | os.PathLike[str]) -> Search:
    """The search in the folder `path`.

    Raises:
        Error: where `path` holds none, or one that has not come to its end.
    """
    return Search(path)
