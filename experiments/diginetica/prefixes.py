"""Each click of the test sessions asked for by itself, as `recommend` is asked: beside what `evaluate` gives of all at once.

python prefixes.py test_sessions.txt.gz prefixes.jsonl    # 20 clicks are read, as by the sweep's models
croloss recommend RUN --input prefixes.jsonl --top 20 --out lists.jsonl
python prefixes.py lists.jsonl
"""

import gzip
import json
import sys

HISTORY = 20


def write(sessions, out):
    """A line for every click that is to be found; `user` says which it is and how many are left with it."""
    with gzip.open(sessions, "rt") as lines, open(out, "w") as prefixes:
        for line in lines:
            session = line.split()[-HISTORY - 1 :]
            for at in range(1, len(session)):
                user = f"{session[at]} {len(session) - at}"
                prefixes.write(json.dumps({"user": user, "history": session[:at]}) + "\n")


def score(lists):
    found = {}
    with open(lists) as lines:
        for line in map(json.loads, lines):
            target, left = line["user"].split()
            items = [item["item"] for item in line["items"]]
            # In order: of all clicks, and of those with as many left, 6 and more together.
            reciprocal = 1 / (items.index(target) + 1) if target in items else 0
            for group in ("all", min(int(left), 6)):
                found.setdefault(group, []).append((target in items, reciprocal))
    print("clicks left  recall@20  mrr@20  clicks")
    for group, own in sorted(found.items(), key=str):
        hits, reciprocals = zip(*own)
        print(f"{group:>11}  {100 * sum(hits) / len(own):9.2f}  {100 * sum(reciprocals) / len(own):6.2f}  {len(own):6}")


if len(sys.argv) == 3:
    write(*sys.argv[1:])
else:
    score(*sys.argv[1:])
