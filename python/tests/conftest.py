"""A small log, prepared, trained on and exported once."""

from pathlib import Path

import pandas
import pytest

import croloss

CONFIG = {
    "device": "cpu",
    "threads": 1,
    "tower": {"dim": 8, "history": 5},
    "sampling": {"batch": 32, "negatives_per_positive": 2},
    "train": {"steps": 60, "validate_every": 20, "log_every": 10, "monitor": "recall@10"},
    "evaluation": {"at": [10, 50]},
}


class Bar:
    """What tqdm is asked, in place of it."""

    def __init__(self, total, desc):
        self.total, self.n, self.seen, self.open = total, 0, [], True
        Bar.last = self

    def set_postfix_str(self, about, refresh):
        pass

    def refresh(self):
        self.seen.append(self.n)

    def close(self):
        self.open = False

    @staticmethod
    def write(line, file):
        print(line, file=file)


def prepare(place: Path, *more):
    return croloss.call(
        "prepare", "--input", place / "log.csv", "--user", "user", "--item", "item", "--time", "time",
        "--out", place / "data", *more, progress=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with log.csv, whose items are numbers, and the dataset data."""
    place = tmp_path_factory.mktemp("place")
    size = ["--users", 400, "--items", 300]
    croloss.call("generate", "--preset", "demo", *size, "--out", place / "made.csv", progress=False)
    log = pandas.read_csv(place / "made.csv")
    log["item"] = log["item"].str.removeprefix("i").astype(int)
    log.to_csv(place / "log.csv", index=False)
    prepare(place)
    return place


@pytest.fixture(scope="session")
def config(place):
    return {**CONFIG, "data": {"path": str(place / "data")}}


@pytest.fixture(scope="session")
def run(place, config):
    return croloss.train(config, place / "run", progress=False)


@pytest.fixture(scope="session")
def export(place, run):
    croloss.call("export", run.path, "--out", place / "export", progress=False)
    return croloss.load_export(place / "export")


@pytest.fixture(scope="session")
def histories(place):
    """Of some users all their items, by their ids in the log, oldest first."""
    log = pandas.read_csv(place / "log.csv", dtype=str)
    log["time"] = log["time"].astype(int)
    users = log.sort_values("time", kind="stable").groupby("user")["item"].agg(list)
    return users.tolist()[:50]


@pytest.fixture
def bar(monkeypatch):
    """The class that stands in for tqdm's, with the `last` of its bars."""
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    return Bar
