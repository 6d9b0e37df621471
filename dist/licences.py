"""The licences of all that is built into the program: one text of all crates, from their sources."""

import json
import re
import subprocess
from pathlib import Path

LICENCE = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def metadata():
    """What cargo knows of the crates for this machine."""
    host = re.search(r"^host: (.*)$", output("rustc", "-vV"), re.MULTILINE)[1]
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
    return json.loads(output(*command))


def built_in(known):
    """The crates that the program is made of, not those of tests and build scripts."""
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    root = known["resolve"]["root"]
    seen, ahead = {root}, [root]
    while ahead:
        for dependency in nodes[ahead.pop()]["deps"]:
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if normal and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                ahead.append(dependency["pkg"])
    crates = [own for own in known["packages"] if own["id"] in seen - {root}]
    return sorted(crates, key=lambda own: (own["name"], own["version"]))


def files(crate):
    """The files of a crate that say its licence."""
    folder = Path(crate["manifest_path"]).parent
    named = sorted(path for path in folder.iterdir() if LICENCE.match(path.name))
    inside = [sorted(path.iterdir()) if path.is_dir() else [path] for path in named]
    return [path for paths in inside for path in paths if path.is_file() and path.suffix != ".rs"]


def standard_library():
    """What stands beside the toolchain about the standard library, as plain text."""
    page = Path(output("rustc", "--print", "sysroot").strip(), "share/doc/rust/COPYRIGHT-library.html")
    if not page.is_file():
        return "MIT OR Apache-2.0; https://github.com/rust-lang/rust/blob/master/COPYRIGHT"
    return re.sub(r"<[^>]*>", "", page.read_text()).strip()


def text(known):
    """The whole list: a line a crate, then every text once, under the crates that carry it."""
    lines = ["croloss is built from these crates, and from Rust's standard library.", ""]
    texts = {}
    for crate in built_in(known):
        name = f"{crate['name']} {crate['version']}"
        own = files(crate)
        for path in own:
            texts.setdefault(path.read_text(errors="replace").strip(), []).append(name)
        by = "" if own else f" (no file of its own; by {', '.join(crate['authors']) or 'its authors'})"
        lines.append(f"{name}: {crate['license'] or 'see its text'}{by}, {crate['repository']}")
    texts[standard_library()] = ["Rust's standard library"]
    for licence, names in texts.items():
        lines += ["", "=" * 100, ", ".join(dict.fromkeys(names)), "=" * 100, "", licence]
    return "\n".join(lines) + "\n"
