"""Writes the lines of a CSV log without a header by the time in its last column: shuffle.py FILE OUT."""

import sys
from pathlib import Path

import polars as pl

source, out = map(Path, sys.argv[1:])
out.parent.mkdir(parents=True, exist_ok=True)
log = pl.read_csv(source, has_header=False)
log.sort(log.columns[-1], maintain_order=True).write_csv(out, include_header=False)
