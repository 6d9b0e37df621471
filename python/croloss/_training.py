"""Trainings, sweeps and searches."""

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from . import _toml
from ._program import call
from ._run import Run
from ._search import Search

#: A file of TOML, or what would stand in it.
Settings = Mapping[str, Any] | str | os.PathLike[str]


def train(
    config: Settings,
    out: str | os.PathLike[str],
    *,
    sets: Mapping[str, object] | None = None,
    warm_start: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    progress: bool = True,
) -> Run:
    """Trains, and tests the weights that were best in validation: `croloss train`.

    Args:
        config: A configuration, by its path or as a dict of its keys, as in docs/configuration.md.
        out: The run folder to make.
        sets: Values in place of the configuration's, by dotted key: {"loss.alpha": 1.2}.
        warm_start: A run whose best weights to start from.
        resume: Go on with the run at `out` that was cut off, or start it.
        force: Replace the run at `out`.
        progress: Show how far it has got, and at the end its figures.

    Raises:
        Error: with the program's sentence. An interrupt leaves a checkpoint that `resume` goes on from.
    """
    arguments: list[object] = ["--out", os.fspath(out), *_sets(sets)]
    if warm_start is not None:
        arguments += ["--warm-start", os.fspath(warm_start)]
    arguments += [flag for flag, given in [("--resume", resume), ("--force", force)] if given]
    with tempfile.TemporaryDirectory() as folder:
        said = call("train", _file(config, Path(folder, "config.toml")), *arguments, progress=progress)
    _show(said, progress)
    return Run(out)


def sweep(
    file: Settings,
    runs: str | os.PathLike[str],
    *,
    sets: Mapping[str, object] | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> list[Run]:
    """Trains every point of a sweep that has no result yet: `croloss sweep`.

    Args:
        file: A sweep, by its path or as a dict, as in docs/sweeps.md. In a dict `base` may be a dict too, and
            a path is one from here.
        runs: Where the run folders are, with results.csv and results.parquet, which have a row a point.
        sets: Values in place of every point's, by dotted key.
        jobs: Points side by side.
        progress: Show how far it has got.

    Returns:
        The finished runs, by name.

    Raises:
        Error: with the program's sentence, also where single points have failed.
    """
    arguments: list[object] = ["--runs", os.fspath(runs), "--jobs", jobs, *_sets(sets)]
    with tempfile.TemporaryDirectory() as folder:
        said = call("sweep", _sweep_file(file, Path(folder, "sweep.toml")), *arguments, progress=progress)
    _show(said, progress)
    return [Run(path.parent) for path in sorted(Path(runs).glob("*/result.json"))]


def tune(
    config: Settings,
    metrics: str | Iterable[str],
    out: str | os.PathLike[str],
    *,
    space: Settings | None = None,
    points: int = 60,
    budget: str | timedelta | None = None,
    jobs: int = 1,
    sets: Mapping[str, object] | None = None,
    seed: int = 1,
    progress: bool = True,
) -> Search:
    """Finds the setting that is best by each of some metrics: `croloss tune`.

    Args:
        config: The configuration to start from, or a sweep whose axes are lists or ranges, each by its path or
            as a dict. In a dict of a sweep `base` may be a dict too, and a path is one from here.
        metrics: What the best is looked for by, measured in validation: "recall@200", or several.
        out: The folder of the search. One that is there is gone on with.
        space: What is searched, a sweep without a base; losses where there is none.
        points: How many points are drawn.
        budget: Behind it nothing more of the search is begun: "90m", "2h", or a timedelta.
        jobs: Points side by side.
        sets: Values in place of every point's, by dotted key.
        seed: That of what is drawn.
        progress: Show how far it has got, and at the end what is found.

    Raises:
        Error: with the program's sentence, also where a run of the best has failed. An interrupt leaves
            checkpoints, which the same call goes on from.
    """
    wanted = [metrics] if isinstance(metrics, str) else metrics
    arguments: list[object] = [word for metric in wanted for word in ("--for", metric)]
    arguments += ["--out", os.fspath(out), "--points", points, "--jobs", jobs, "--seed", seed, *_sets(sets)]
    if budget is not None:
        arguments += ["--budget", budget if isinstance(budget, str) else f"{budget // timedelta(milliseconds=1)}ms"]
    with tempfile.TemporaryDirectory() as folder:
        if space is not None:
            arguments += ["--space", _file(space, Path(folder, "space.toml"))]
        said = call("tune", _sweep_file(config, Path(folder, "config.toml")), *arguments, progress=progress)
    _show(said, progress)
    return Search(out)


def _sweep_file(settings: Settings, place: Path) -> str:
    """The path of a file that may be a sweep, whose base then has a file too."""
    if isinstance(settings, Mapping) and "base" in settings:
        base = Path(_file(settings["base"], place.with_name("base.toml")))
        settings = {**settings, "base": base.absolute()}
    return _file(settings, place)


def _file(settings: Settings, place: Path) -> str:
    """The path of a file, which is made where there is none."""
    if not isinstance(settings, Mapping):
        return os.fspath(settings)
    place.write_text(_toml.document(settings), encoding="utf-8")
    return str(place)


def _sets(sets: Mapping[str, object] | None) -> list[str]:
    pairs = (sets or {}).items()
    return [word for key, value in pairs for word in ("--set", f"{key}={_toml.inline(value, key)}")]


def _show(said: str, progress: bool) -> None:
    if progress:
        sys.stdout.write(said)
