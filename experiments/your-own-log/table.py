"""The table of README.md, from the runs and kept baselines of run.sh:

    python3 experiments/your-own-log/table.py runs/your-own-log 1 2 3
"""
import json
import pathlib
import statistics
import sys

runs, seeds = pathlib.Path(sys.argv[1]), sys.argv[2:]
USERS = [("beauty", "Beauty"), ("sports", "Sports"), ("retail", "Online Retail")]
SESSIONS = [("invoices", "its invoices"), ("diginetica", "Diginetica")]


def cell(values):
    mean = f"{100 * statistics.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.2f}"


def row(log, name, cells, seconds):
    print("| " + " | ".join([log, name, *cells, f"{seconds:.0f}"]) + " |")


def of_run(data, file, part):
    for seed in seeds:
        path = runs / f"{data}-{seed}" / file
        if path.exists():
            yield json.loads(path.read_text())[part]


def table(data, log, title, at, seen, protocol):
    kept = json.loads(pathlib.Path(f"data/{data}/baselines.json").read_text())["results"]
    asked = lambda own: (own["asked"]["split"], own["asked"]["evaluation"]["seen"]) == ("test", seen)
    for own in filter(asked, kept):
        metrics = dict(own["metrics"]) if isinstance(own["metrics"], list) else own["metrics"]
        cells = [cell([metrics[f"recall@{n}"]]) for n in at]
        row(log, own["recipe"]["name"], cells, own["fit_seconds"])
    file, part = ("result.json", "test") if seen == "keep" else ("new-items.json", "metrics")
    tested = list(of_run(data, file, part))
    if tested:
        tested = [dict(own) if isinstance(own, list) else own for own in tested]
        cells = [cell([own[f"recall@{n}"] for own in tested]) for n in at]
        seconds = statistics.mean(of_run(data, "result.json", "seconds"))
        row(log, f"**{title}**", cells, seconds)


def head(at):
    print("\n| log | ranked by | " + " | ".join(f"@{n}" for n in at) + " | seconds |")
    print("|---|---|" + "---:|" * (len(at) + 1))


for seen in ("keep", "exclude"):
    print(f"\nseen = {seen}")
    head((20, 100, 500))
    for data, log in USERS:
        table(data, log, "default.toml", (20, 100, 500), seen, "holdout")
print("\nsessions")
head((10, 20, 100))
for data, log in SESSIONS:
    table(data, log, "session.toml", (10, 20, 100), "keep", "positions")
