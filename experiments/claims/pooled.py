"""What the sweeps of claims.toml say together: each comparison on each data set, and pooled over them.

Needs pandas, pyarrow, scipy, statsmodels and matplotlib.

    python pooled.py runs/claims-A runs/claims-B ...

takes of each sweep what the pooling needs: results-A.csv (a row a run; rows that stand there are kept but for runs of the
same loss and seed) and, of a folder that holds all losses that are compared, effects-A.csv (of all their runs) and
budgets-A.csv (their validation by steps). Then it pools all that stand beside it: pooled.csv, losses.csv, pooled.svg and
tables.md, whose first table is that of docs/results.md.

An effect is a relative difference of recall@N between two losses, in percent of the second, or what such a difference
changes from N = 20 to N = 500. Its variance on a data set has two parts: the test users as draws (of each user's
influence, averaged over seeds) and the seeds (of each seed's mean). The interval is Student's, degrees of freedom after
Satterthwaite. Decided is what has 0 outside its interval and the same sign with every seed. Over data sets it is a
random-effects mean (Paule and Mandel) with the interval of Hartung, Knapp, Sidik and Jonkman, never narrower than
without their factor.
"""

import json
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from scipy.stats import t
from statsmodels.stats.meta_analysis import combine_effects

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# The same figures give the same files.
plt.rcParams["svg.hashsalt"] = "claims"

# Of each data set alone its own interval is taken, not statsmodels'.
warnings.filterwarnings("ignore", message="`use_t=True` requires")

AT = [20, 50, 100, 200, 500]
# The last is that of the runs themselves.
BUDGETS = [1000, 2000, 4000, 20000]
HERE = Path(__file__).parent

# What a loss is known by.
KEYS = ["loss.kind", "loss.kernel", "loss.alpha", "loss.rank_kernel"]


def loss(kind, kernel=None, alpha=None, rank_kernel=None):
    return (kind, kernel, alpha, rank_kernel)


def loss_of(row):
    """That of a row of results.csv."""
    return loss(*[None if pd.isna(row[key]) else row[key] for key in KEYS])


def cro(kernel, alpha):
    return loss("cro", kernel, alpha)


CE, TRIPLET, BPR = loss("cross-entropy"), loss("triplet"), loss("bpr")
EXPONENTIAL, HINGE, SIGMOID, SOFTPLUS = (cro(kernel, 1.0) for kernel in ("exponential", "hinge", "sigmoid", "softplus"))
LAMBDA = loss("cro-lambda", "softplus", 1.0, "sigmoid")
COMPARED = [
    CE,
    TRIPLET,
    BPR,
    EXPONENTIAL,
    HINGE,
    SIGMOID,
    SOFTPLUS,
    LAMBDA,
    loss("cro-lambda", "softplus", 1.0, "unit-step"),
    cro("hinge", 0.0),
    cro("hinge", 0.6),
    cro("sigmoid", 0.6),
    cro("sigmoid", 1.2),
    cro("softplus", 0.0),
]

# The hinge at α = 0 and cross-entropy by other names: among the best of anything they have no place of their own.
TWINS = [TRIPLET, EXPONENTIAL]

# First against the mean of the second ones.
COMPARISONS = {
    "CRO softplus α=1 to cross-entropy": (SOFTPLUS, [CE]),
    "Lambda to cross-entropy": (LAMBDA, [CE]),
    "Lambda to CRO softplus α=1": (LAMBDA, [SOFTPLUS]),
    "triplet to cross-entropy": (TRIPLET, [CE]),
    "BPR to cross-entropy": (BPR, [CE]),
    "triplet to BPR": (TRIPLET, [BPR]),
    "CRO sigmoid, α=0.6 to 1.2": (cro("sigmoid", 0.6), [cro("sigmoid", 1.2)]),
    "CRO hinge, α=1 to 0": (HINGE, [cro("hinge", 0.0)]),
    "CRO softplus, α=1 to 0": (SOFTPLUS, [cro("softplus", 0.0)]),
    "CRO α=1, exponential to the other kernels": (EXPONENTIAL, [HINGE, SIGMOID, SOFTPLUS]),
}
CHANGE = "20 to 500"

# Of the paper's claims each the comparison, the N and the sign that it asks for.
CLAIMS = [
    ("cross-entropy finds more than BPR (Table 2)", "BPR to cross-entropy", 50, -1),
    ("BPR finds more than triplet (Table 2)", "triplet to BPR", 50, -1),
    ("CRO finds more than cross-entropy (Table 2)", "CRO softplus α=1 to cross-entropy", 50, 1),
    ("Lambda finds at least as much as CRO (Table 2)", "Lambda to CRO softplus α=1", 50, 1),
    ("the same at N = 500", "Lambda to CRO softplus α=1", 500, 1),
    ("the best α falls as N grows (Figure 4): α = 0.6 gains on 1.2", "CRO sigmoid, α=0.6 to 1.2", CHANGE, 1),
    (
        "the exponential kernel loses ground as N grows (Figure 3)",
        "CRO α=1, exponential to the other kernels",
        CHANGE,
        -1,
    ),
    ("α = 1 in place of 0 lifts the hinge (Figure 5), N = 20", "CRO hinge, α=1 to 0", 20, 1),
    ("the same of the hinge, N = 500", "CRO hinge, α=1 to 0", 500, 1),
    ("α = 1 in place of 0 lifts softplus (Figure 5), N = 20", "CRO softplus, α=1 to 0", 20, 1),
    ("the same of softplus, N = 500", "CRO softplus, α=1 to 0", 500, 1),
    ("that lift is largest at small N: the hinge", "CRO hinge, α=1 to 0", CHANGE, -1),
    ("that lift is largest at small N: softplus", "CRO softplus, α=1 to 0", CHANGE, -1),
]


def named(of):
    kind, kernel, alpha, rank_kernel = of
    kernels = " + ".join(part for part in (rank_kernel, kernel) if part)
    return " ".join(part for part in (kind, kernels, "" if alpha is None else f"α={alpha:g}") if part)


def run_of(folder, row):
    """The folder of the run that a row of the sweep in `folder` is of."""
    return next(folder.glob(f"*-{row.id}"))


def rows_of(data):
    """The rows that are kept of a data set, each with its loss."""
    results = pd.read_csv(HERE / f"results-{data}.csv")
    results["loss"] = [loss_of(row) for _, row in results.iterrows()]
    return results


def data_sets():
    """Those of which rows are kept, from the smallest catalogue to the largest: what a reader compares with his own."""
    kept = [path.stem.removeprefix("results-") for path in HERE.glob("results-*.csv")]
    return sorted(kept, key=lambda data: rows_of(data)["items"].max())


def read(folder):
    """The table of results, a row a run that is done, and of each loss {seed: users' recall, [N, users]}."""
    results = pd.read_csv(folder / "results.csv")
    results = results[results.status == "done"].copy()
    found = {}
    for index, row in results.iterrows():
        run = run_of(folder, row)
        ranks = pd.read_parquet(run / "ranks.parquet", columns=["user", "rank"])
        by_user = pd.DataFrame({at: ranks["rank"] <= at for at in AT}).groupby(ranks.user, sort=True).mean()
        found.setdefault(loss_of(row), {})[row.seed] = by_user.to_numpy().T
        lists = json.loads((run / "result.json").read_text())["test_lists"]
        for at in AT:
            for name in ("coverage", "popularity"):
                results.loc[index, f"test.{name}@{at}"] = lists[str(at)][name]
        results.loc[index, "items"] = len(pd.read_parquet(run / "items.parquet"))
    return results, found


def effect(found, first, others, at):
    """Of one N: percent, each seed's, and the influence of each user with each seed, [seeds, users]."""
    seeds = sorted(set.intersection(*(set(found[of]) for of in [first, *others])))
    n = AT.index(at)
    own = np.stack([found[first][seed][n] for seed in seeds])
    other = np.mean([[found[of][seed][n] for seed in seeds] for of in others], axis=0)
    ratio = own.mean() / other.mean()
    each = 100 * (own.mean(axis=1) / other.mean(axis=1) - 1)
    return 100 * (ratio - 1), each, 100 * (own - ratio * other) / other.mean()


def effects_of(found):
    rows = []
    for name, (first, others) in COMPARISONS.items():
        of_n = {at: effect(found, first, others, at) for at in AT}
        of_n[CHANGE] = tuple(large - small for small, large in zip(of_n[AT[0]], of_n[AT[-1]]))
        for at, (percent, each, influence) in of_n.items():
            seeds, users = influence.shape
            rows.append(
                {
                    "comparison": name,
                    "N": at,
                    "percent": percent,
                    "variance_of_users": influence.mean(axis=0).var(ddof=1) / users,
                    "variance_of_seeds": influence.mean(axis=1).var(ddof=1) / seeds,
                    "seeds": seeds,
                    "seeds_agree": bool((np.sign(each) == np.sign(percent)).all()),
                    "users": users,
                }
            )
    return pd.DataFrame(rows)


def budgets_of(folder, results):
    """Validation recall where a run of so many steps would have had its best, a row a run of the losses compared."""
    rows = []
    for _, row in results.iterrows():
        if loss_of(row) not in COMPARED:
            continue
        run = run_of(folder, row)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        curve = [line for line in lines if line["part"] == "validation"]
        for budget in BUDGETS:
            best = max((line for line in curve if line["step"] <= budget), key=lambda line: line["recall@100"])
            rows.append(
                {
                    "loss": named(loss_of(row)),
                    "seed": row.seed,
                    "steps": budget,
                    **{f"recall@{at}": best[f"recall@{at}"] for at in AT},
                }
            )
    return pd.DataFrame(rows)


def take(folder):
    """Writes what the pooling needs of a sweep, so that it can do without the ranks of its runs."""
    data = folder.name.removeprefix("claims-")
    results, found = read(folder)
    if set(COMPARED) <= set(found):
        effects_of(found).round(6).to_csv(HERE / f"effects-{data}.csv", index=False)
        budgets_of(folder, results).round(6).to_csv(HERE / f"budgets-{data}.csv", index=False)
    kept = HERE / f"results-{data}.csv"
    if kept.exists():
        results = pd.concat([results, pd.read_csv(kept)]).drop_duplicates([*KEYS, "seed"])
    results.to_csv(kept, index=False)


def intervals(effects):
    """Half of the 95 % interval, and the least effect that is seen four times of five."""
    error = (effects.variance_of_users + effects.variance_of_seeds) ** 0.5
    freedom = error**4 / (
        effects.variance_of_users**2 / (effects.users - 1)
        + effects.variance_of_seeds**2 / (effects.seeds - 1).clip(lower=1)
    )
    effects["half"] = t.ppf(0.975, freedom) * error
    effects["seen"] = effects.half + t.ppf(0.8, freedom) * error
    effects["decided"] = (effects.percent.abs() > effects.half) & effects.seeds_agree


def pool(effects):
    """A row a comparison and N: the random-effects mean over data sets."""
    rows = []
    for (name, at), own in effects.groupby(["comparison", "N"], sort=False):
        pooled = combine_effects(
            own.percent.to_numpy(),
            (own.variance_of_users + own.variance_of_seeds).to_numpy(),
            method_re="iterated",
            use_t=True,
        )
        frame = pooled.summary_frame()
        # Never narrower than the effects' own variances say: few of them agree by chance.
        error = frame.loc[["random effect", "random effect wls"], "sd_eff"].max()
        freedom = len(own) - 1
        half = t.ppf(0.975, freedom) * error
        percent = frame.loc["random effect", "eff"]
        rows.append(
            {
                "comparison": name,
                "N": at,
                "data": "pooled",
                "percent": percent,
                "half": half,
                "seen": half + t.ppf(0.8, freedom) * error,
                "decided": abs(percent) > half,
                "i2": 100 * max(0.0, pooled.i2),
            }
        )
    return pd.DataFrame(rows)


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def signed(x):
    return f"{x:+.1f}".replace("-", "−")


def claims(every, data):
    """Each claim on each data set, and what that comes to."""
    for statement, comparison, at, sign in CLAIMS:
        own = every[(every.comparison == comparison) & (every.N == at)].set_index("data")
        cells, counts = [], {"holds": 0, "does not hold": 0}
        for d in [*data, "pooled"]:
            e = own.loc[d]
            word = "open" if not e.decided else "holds" if np.sign(e.percent) == sign else "does not hold"
            if d != "pooled" and e.decided:
                counts[word] += 1
            value = f"{signed(e.percent)} ± {e.half:.1f}"
            cells.append(f"{value}; {e.seen:.1f}" if word == "open" else f"**{value}**")
            pooled = word
        words = [f"{word} on {n} of {len(data)}" for word, n in counts.items() if n]
        here = [*words, "open on all"][0] if len(words) < 2 else ", ".join(words)
        yield [statement, f"{comparison}, N = {at}", "> 0" if sign > 0 else "< 0", *cells, f"{here}; pooled: {pooled}"]


def choices(data):
    """Which loss for which N: by validation, never by the test, the mean of the seeds that all losses have."""
    for d in data:
        results = rows_of(d)
        seeds = set.intersection(*(set(part.seed) for _, part in results.groupby("loss")))
        means = results[results.seed.isin(seeds)].groupby("loss").mean(numeric_only=True)
        for at in AT:
            order = means.sort_values(f"validation.recall@{at}", ascending=False)
            best, base = 100 * order[f"test.recall@{at}"].iloc[0], 100 * means[f"test.recall@{at}"][[CE]].iloc[0]
            names = [named(of) for of in order.index[:3]]
            counts = f"{len(order)}, {len(seeds)}"
            yield [d, str(at), counts, names[0], f"{best:.2f}", f"{base:.2f}", ", ".join(names[1:])]


def means_of(data):
    """A row a data set and loss, means over its seeds; gains over the mean of all of cross-entropy's."""
    rows = []
    for d in data:
        results = rows_of(d)
        base = results[results.loss == CE].mean(numeric_only=True)
        for of, part in results.groupby("loss", sort=False):
            mean = part.mean(numeric_only=True)
            row = {"data": d, "loss": named(of), "seeds": len(part)}
            for side in ("validation", "test"):
                row |= {f"{side}@{at}": mean[f"{side}.recall@{at}"] for at in AT}
                row |= {
                    f"{side}_gain@{at}": 100 * (mean[f"{side}.recall@{at}"] / base[f"{side}.recall@{at}"] - 1)
                    for at in AT
                }
            row |= {f"coverage@{at}": mean[f"test.coverage@{at}"] for at in AT}
            row |= {f"popularity@{at}": mean[f"test.popularity@{at}"] / base[f"test.popularity@{at}"] for at in AT}
            rows.append({**row, "steps": mean.best_step, "cost": mean.best_step / base.best_step})
    return pd.DataFrame(rows)


def best_of_all(means):
    """The three best of all settings for each N, by the mean gain in validation over data sets."""
    own = means[~means.loss.isin([named(of) for of in TWINS])]
    own = own.drop(columns="data").groupby("loss").mean()
    for at in AT:
        best = own.nlargest(3, f"validation_gain@{at}")
        yield [
            str(at),
            *(
                f"{name}: {signed(row[f'validation_gain@{at}'])}, test {signed(row[f'test_gain@{at}'])}, "
                f"coverage@100 {100 * row['coverage@100']:.0f} %"
                for name, row in best.iterrows()
            ),
        ]


def gains(means):
    """The mean over data sets of the losses that are compared, the best in validation first."""
    own = means[means.loss.isin([named(of) for of in COMPARED])]
    own = own.drop(columns="data").groupby("loss").mean()
    order = own[[f"validation_gain@{at}" for at in AT]].mean(axis=1).sort_values(ascending=False).index
    for name, row in own.loc[order].iterrows():
        yield [
            name,
            *(signed(row[f"test_gain@{at}"]) for at in AT),
            f"{100 * row['coverage@100']:.0f} %",
            f"{row['popularity@100']:.2f}",
            f"{row.cost:.1f}",
            f"{row.seeds:g}",
        ]


def by_data(means, data):
    """Test gain at N = 20, 100 and 500 on each data set."""
    for of in COMPARED:
        own = means[means.loss == named(of)].set_index("data")
        yield [named(of), *(" / ".join(signed(own.loc[d, f"test_gain@{at}"]) for at in (20, 100, 500)) for d in data)]


def by_budget(data):
    """Gain over cross-entropy of as many steps, in validation: the mean over data sets and seeds, by loss and steps."""
    own = []
    for d in data:
        mean = pd.read_csv(HERE / f"budgets-{d}.csv").groupby(["loss", "steps"])[[f"recall@{at}" for at in AT]].mean()
        own.append(100 * (mean / mean.loc[named(CE)].reindex(mean.index, level="steps") - 1))
    return sum(own) / len(own)


def best_by_budget(gain):
    """The three best losses for each N and budget."""
    gain = gain.drop(index=[named(of) for of in TWINS], level="loss")
    for at in AT:
        cells = []
        for steps in BUDGETS:
            best = gain.xs(steps, level="steps")[f"recall@{at}"].nlargest(3)
            cells.append(", ".join(f"{name} {signed(percent)}" for name, percent in best.items()))
        yield [str(at), *cells]


def draw(every, columns):
    figure, axes = plt.subplots(2, 5, figsize=(15, 6))
    for axis, name in zip(axes.flat, COMPARISONS):
        for column in columns:
            own = every[(every.comparison == name) & (every.data == column) & (every.N != CHANGE)]
            style = {"color": "black", "lw": 2, "marker": "o"} if column == "pooled" else {"alpha": 0.6, "marker": "."}
            axis.plot(own.N.astype(int), own.percent, label=column, **style)
            if column == "pooled":
                low, high = own.percent - own.half, own.percent + own.half
                axis.fill_between(own.N.astype(int), low, high, color="black", alpha=0.12, lw=0)
        axis.axhline(0, color="grey", lw=0.8)
        axis.set_xscale("log")
        axis.set_xticks(AT, [str(at) for at in AT])
        axis.minorticks_off()
        axis.set_title(name, fontsize=8)
        axis.set_ylim(*np.clip(axis.get_ylim(), -60, 60))
    axes[0, 0].set_ylabel("recall@N, relative, %")
    axes[1, 0].set_ylabel("recall@N, relative, %")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="lower center", ncol=len(columns), fontsize=9)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(HERE / "pooled.svg", metadata={"Date": None})


def main(folders):
    for folder in folders:
        take(Path(folder))
    data = data_sets()
    effects = {d: pd.read_csv(HERE / f"effects-{d}.csv") for d in data}
    each = pd.concat([effects[d].assign(data=d) for d in data], ignore_index=True)
    each["N"] = [at if at == CHANGE else int(at) for at in each.N]
    intervals(each)
    every = pd.concat([each, pool(each)], ignore_index=True)
    every.round(4).to_csv(HERE / "pooled.csv", index=False)
    means = means_of(data)
    means.round(5).to_csv(HERE / "losses.csv", index=False)

    columns = [*data, "pooled"]
    lines = ["# Tables of the claims", "", "Made by `pooled.py`; [what they mean](README.md).", "", "## Claims", ""]
    lines += table(["claim", "effect", "asks for", *columns, "here"], claims(every, data))
    lines += ["", "## Effects", ""]
    rows = []
    for (name, at), part in every.groupby(["comparison", "N"], sort=False):
        part = part.set_index("data")
        values = [f"{signed(e.percent)} ± {e.half:.1f}" for e in (part.loc[column] for column in columns)]
        cells = [f"**{value}**" if part.loc[column].decided else value for column, value in zip(columns, values)]
        rows.append([name, str(at), *cells, f"{part.loc['pooled'].seen:.1f}", f"{part.loc['pooled'].i2:.0f}"])
    lines += table(["comparison", "N", *columns, "seen", "I²"], rows)
    lines += ["", "## Choices", ""]
    lines += table(
        [
            "data",
            "N",
            "settings, seeds",
            "best in validation",
            "its test recall, %",
            "cross-entropy's",
            "second and third in validation",
        ],
        choices(data),
    )
    lines += ["", "## Best of all settings", ""]
    lines += table(["N", "first", "second", "third"], best_of_all(means))
    lines += ["", "## Gains", ""]
    lines += table(["loss", *(f"@{at}" for at in AT), "coverage@100", "popularity@100", "steps", "seeds"], gains(means))
    lines += ["", "## Gains by data set, N = 20 / 100 / 500", ""]
    lines += table(["loss", *data], by_data(means, data))
    gain, budgets = by_budget(data), [f"{steps:,} steps" for steps in BUDGETS]
    lines += ["", "## Gains by budget, N = 20 / 100 / 500", ""]
    cells = [
        [" / ".join(signed(gain.loc[(named(of), steps), f"recall@{at}"]) for at in (20, 100, 500)) for steps in BUDGETS]
        for of in COMPARED
    ]
    lines += table(["loss", *budgets], ([named(of), *own] for of, own in zip(COMPARED, cells)))
    lines += ["", "## Best by budget", ""]
    lines += table(["N", *budgets], best_by_budget(gain))
    (HERE / "tables.md").write_text("\n".join(lines) + "\n")
    draw(every, columns)


if __name__ == "__main__":
    main(sys.argv[1:])
