"""What a field of categories alone finds of a dataset's cold items: the row beside the models of cold-items.toml.

Needs pandas and pyarrow.

    python attributes_alone.py data/beauty-cold attributes

An item is the unit vector of its values, weighted by the log of how rare they are; a user the mean of his latest ten
items. The target has to score above all others, equal ones count against it. Recall in percent, among the cold items,
among all, and among all but those of the history, as the models rank them.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

folder, field = Path(sys.argv[1]), sys.argv[2]
items = pd.read_parquet(folder / "items.parquet")
codes = pd.read_parquet(folder / "item_features.parquet")[field].to_list()
histories = pd.read_parquet(folder / "sequences.parquet").groupby("user").item.agg(list)
asked = pd.read_parquet(folder / "cold.parquet")

# Items count from 1, which is row 0 here.
vectors = np.zeros((len(items), 1 + max(max(of, default=0) for of in codes)))
for row, of in enumerate(codes):
    vectors[row, of] = 1
vectors *= np.log(len(items) / np.maximum(vectors.sum(axis=0), 1))
vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
cold = items.cold.to_numpy()

ranks = []
for user, target in zip(asked.user, asked.item - 1):
    history = np.array(histories[user]) - 1
    # Sums of the same numbers in another order are equal.
    scores = (vectors @ vectors[history[-10:]].mean(axis=0)).round(9)
    above = scores >= scores[target]
    new = above.copy()
    new[history] = False
    ranks.append((above[cold].sum(), above.sum(), new.sum()))
for name, of in zip(("among the cold items", "among all", "history left out"), np.array(ranks).T):
    print(f"{name}: @10 {100 * (of <= 10).mean():.2f}, @50 {100 * (of <= 50).mean():.2f}")
