"""Packs the program and its Python module into a wheel, and says where it is.

wheel.py BINARY LIBTORCH OUT: the program, the libtorch that it was built with, a folder for the wheel. For a
Python that has maturin and wheel.

maturin says what the wheel is, by python/pyproject.toml and Cargo.toml. A wheel that it builds itself has the
program among the scripts, where the loader looks for libtorch before anything can say that there is none. So
the program goes into the module, whose `croloss` looks first.
"""

import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import licences
import pack

ROOT = Path(__file__).resolve().parent.parent


def tool(module, *arguments, **options):
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=sys.stderr, **options)


def describe(info, built_for):
    """Puts the machines that the wheel is for, and the command that it brings, into its description."""
    needs = re.findall(r"^Requires-Dist: torch==(.*)$", (info / "METADATA").read_text(), re.MULTILINE)
    if needs != [built_for]:
        sys.exit(f"error: python/pyproject.toml asks for torch {needs}, and the program is built for {built_for}")
    # pip refuses a machine whose C library is older than this one.
    here = f"manylinux_{platform.libc_ver()[1].replace('.', '_')}_{platform.machine()}"
    about = (info / "WHEEL").read_text()
    (info / "WHEEL").write_text(re.sub(r"^Tag: .*$", f"Tag: py3-none-{here}", about, flags=re.MULTILINE))
    (info / "entry_points.txt").write_text("[console_scripts]\ncroloss = croloss.__main__:main\n")


def fill(module, binary, built_for):
    """Lays the module down, with the program and what belongs to it."""
    shutil.copytree(ROOT / "python" / "croloss", module, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "configs", module / "configs")
    (module / "LICENCES.txt").write_text(licences.text(licences.metadata()))
    (module / "libexec").mkdir()
    (module / "libexec" / "libtorch-version").write_text(f"{built_for}\n")
    program = module / "libexec" / "croloss"
    program.write_bytes(pack.stripped(binary))
    program.chmod(0o755)


def main(binary, libtorch, out):
    built_for = pack.version(libtorch)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        tree, packed = Path(folder, "tree"), Path(folder, "packed")
        packed.mkdir()
        tool("maturin", "pep517", "write-dist-info", "--metadata-directory", tree, cwd=ROOT / "python")
        (info,) = tree.iterdir()
        describe(info, built_for)
        fill(tree / "croloss", binary, built_for)
        # What lies here goes beside the folder `bin` of an environment.
        pack.lay_share(binary, libtorch, tree / info.with_suffix(".data").name / "data" / "share")
        tool("wheel", "pack", "--dest-dir", packed, tree)
        # Whole or not at all.
        (wheel,) = packed.iterdir()
        print(wheel.replace(out / wheel.name))


if __name__ == "__main__":
    main(*(Path(given).resolve() for given in sys.argv[1:]))
