"""TOML, read and written: Python reads it from 3.11 on, and writes none."""

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from ._error import Error

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(path: Path) -> dict[str, Any]:
    """What stands in a file."""
    return tomllib.loads(path.read_text("utf-8"))


def inline(value: object, key: str) -> str:
    """The value of `key`, as it stands behind `=`, on one line."""
    match value:
        case str() | os.PathLike():
            # A string of JSON is one of TOML, but for this character.
            return json.dumps(os.fspath(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return str(value).lower()
        case Integral():
            return str(int(value))
        case Real() if math.isfinite(value):
            return repr(float(value))
        case Mapping():
            inner = (f"{inline(str(name), key)} = {inline(own, f'{key}.{name}')}" for name, own in value.items())
            return f"{{ {', '.join(inner)} }}"
        case Sequence():
            return f"[{', '.join(inline(own, key) for own in value)}]"
    raise Error(f"{key}: {value!r} is no value of a configuration", 2)


def document(table: Mapping[str, object]) -> str:
    """A whole file."""
    return "".join(f"{inline(str(key), key)} = {inline(value, key)}\n" for key, value in table.items())
