"""The paper's Tables 2 to 4 and Figures 3 to 5 on each data set: paper.md and paper.svg, of the rows that pooled.py keeps.

python paper.py
"""

from math import isnan

from pooled import AT, BPR, CE, HERE, LAMBDA, SOFTPLUS, TRIPLET, cro, data_sets, loss, plt, rows_of, table

KERNELS = ["sigmoid", "hinge", "exponential", "softplus"]
ALPHAS = [0.6, 0.8, 1.0, 1.2]
OF_FIGURE_4 = [round(0.2 * fifth, 1) for fifth in range(11)]
TABLE_2 = {"cross-entropy": CE, "triplet": TRIPLET, "BPR": BPR, "CRO, softplus, α = 1": SOFTPLUS}
TABLE_2 |= {"CRO-Lambda, sigmoid and softplus, α = 1": LAMBDA}
TABLE_3 = {kernel: [cro(kernel, alpha) for alpha in ALPHAS] for kernel in KERNELS}
TABLE_3 |= {"Lambda, sigmoid and softplus": [loss("cro-lambda", "softplus", alpha, "sigmoid") for alpha in ALPHAS]}
TABLE_4 = {
    f"{rank_kernel} and {kernel}": loss("cro-lambda", kernel, 1.0, rank_kernel)
    for rank_kernel in ("sigmoid", "unit-step")
    for kernel in ("exponential", "hinge", "softplus")
}


def cells(rows, of, at):
    """The mean over seeds in percent, and ± their standard deviation."""
    own = 100 * rows.loc[[of], f"test.recall@{at}"]
    return own.mean(), own.std()


def columns(head, lines):
    """A Markdown table of (mean, deviation), the best of each column bold."""
    best = [max(line[1][column][0] for line in lines) for column in range(len(head) - 1)]
    bodies = []
    for name, values in lines:
        # Of one seed there is no deviation.
        texts = [f"{mean:.2f}" if isnan(own) else f"{mean:.2f} ± {own:.2f}" for mean, own in values]
        bodies.append([name, *(f"**{text}**" if v[0] == b else text for text, v, b in zip(texts, values, best))])
    return table(head, bodies)


def tables(data, rows):
    seeds = rows.groupby("loss").size()
    counts = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    yield from ["", f"## {data}", "", f"Seeds a setting: {counts}.", ""]
    by_n = [f"@{at}" for at in AT]
    yield from columns(["Table 2", *by_n], [(k, [cells(rows, of, at) for at in AT]) for k, of in TABLE_2.items()])
    for at in AT:
        yield ""
        head = [f"Table 3, @{at}", *(f"α = {alpha:g}" for alpha in ALPHAS)]
        yield from columns(head, [(k, [cells(rows, of, at) for of in line]) for k, line in TABLE_3.items()])
    yield ""
    yield from columns(["Table 4", *by_n], [(k, [cells(rows, of, at) for at in AT]) for k, of in TABLE_4.items()])


def over(rows, first, second, at):
    """Percent of `first` over the mean of `second`, the mean over seeds and its standard error."""
    base = sum(rows.loc[[of], f"test.recall@{at}"].mean() for of in second) / len(second)
    own = 100 * (rows.loc[[first], f"test.recall@{at}"] / base - 1)
    return own.mean(), own.sem()


def draw(of_data):
    figure, axes = plt.subplots(3, len(of_data), figsize=(3.4 * len(of_data), 8.4), sharey="row", squeeze=False)

    def line(axis, x, points, label):
        mean, error = zip(*points)
        axis.errorbar(range(len(x)), mean, error, label=label, marker=".", lw=1.2, capsize=2)
        axis.set_xticks(range(len(x)), [f"{value:g}" for value in x])
        axis.axhline(0, color="grey", lw=0.8)

    for (data, rows), column in zip(of_data.items(), axes.T):
        kernels = [cro(kernel, 1.0) for kernel in KERNELS]
        for kernel, of in zip(KERNELS, kernels):
            line(column[0], AT, [over(rows, of, kernels, at) for at in AT], kernel)
        for at in AT:
            of_alpha = [over(rows, cro("sigmoid", alpha), [cro("sigmoid", 1.0)], at) for alpha in OF_FIGURE_4]
            line(column[1], OF_FIGURE_4, of_alpha, f"recall@{at}")
        for kernel in ("hinge", "softplus"):
            gains = [over(rows, cro(kernel, 1.0), [cro(kernel, 0.0)], at) for at in AT]
            line(column[2], AT, gains, kernel)
        column[0].set_title(data)
        for axis, name in zip(column, ("N", "α", "N")):
            axis.set_xlabel(name)
        column[1].tick_params(axis="x", labelsize=7)
    says = ["Figure 3: over the kernels' mean, %", "Figure 4: sigmoid, over α = 1, %"]
    for axis, text in zip(axes[:, 0], [*says, "Figure 5: α = 1 over α = 0, %"]):
        axis.set_ylabel(text)
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(HERE / "paper.svg", metadata={"Date": None})


def main():
    of_data = {data: rows_of(data).set_index("loss") for data in data_sets()}
    lines = ["# Tables 2 to 4 and Figures 3 to 5 of the CROLoss paper, on five logs", ""]
    lines += [
        "Made by `paper.py`. Test recall in percent, mean ± standard deviation over seeds (without it: one seed), the best of each column bold;"
    ]
    lines += ["in the figures ± the standard error of that mean. [How it was made](README.md).", ""]
    lines += ["![Figures 3, 4 and 5 on each data set](paper.svg)"]
    for data, rows in of_data.items():
        lines += tables(data, rows)
    (HERE / "paper.md").write_text("\n".join(lines) + "\n")
    draw(of_data)


if __name__ == "__main__":
    main()
