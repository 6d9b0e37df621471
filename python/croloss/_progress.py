"""How far the program has got, from the lines that it writes on standard error."""

import re
import sys
from typing import Any

#: "step 1200/500000  loss 1.2345 …": of a training.
STEP = re.compile(r"step (?P<done>\d+)/(?P<total>\d+)  (?P<rest>.*)")
#: "step 1200: recall % …": a validation, which is told besides.
VALIDATED = re.compile(r"step (?P<done>\d+): ")
#: "[3/12] NAME: done …": a point of a sweep, likewise.
POINT = re.compile(r"\[(?P<done>\d+)/(?P<total>\d+)\] ")
#: "reading log.csv: 40 % (…)": of everything else.
SHARE = re.compile(r"(?P<what>.+): (?P<done>\d+) % \(.*\)$")


class Progress:
    """A bar of tqdm where that is installed, in notebooks one of theirs; else the lines as they are."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bar: Any = None
        try:
            from tqdm.auto import tqdm

            self.tqdm: Any = tqdm
        except ImportError:
            self.tqdm = None

    def hear(self, line: str) -> None:
        """Shows a line."""
        if self.tqdm is None:
            print(line, file=sys.stderr)
        elif found := STEP.match(line):
            self._set(int(found["done"]), int(found["total"]), found["rest"])
        elif found := SHARE.match(line):
            self._set(int(found["done"]), 100, found["what"])
        else:
            if found := POINT.match(line):
                self._set(int(found["done"]), int(found["total"]))
            elif self.bar is not None and (found := VALIDATED.match(line)):
                self._set(int(found["done"]), self.bar.total)
            self.tqdm.write(line, file=sys.stderr)

    def close(self, done: bool) -> None:
        """Ends the bar, full if all is `done`: a training may stop early."""
        if self.bar is not None:
            if done:
                self._set(self.bar.total, self.bar.total)
            self.bar.close()

    def _set(self, done: int, total: int, about: str = "") -> None:
        if self.bar is None:
            self.bar = self.tqdm(total=total, desc=self.name)
        self.bar.total = total
        self.bar.n = done
        self.bar.set_postfix_str(about, refresh=False)
        self.bar.refresh()
