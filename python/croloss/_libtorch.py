"""Where the program and its libtorch are. The loader asks for libraries before a program runs, so the
program cannot look for them itself."""

import importlib.util
import os
import re
import sys
from pathlib import Path

from ._error import Error

PROGRAM = Path(__file__).parent / "libexec" / "croloss"


def environment() -> dict[str, str]:
    """The variables under which the program finds libtorch: that of LIBTORCH where it is set, else the
    one of this Python's torch, which is not imported."""
    wanted = PROGRAM.with_name("libtorch-version").read_text().strip()
    named = os.environ.get("LIBTORCH")
    folder = Path(named) if named else _of_this_python(wanted)
    lib = folder / "lib"
    if not (lib / "libtorch_cpu.so").exists():
        raise Error(f"LIBTORCH={folder} has no lib/libtorch_cpu.so")
    found = _version(folder)
    if found != wanted:
        raise Error(f"libtorch {wanted} is needed, and the one in {folder} is {found}: {_install(wanted)}")
    before = os.environ.get("LD_LIBRARY_PATH")
    return {**os.environ, "LD_LIBRARY_PATH": f"{lib}:{before}" if before else str(lib)}


def _of_this_python(wanted: str) -> Path:
    torch = importlib.util.find_spec("torch")
    for folder in (torch.submodule_search_locations or []) if torch else []:
        # A folder of that name where Python was started is none.
        if Path(folder, "lib", "libtorch_cpu.so").exists():
            return Path(folder)
    raise Error(f"there is no libtorch: {_install(wanted)}, or set LIBTORCH to a folder of libtorch {wanted}")


def _install(wanted: str) -> str:
    return f"install torch=={wanted} for {sys.executable} ({sys.executable} -m pip install torch=={wanted})"


def _version(folder: Path) -> str:
    """Without what it was built for: 2.13.0, from what its wheel and its archive say of themselves."""
    for name in ["version.py", "build-version"]:
        if (folder / name).is_file():
            found = re.search(r"\d+\.\d+\.\d+", (folder / name).read_text())
            if found:
                return found[0]
    return "of an unknown version"
