"""What is known of users, as the codes that their tower reads: docs/features.md has the rules."""

import bisect
import math
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from ._error import Error

#: What is told of a user, by the names of fields: text, a number, true or false, a list of these, None.
Fields = Mapping[str, Any]


def codes(schema: Sequence[Mapping[str, Any]], told: Fields) -> list[int]:
    """The codes of all fields, one behind the other: each has one for what is missing, one for values
    that training has not met, and one a value, or a bucket of numbers."""
    names = [field["name"] for field in schema]
    for name in told:
        if name not in names:
            raise Error(f"there is no field {name!r} (there are: {', '.join(names)})", 2)
    first, all_codes = 1, []
    for field in schema:
        values, bounds = field.get("values", []), field.get("bounds", [])
        texts = _texts(field, told.get(field["name"]))
        if not texts:
            own = {0}
        elif field["kind"] == "number":
            own = {2 + bisect.bisect_right(bounds, _number(field["name"], texts[0]))}
        else:
            own = {2 + values.index(text) if text in values else 1 for text in texts}
        all_codes += [first + code for code in sorted(own)]
        first += 2 + (len(bounds) + 1 if field["kind"] == "number" else len(values))
    return all_codes


def _texts(field: Mapping[str, Any], value: object) -> list[str]:
    if hasattr(value, "tolist"):
        # A scalar or an array of numpy.
        value = value.tolist()
    if isinstance(value, str) or not isinstance(value, Sequence):
        return list(filter(None, [_text(field["name"], value)]))
    if field["kind"] != "categories":
        raise Error(f"the field {field['name']!r}: a list where one value is meant")
    return list(filter(None, (_text(field["name"], own) for own in value)))


def _text(name: str, value: object) -> str:
    """A value as the program writes it."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return str(value).lower()
        case Integral():
            return str(int(value))
        case Real():
            return re.sub(r"e\+?(-?)0*", r"e\1", repr(float(value)))
    raise Error(f"the field {name!r}: {value!r} is no text, number, or list of these")


def _number(name: str, text: str) -> float:
    try:
        # The program takes no 1_0 and no digits of other scripts.
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Error(f"the field {name!r}: {text!r} is no finite number")
    return number
