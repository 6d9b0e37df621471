"""Whether two prepared folders hold the same catalogue, users and sequences: check.py OURS POLARS."""

import sys
from pathlib import Path

import polars as pl

ours, theirs = map(Path, sys.argv[1:])
columns = {
    "items.parquet": ["item", "original", "count"],
    "users.parquet": ["user", "original", "length"],
    "sequences.parquet": ["user", "item", "time"],
}
for name, wanted in columns.items():
    left, right = (pl.read_parquet(folder / name, columns=wanted).select(wanted) for folder in (ours, theirs))
    if left.height != right.height:
        sys.exit(f"{name}: {left.height} rows and {right.height}")
    for column in wanted:
        if not (left[column] == right[column].cast(left[column].dtype)).all():
            sys.exit(f"{name}: the column {column} differs")
    print(f"{name}: {left.height} rows, the same")
