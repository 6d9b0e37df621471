"""What searches found beside the best of a full grid, test user by test user.

Needs pandas and pyarrow.

    python compare.py NAME GRID_RESULTS GRID_RUNS SEARCH...

GRID_RESULTS: results.csv of the sweep, of which the runs under seed 1 count. GRID_RUNS: its folder, which has to hold the best
run for each N. Writes results-NAME.csv beside itself, a row a search and N, and prints it as a table. The difference of
two runs is the mean over test users of their recalls' difference; its 95 % interval takes the users as draws.
"""
import json
import sys
import tomllib
from pathlib import Path

import pandas as pd

AT = [20, 500]
HERE = Path(__file__).parent


def recalls(run, at):
    """Recall@at of each test user."""
    ranks = pd.read_parquet(run / "ranks.parquet", columns=["user", "rank"])
    return (ranks["rank"] <= at).groupby(ranks.user).mean()


def setting(run):
    """Its loss in a few words."""
    loss = tomllib.loads((run / "config.toml").read_text())["loss"]
    kernels = " + ".join(loss[key] for key in ("rank_kernel", "kernel") if key in loss)
    numbers = [f"{key} {loss[key]:g}" for key in ("alpha", "margin") if key in loss]
    return " ".join(part for part in (loss["kind"], kernels, *numbers) if part)


def main(name, grid_results, grid_runs, *searches):
    grid = pd.read_csv(grid_results)
    grid = grid[(grid.status == "done") & (grid.seed == 1)]
    steps = grid.steps.sum()
    rows = []
    for at in AT:
        best = grid.loc[grid[f"test.recall@{at}"].idxmax()]
        chosen = grid.loc[grid[f"validation.recall@{at}"].idxmax()]
        reference = recalls(next(Path(grid_runs).glob(f"{best['name']}-*")), at)
        for search in map(Path, searches):
            found = json.loads((search / "found.json").read_text())
            own = next(best for best in found["best"] if best["metric"] == f"recall@{at}")
            first = own["cases"][0]
            run = search / first["runs"][0]
            recall = recalls(run, at)
            difference = 100 * (recall - reference)
            half = 1.96 * difference.std() / len(difference) ** 0.5
            mean = difference.mean()
            rows.append({
                "N": at, "search": search.name, "found": setting(run), "test": 100 * recall.mean(),
                "steps": found["steps"], "share": found["steps"] / steps,
                "best": best["name"].removesuffix("_seed=1"), "best_test": 100 * reference.mean(),
                "difference": mean, "low": mean - half, "high": mean + half, "within": mean - half <= 0 <= mean + half,
                "by_validation": chosen["name"].removesuffix("_seed=1"),
                "by_validation_test": 100 * chosen[f"test.recall@{at}"],
            })
    table = pd.DataFrame(rows)
    table.round(4).to_csv(HERE / f"results-{name}.csv", index=False)
    print("| N | search | found | test recall, % | steps, of the grid's | beside the grid's best on test | difference, points | the grid's choice by validation |")
    print("|---:|---|---|---:|---:|---|---:|---|")
    for _, row in table.iterrows():
        print(f"| {row.N} | {row.search} | {row.found} | {row.test:.2f} | {row.steps:,} ({row.share:.0%}) | {row.best} {row.best_test:.2f} | "
              f"{row.difference:+.2f} ({row.low:+.2f} to {row.high:+.2f}) | {row.by_validation} {row.by_validation_test:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
