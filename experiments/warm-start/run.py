"""How soon a training reaches what yesterday's validation came to: from nothing, from yesterday's weights,
and from yesterday's weights and moments.

    python3 experiments/warm-start/run.py purchases.tsv.gz runs/warm-start

Called again it goes on with what is missing.
"""

import csv
import gzip
import json
import pathlib
import shutil
import subprocess
import sys
from datetime import datetime, timezone

CROLOSS = "target/release/croloss"
CONFIG = pathlib.Path(__file__).with_name("two-tower.toml")
METRIC = "recall@100"
DAY = 86_400
LAST = int(datetime(2011, 10, 31, tzinfo=timezone.utc).timestamp())


def prepare(out, name, rows, end):
    """The log before `end`; its last week tests, the week before validates."""
    data = out / name
    if not data.exists():
        log = out / f"{name}.csv"
        with log.open("w") as file:
            file.write("user,item,time\n")
            file.writelines(f"{r['cust']},{r['StockCode']},{r['ts']}\n" for r in rows if int(r["ts"]) < end)
        run("prepare", "--input", log, "--user", "user", "--item", "item", "--time", "time", "--split", "cut",
            "--validation-from", end - 14 * DAY, "--test-from", end - 7 * DAY, "--out", data)
    return data


def run(*words):
    subprocess.run([CROLOSS, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def train(out, name, data, seed, *more):
    """Its validations, and its result."""
    folder = out / f"{name}-{seed}"
    if not (folder / "result.json").exists():
        run("train", CONFIG, "--out", folder, "--force", "--set", f"data.path={data}", "--set", f"seed={seed}", *more)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    return [line for line in lines if line["part"] == "validation"], json.load((folder / "result.json").open())


def main():
    log, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    with gzip.open(log, "rt") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    yesterday = prepare(out, "yesterday", rows, LAST)
    for days in (7, 28):
        today = prepare(out, f"plus-{days}", rows, LAST + days * DAY)
        for seed in (1, 2, 3):
            own, _ = train(out, "yesterday", yesterday, seed, "--set", "train.keep_optimizer=true")
            moments = out / f"yesterday-{seed}"
            weights = out / f"weights-{seed}"
            if not weights.exists():
                shutil.copytree(moments, weights)
                (weights / "optimizer.safetensors").unlink()
            aim = max(line[METRIC] for line in own)
            print(f"{days} days later, seed {seed}: to reach {100 * aim:.2f}", flush=True)
            for name, more in (("nothing", []), ("weights", ["--warm-start", weights]), ("moments", ["--warm-start", moments])):
                found, result = train(out, f"{name}-{days}", today, seed, *more)
                reached = next((line["step"] for line in found if line[METRIC] >= aim), "never")
                best = max(found, key=lambda line: line[METRIC])
                print(f"  from {name}: step {reached}; best {100 * best[METRIC]:.2f} at step {best['step']}, "
                      f"test {100 * result['test'][METRIC]:.2f}", flush=True)


main()
