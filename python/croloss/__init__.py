"""The program croloss from Python: it is called, and what it writes is read. Nothing is computed here
that it computes."""

from importlib.metadata import version
from pathlib import Path

from ._error import Error
from ._export import Export, Recommended, load_export
from ._program import call
from ._run import Run, load_run
from ._search import Best, Case, Gain, Search, load_search
from ._training import sweep, train, tune

__version__ = version("croloss")

#: The folder of the configurations to begin with: default.toml, session.toml, next-item.toml and others.
CONFIGS = Path(__file__).parent / "configs"

__all__ = [
    "CONFIGS",
    "Best",
    "Case",
    "Error",
    "Export",
    "Gain",
    "Recommended",
    "Run",
    "Search",
    "__version__",
    "call",
    "load_export",
    "load_run",
    "load_search",
    "sweep",
    "train",
    "tune",
]
