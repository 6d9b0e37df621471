"""What the sweeps of claims.toml say together: each comparison on each data set, and pooled over them.

Needs pandas, pyarrow, statsmodels and matplotlib.

    python pooled.py runs/claims-A runs/claims-B ...

writes results-A.csv and effects-A.csv of each sweep beside itself (to results of former calls it adds its own, in place
of those of the same loss and seed), then pools all that stand there: pooled.csv, losses.csv, pooled.svg and, printed,
the tables of docs/results.md. A comparison's effect is the relative difference of recall@N between two losses, in
percent of the second. Its variance on a data set has two parts: the test users as draws (of each user's difference,
averaged over seeds), and the seeds (of the mean difference of each). Over data sets it is a random-effects mean (Paule
and Mandel) with the interval of Hartung, Knapp, Sidik and Jonkman, never narrower than without their factor.
"""
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from scipy.stats import t
from statsmodels.stats.meta_analysis import combine_effects

matplotlib.use("Agg")
# Of each data set alone the normal interval is meant.
warnings.filterwarnings("ignore", message="`use_t=True` requires")
import matplotlib.pyplot as plt

AT = [20, 50, 100, 200, 500]
HERE = Path(__file__).parent

# What a loss is known by.
KEYS = ["loss.kind", "loss.kernel", "loss.alpha", "loss.rank_kernel"]


def loss(kind, kernel=None, alpha=None, rank_kernel=None):
    return (kind, kernel, alpha, rank_kernel)


CE, TRIPLET, BPR = loss("cross-entropy"), loss("triplet"), loss("bpr")
CRO = loss("cro", "softplus", 1.0)
LAMBDA = loss("cro-lambda", "softplus", 1.0, "sigmoid")


def loss_of(row):
    """That of a row of results.csv."""
    return loss(*[None if pd.isna(row[key]) else row[key] for key in KEYS])


def cro(kernel, alpha):
    return loss("cro", kernel, alpha)


COMPARISONS = [
    ("CRO softplus α=1 to cross-entropy", CRO, CE),
    ("Lambda to cross-entropy", LAMBDA, CE),
    ("Lambda to CRO softplus α=1", LAMBDA, CRO),
    ("triplet to cross-entropy", TRIPLET, CE),
    ("BPR to cross-entropy", BPR, CE),
    ("CRO sigmoid, α=0.6 to 1.2", cro("sigmoid", 0.6), cro("sigmoid", 1.2)),
    ("CRO hinge, α=1 to 0", cro("hinge", 1.0), cro("hinge", 0.0)),
    ("CRO softplus, α=1 to 0", cro("softplus", 1.0), cro("softplus", 0.0)),
    ("CRO α=1, exponential to sigmoid", cro("exponential", 1.0), cro("sigmoid", 1.0)),
    ("CRO α=1, softplus to sigmoid", cro("softplus", 1.0), cro("sigmoid", 1.0)),
]


def named(of):
    kind, kernel, alpha, rank_kernel = of
    kernels = " + ".join(part for part in (rank_kernel, kernel) if part)
    return " ".join(part for part in (kind, kernels, "" if alpha is None else f"α={alpha:g}") if part)


def read(folder):
    """{loss: {seed: recall by user, [users, N]}} and the table of results, a row a run that is done."""
    results = pd.read_csv(folder / "results.csv")
    results = results[results.status == "done"]
    runs = {}
    for _, row in results.iterrows():
        ranks = pd.read_parquet(next(folder.glob(f"*-{row.id}")) / "ranks.parquet", columns=["user", "rank"])
        found = pd.DataFrame({at: ranks["rank"] <= at for at in AT}).groupby(ranks.user).mean()
        runs.setdefault(loss_of(row), {})[row.seed] = found
    return runs, results


def effect(runs, first, second, at):
    """Relative difference in percent, its variance, seeds."""
    seeds = sorted(set(runs[first]) & set(runs[second]))
    by_seed = pd.DataFrame({seed: runs[first][seed][at] - runs[second][seed][at] for seed in seeds})
    base = np.mean([runs[second][seed][at].mean() for seed in seeds])
    of_users = by_seed.mean(axis=1).var(ddof=1) / len(by_seed)
    of_seeds = by_seed.mean().var(ddof=1) / len(seeds) if len(seeds) > 1 else 0.0
    scale = 100.0 / base
    return by_seed.mean().mean() * scale, (of_users + of_seeds) * scale**2, len(seeds)


def take(folder):
    """Writes what the pooling needs of a sweep, so that it can do without the ranks of its runs."""
    data = folder.name.removeprefix("claims-")
    runs, results = read(folder)
    kept = HERE / f"results-{data}.csv"
    if kept.exists():
        results = pd.concat([results, pd.read_csv(kept)]).drop_duplicates([*KEYS, "seed"])
    results.to_csv(kept, index=False)
    rows = [(name, at, *effect(runs, first, second, at)) for name, first, second in COMPARISONS for at in AT]
    effects = pd.DataFrame(rows, columns=["comparison", "N", "percent", "variance", "seeds"])
    effects.round(5).to_csv(HERE / f"effects-{data}.csv", index=False)


def main(folders):
    for folder in folders:
        take(Path(folder))
    data = {path.stem.removeprefix("effects-"): pd.read_csv(path) for path in sorted(HERE.glob("effects-*.csv"))}
    rows = []
    for name, _, _ in COMPARISONS:
        for at in AT:
            own = {d: e[(e.comparison == name) & (e.N == at)].iloc[0] for d, e in data.items()}
            for d, e in own.items():
                half = 1.96 * e.variance**0.5
                rows.append((name, at, d, e.percent, e.percent - half, e.percent + half, e.seeds, np.nan))
            effects, variances = [np.array([e[of] for e in own.values()]) for of in ("percent", "variance")]
            pooled = combine_effects(effects, variances, method_re="iterated", use_t=True)
            frame = pooled.summary_frame()
            mean = frame.loc["random effect", "eff"]
            # Never narrower than the effects' own variances say: few of them agree by chance.
            error = frame.loc[["random effect", "random effect wls"], "sd_eff"].max()
            half = t.ppf(0.975, len(own) - 1) * error
            rows.append((name, at, "pooled", mean, mean - half, mean + half, len(own), 100 * max(0.0, pooled.i2)))
    table = pd.DataFrame(rows, columns=["comparison", "N", "data", "percent", "low", "high", "seeds_or_sets", "i2"])
    table.round(3).to_csv(HERE / "pooled.csv", index=False)

    columns = [*data, "pooled"]
    print("| comparison | N | " + " | ".join(columns) + " | I² |")
    print("|---|---:|" + "---:|" * (len(columns) + 1))
    for (name, at), part in table.groupby(["comparison", "N"], sort=False):
        cells = []
        for column in columns:
            own = part[part.data == column].iloc[0]
            text = f"{own.percent:+.1f} ({own.low:+.1f} to {own.high:+.1f})"
            cells.append(f"**{text}**" if own.low > 0 or own.high < 0 else text)
        print(f"| {name} | {at} | " + " | ".join(cells) + f" | {part[part.data == 'pooled'].i2.iloc[0]:.0f} |")

    # Which loss for which N: by validation, never by the test, of the one seed that all losses have.
    print()
    print("| data | N | best in validation | its test recall, % | cross-entropy's | second and third in validation |")
    print("|---|---:|---|---:|---:|---|")
    means = []
    for d in data:
        results = pd.read_csv(HERE / f"results-{d}.csv")
        results["loss"] = [loss_of(row) for _, row in results.iterrows()]
        first = results[results.seed == 1].set_index("loss")
        for at in AT:
            order = first.sort_values(f"validation.recall@{at}", ascending=False)
            best, base = 100 * order[f"test.recall@{at}"].iloc[0], 100 * first[f"test.recall@{at}"][[CE]].iloc[0]
            names = [named(of) for of in order.index[:3]]
            print(f"| {d} | {at} | {names[0]} | {best:.2f} | {base:.2f} | {', '.join(names[1:])} |")
        bases = results[results.loss == CE].set_index("seed")
        for of, part in results.groupby("loss", sort=False):
            # Of the same seeds.
            base = bases.loc[part.seed]
            gain = {f"gain@{at}": 100 * (part[f"test.recall@{at}"].mean() / base[f"test.recall@{at}"].mean() - 1) for at in AT}
            means.append({"data": d, "loss": named(of), "seeds": len(part), "steps": part.best_step.mean(),
                          **{f"validation@{at}": part[f"validation.recall@{at}"].mean() for at in AT},
                          **{f"test@{at}": part[f"test.recall@{at}"].mean() for at in AT},
                          **gain, "cost": part.best_step.mean() / base.best_step.mean()})
    means = pd.DataFrame(means)
    means.round(5).to_csv(HERE / "losses.csv", index=False)
    print()
    print("| loss | " + " | ".join(f"@{at}" for at in AT) + " | steps to the best, times cross-entropy's |")
    print("|---|" + "---:|" * (len(AT) + 1))
    gains = []
    for name, part in means.groupby("loss", sort=False):
        if len(part) == len(data):
            gains.append((name, [part[f"gain@{at}"].mean() for at in AT], part.cost.mean()))
    for name, gain, cost in sorted(gains, key=lambda own: -np.mean(own[1])):
        print(f"| {name} | " + " | ".join(f"{x:+.1f}" for x in gain) + f" | {cost:.1f} |")

    figure, axes = plt.subplots(2, 5, figsize=(15, 6), sharex=False)
    for axis, (name, _, _) in zip(axes.flat, COMPARISONS):
        for column in columns:
            own = table[(table.comparison == name) & (table.data == column)]
            style = dict(color="black", lw=2, marker="o") if column == "pooled" else dict(alpha=0.6, marker=".")
            axis.plot(own.N, own.percent, label=column, **style)
            if column == "pooled":
                axis.fill_between(own.N, own.low, own.high, color="black", alpha=0.12, lw=0)
        axis.axhline(0, color="grey", lw=0.8)
        axis.set_xscale("log")
        axis.set_xticks(AT, [str(at) for at in AT])
        axis.minorticks_off()
        axis.set_title(name, fontsize=9)
        axis.set_ylim(*np.clip(axis.get_ylim(), -60, 60))
    axes[0, 0].set_ylabel("recall@N, relative, %")
    axes[1, 0].set_ylabel("recall@N, relative, %")
    axes[0, 0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(HERE / "pooled.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(sys.argv[1:])
