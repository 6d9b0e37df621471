"""EASE in numpy and ALS of the library `implicit` on a folder that `croloss prepare` wrote, measured as
`croloss baseline` measures: training users fit, the first four fifths of a test user's sequence are the history,
the distinct items of the rest the targets, the whole catalogue is ranked and ties count against the target.

    python -m venv peers && peers/bin/pip install numpy scipy polars implicit
    peers/bin/python experiments/your-own-log/peers.py data/beauty
"""
import sys
import time

import implicit
import numpy as np
import polars as pl
from scipy import sparse

AT = (20, 100, 500)
LAMBDA = 500
FACTORS, ALPHA, REGULARIZATION, ITERATIONS = 64, 10, 10, 15

folder = sys.argv[1]
parts = pl.read_parquet(f"{folder}/users.parquet")["split"].to_list()
events = pl.read_parquet(f"{folder}/sequences.parquet")
sequences = [np.asarray(s) - 1 for s in events.group_by("user", maintain_order=True).agg("item")["item"].to_list()]
items = pl.read_parquet(f"{folder}/items.parquet").height


def counts(histories):
    """How often each history (row) has each item (column)."""
    rows = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
    ones = np.ones(len(rows), np.float32)
    table = sparse.csr_matrix((ones, (rows, np.concatenate(histories))), shape=(len(histories), items))
    table.sum_duplicates()
    return table


def with_data(table, data):
    return sparse.csr_matrix((data, table.indices, table.indptr), shape=table.shape)


training = counts([s for s, part in zip(sequences, parts) if part == "train"])
tested = [s for s, part in zip(sequences, parts) if part == "test"]
held_out = [int(0.8 * len(s)) for s in tested]
known = counts([s[:at] for s, at in zip(tested, held_out)])
targets = [np.unique(s[at:]) for s, at in zip(tested, held_out)]


def report(name, seconds, scores_of):
    found = np.zeros(len(AT))
    for user, wanted in enumerate(targets):
        scores = scores_of(user)
        ranks = np.array([np.count_nonzero(scores >= scores[item]) for item in wanted])
        found += [np.mean(ranks <= at) for at in AT]
    recalls = "  ".join(f"@{at} {100 * value:.2f}" for at, value in zip(AT, found / len(targets)))
    print(f"{name:<14} recall % {recalls}   fitted in {seconds:.1f} s", flush=True)


start = time.time()
met = with_data(training, np.ones_like(training.data))
inverse = np.linalg.inv((met.T @ met).toarray() + LAMBDA * np.eye(items, dtype=np.float32))
weights = -inverse / np.diag(inverse)
np.fill_diagonal(weights, 0)
seconds = time.time() - start
report("EASE, numpy", seconds, lambda user: weights[known[user].indices].sum(0))

start = time.time()
als = implicit.als.AlternatingLeastSquares(
    factors=FACTORS, regularization=REGULARIZATION, alpha=1.0, iterations=ITERATIONS, random_state=1, use_gpu=False
)
# The library takes the confidence itself: 1 + alpha times how often.
als.fit(with_data(training, 1 + ALPHA * training.data), show_progress=False)
seconds = time.time() - start
vectors = als.recalculate_user(np.arange(len(tested)), with_data(known, 1 + ALPHA * known.data))
report("ALS, implicit", seconds, lambda user: als.item_factors @ vectors[user])
