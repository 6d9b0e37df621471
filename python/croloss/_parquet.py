"""Parquet files, by pyarrow where it is installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ._error import Error

if TYPE_CHECKING:
    import pyarrow


def read(path: Path, columns: Sequence[str] | None = None) -> "pyarrow.Table":
    """A table, or some columns of it."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise Error(f"{path} is a Parquet file, which pyarrow reads: pip install pyarrow") from None
    if not path.is_file():
        raise Error(f"there is no {path}")
    return parquet.read_table(path, columns=None if columns is None else list(columns))
