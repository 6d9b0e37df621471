"""Packs the program into an archive that runs on other machines, and says where it is.

pack.py BINARY LIBTORCH OUT: the program, the libtorch that it was built with, a folder for the archive.
"""

import io
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import licences

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

# What a person reads and copies: folders, with what is left out of them.
FOLDERS = {"configs": [], "datasets": [], "docs": [], "experiments": ["generated"], "benches": ["*.rs"]}
FILES = ["README.md", "CHANGELOG.md", "LICENSE", "dist/Dockerfile", "dist/kubernetes.yaml"]

# Under share/, where each shell looks for the completions of `croloss`.
COMPLETIONS = {
    "bash": "bash-completion/completions/croloss",
    "zsh": "zsh/site-functions/_croloss",
    "fish": "fish/vendor_completions.d/croloss.fish",
}


def stripped(binary):
    """The program without symbols, and without the folder of the libtorch it was built with."""
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, binary], check=True)
        return without_run_path(bytearray(Path(copy.name).read_bytes()))


def without_run_path(elf):
    """A 64-bit ELF file whose dynamic section names no folder to look for libraries in."""
    assert elf[:6] == b"\x7fELF\x02\x01", "not a program for 64-bit Linux"
    (headers,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    dynamic, rpath, runpath = 2, 15, 29
    for header in range(headers, headers + size * count, size):
        kind, _, start, _, _, length = struct.unpack_from("<IIQQQQ", elf, header)
        if kind == dynamic:
            entries = [elf[at : at + 16] for at in range(start, start + length, 16)]
            kept = [own for own in entries if struct.unpack("<Q", own[:8])[0] not in (rpath, runpath)]
            elf[start : start + length] = b"".join(kept).ljust(length, b"\0")
    return bytes(elf)


def version(libtorch):
    """The version of a libtorch without what it was built for: 2.13.0."""
    says = [libtorch / "version.py", libtorch / "build-version"]
    text = next((path.read_text() for path in says if path.is_file()), "")
    found = re.search(r"\d+\.\d+\.\d+", text)
    if not found:
        sys.exit(f"error: {libtorch} does not say its version: it has neither version.py nor build-version")
    return found[0]


def lay_share(binary, libtorch, share):
    """Lays manual pages and completions down in the folder `share`, as the program writes them."""

    def said(*arguments):
        variables = {**os.environ, "LD_LIBRARY_PATH": str(libtorch / "lib")}
        return subprocess.run([binary, *arguments], check=True, stdout=subprocess.PIPE, env=variables).stdout

    said("man", share / "man" / "man1")
    for shell, name in COMPLETIONS.items():
        path = share / name
        path.parent.mkdir(parents=True)
        path.write_bytes(said("completions", shell))


def main(binary, libtorch, out):
    known = licences.metadata()
    root = next(own for own in known["packages"] if own["id"] == known["resolve"]["root"])
    built_for = version(libtorch)
    name = f"croloss-{root['version']}-{platform.machine()}-linux-libtorch-{built_for}"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        # Whole or not at all.
        staged = Path(folder, name)
        with tarfile.open(staged, "w:gz", compresslevel=6) as archive:

            def add(path, content, mode=0o644):
                entry = tarfile.TarInfo(f"{name}/{path}")
                entry.size, entry.mode = len(content), mode
                entry.mtime = int(Path(binary).stat().st_mtime)
                archive.addfile(entry, io.BytesIO(content))

            add("croloss", (HERE / "croloss").read_bytes(), 0o755)
            add("libexec/croloss", stripped(binary), 0o755)
            add("libexec/libtorch-version", f"{built_for}\n".encode())
            add("LICENCES.txt", licences.text(known).encode())
            for path in FILES:
                if (ROOT / path).is_file():
                    add(path, (ROOT / path).read_bytes())
            for own, left_out in FOLDERS.items():
                shutil.copytree(ROOT / own, Path(folder, own), ignore=shutil.ignore_patterns(*left_out))
            lay_share(binary, libtorch, Path(folder, "share"))
            for own in [*FOLDERS, "share"]:
                for path in sorted(path for path in Path(folder, own).rglob("*") if path.is_file()):
                    add(path.relative_to(folder), path.read_bytes())
        archive = out / f"{name}.tar.gz"
        staged.replace(archive)
    print(archive)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
