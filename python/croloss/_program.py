"""Calls the program."""

import contextlib
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable

from ._error import Error
from ._libtorch import PROGRAM, environment
from ._progress import Progress

#: How an error begins.
SAYS = "croloss: "


def call(*arguments: object, progress: bool = True) -> str:
    """Runs `croloss ARGUMENTS` here, as from a shell, and returns what it prints.

    With `progress` a bar, or lines, on standard error show how far it has got. An interrupt ends a
    training and a sweep behind a checkpoint, which `resume` and a second call go on from.

    Raises:
        Error: with the program's own sentence.
    """
    words = [str(argument) for argument in arguments]
    shown = Progress(" ".join(["croloss", *words[:1]])) if progress else None
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        with subprocess.Popen(
            [PROGRAM, *words],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            # Of its own, so that an interrupt reaches it through this process and once.
            start_new_session=True,
        ) as process:
            try:
                last, interrupted = _listen(process, shown.hear if shown else lambda line: None)
            except BaseException:
                process.terminate()
                raise
            finally:
                status = process.wait()
                if shown:
                    shown.close(done=status == 0)
        if interrupted:
            raise KeyboardInterrupt(_sentence(last, status))
        if status != 0:
            raise Error(_sentence(last, status), status)
        said.seek(0)
        return said.read()


def _listen(process: subprocess.Popen[str], hear: Callable[[str], None]) -> tuple[list[str], bool]:
    """The last lines of standard error, to its end, and whether there was an interrupt meanwhile."""
    assert process.stderr is not None
    last: deque[str] = deque(maxlen=20)
    interrupted = False
    while True:
        try:
            while line := process.stderr.readline():
                last.append(line.rstrip("\n"))
                if not line.startswith(SAYS):
                    hear(last[-1])
            return list(last), interrupted
        except KeyboardInterrupt:
            interrupted = True
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)


def _sentence(last: list[str], status: int) -> str:
    for at, line in reversed(list(enumerate(last))):
        if line.startswith(SAYS):
            return "\n".join(last[at:]).removeprefix(SAYS)
    if status < 0:
        return f"the program was ended by {signal.Signals(-status).name}"
    # A call that does not parse: what clap says of it.
    return "\n".join(last).strip()
