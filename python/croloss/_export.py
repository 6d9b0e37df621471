"""Exports: towers, item vectors, items."""

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _parquet
from ._error import Error
from ._fields import Fields, codes
from ._program import call

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Exports of this major version of their format are read.
FORMAT = "1"

#: Users whose vectors are made at once.
USERS = 2048

#: An item's id in the log.
Id = str | int
#: Of each user the items, oldest first.
Histories = Iterable[Iterable[Id]]


class Recommended(NamedTuple):
    """An item that is recommended."""

    #: Its id in the log.
    item: str
    score: float


class Export:
    """An export, which needs neither its run nor its dataset. Its files are held against their checksums
    when they are first read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises Error: where `path` is no export, or one of another version."""
        #: The folder.
        self.path = Path(path)
        manifest = self.path / "export.json"
        if not manifest.is_file():
            raise Error(f"{self.path} is not an export: make one with croloss export")
        #: What it says of itself: the dataset, the numbers of items and of dimensions.
        self.manifest: dict[str, Any] = json.loads(manifest.read_text("utf-8"))
        if str(self.manifest["format"]).split(".")[0] != FORMAT:
            raise Error(
                f"the export {self.path} has format {self.manifest['format']}, and format {FORMAT} is read here: "
                "export again"
            )

    def __repr__(self) -> str:
        return f"croloss.load_export({str(self.path)!r})"

    @cached_property
    def item_vectors(self) -> "npt.NDArray[np.float32]":
        """`[items, dim]`, float32, mapped from the file and not to be written to. Row i is that of
        `items[i]`; a score is its inner product with a user's vector."""
        import numpy as np

        vectors: npt.NDArray[np.float32] = np.load(self._file("item_vectors.npy"), mmap_mode="r")
        wanted = (self.manifest["items"], self.manifest["dim"])
        if vectors.shape != wanted or vectors.dtype != np.float32:
            raise Error(f"{self.path / 'item_vectors.npy'} has not the shape {wanted} of export.json: export again")
        return vectors

    @cached_property
    def items(self) -> list[str]:
        """The ids in the log, in the order of the rows of `item_vectors`.

        Raises:
            Error: without pyarrow.
        """
        items: list[str] = _parquet.read(self._file("items.parquet"), ["original"])["original"].to_pylist()
        return items

    def user_vectors(
        self, histories: Histories, fields: Iterable[Fields | None] | None = None
    ) -> "npt.NDArray[np.float32]":
        """`[users, dim]`: vectors by the user tower, on the CPU.

        What scores gain by repeats (`tower.repeats`) is not in them; `recommend` adds it.

        Args:
            histories: Of each user item ids of the log, oldest first. Unknown ones are passed over.
            fields: Of each user what is known besides, where the model reads fields of users, or None.

        Raises:
            Error: where a history has no known item; what is no field or no value of one.
        """
        import numpy as np
        import torch

        known = [self._known(history) for history in histories]
        nothing = [at for at, ids in enumerate(known) if not ids]
        if nothing:
            raise Error(f"{len(nothing)} histories have no known item, the first of them histories[{nothing[0]}]")
        told = self._codes(fields, len(known))
        vectors = np.empty((len(known), self.manifest["dim"]), np.float32)
        with torch.inference_mode():
            for start in range(0, len(known), USERS):
                block = slice(start, start + USERS)
                inputs = [_padded(known[block])] + ([] if told is None else [_padded(told[block])])
                vectors[block] = self._user_tower(*map(torch.from_numpy, inputs)).numpy()
        return vectors

    def recommend(
        self,
        histories: Histories,
        top: int = 10,
        *,
        exclude_seen: bool = False,
        allow: Iterable[Id] | None = None,
        deny: Iterable[Id] | None = None,
        fields: Iterable[Fields | None] | None = None,
    ) -> list[list[Recommended]]:
        """The best items for each history, the best first, by `croloss recommend`: exact, over all items.

        It starts the program, which takes a moment: ask for many users at once, or use `croloss serve`.

        Args:
            histories: As in `user_vectors`.
            top: How many items for each.
            exclude_seen: Leave out the items of the history.
            allow: The only items to recommend.
            deny: Items not to recommend.
            fields: As in `user_vectors`.

        Returns:
            A list a history; an empty one, with a warning, for a history without any known item.

        Raises:
            Error: with the program's sentence, where all histories are such among others.
        """
        choice = {name: _texts(ids) for name, ids in [("allow", allow), ("deny", deny)] if ids is not None}
        asks: list[dict[str, Any]] = [{"history": _texts(history), **choice} for history in histories]
        if not asks:
            return []
        for ask, told in zip(asks, _each(fields, len(asks)), strict=True):
            if told is not None:
                ask["fields"] = told
        with tempfile.TemporaryDirectory() as folder:
            wanted, found = Path(folder, "histories.jsonl"), Path(folder, "top.jsonl")
            lines = (json.dumps({"user": str(user), **ask}, default=_plain) for user, ask in enumerate(asks))
            wanted.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            arguments = ["--input", wanted, "--top", top, "--out", found]
            call("recommend", self.path, *arguments, *["--exclude-seen"] * exclude_seen, progress=False)
            # splitlines() would cut at what ids may hold as well, U+2028 for example.
            answers = [json.loads(line) for line in found.read_text("utf-8").split("\n") if line]
        best: list[list[Recommended]] = [[] for _ in asks]
        for answer in answers:
            best[int(answer["user"])] = [Recommended(**item) for item in answer["items"]]
        if len(answers) < len(asks):
            warnings.warn(f"{len(asks) - len(answers)} histories have no known item", stacklevel=2)
        return best

    def _file(self, name: str) -> Path:
        """The path of a file, which is found whole."""
        path = self.path / name
        wanted = self.manifest["files"].get(name)
        if wanted is None or not path.is_file():
            raise Error(f"{self.path} has no {name}: export again")
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != wanted:
            raise Error(f"{path} is truncated or altered: export again")
        return path

    @cached_property
    def _user_tower(self) -> Any:
        import torch

        with warnings.catch_warnings():
            # TorchScript is what libtorch reads without Python, and has a successor for Python alone.
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(self._file("user_tower.pt"), map_location="cpu").eval()

    @cached_property
    def _ids(self) -> dict[str, int]:
        """What the towers call an item, by its id in the log: they count from 1."""
        return {original: row + 1 for row, original in enumerate(self.items)}

    @cached_property
    def _user_fields(self) -> list[dict[str, Any]] | None:
        if "user_features.json" not in self.manifest["files"]:
            return None
        fields: list[dict[str, Any]] = json.loads(self._file("user_features.json").read_text("utf-8"))["fields"]
        return fields

    def _known(self, history: Iterable[Id]) -> list[int]:
        """The latest known items, as many as the tower reads."""
        known = [self._ids[text] for text in _texts(history) if text in self._ids]
        return known[-self.manifest["history"] :]

    def _codes(self, fields: Iterable[Fields | None] | None, users: int) -> list[list[int]] | None:
        if fields is None:
            return None
        schema = self._user_fields
        if schema is None:
            raise Error("this model reads no fields of users: leave `fields` out", 2)
        return [codes(schema, told or {}) for told in _each(fields, users)]


def load_export(path: str | os.PathLike[str]) -> Export:
    """The export in the folder `path`. Its user tower is a program: open exports only of those whom you
    would let run one.

    Raises:
        Error: where `path` is no export, or one of another version.
    """
    return Export(path)


def _texts(ids: Iterable[Id]) -> list[str]:
    """Ids as a dataset has them."""
    if isinstance(ids, str):
        raise Error(f"{ids!r} is a text where a list of ids is meant", 2)
    return [_text(own) for own in ids]


def _text(own: object) -> str:
    if isinstance(own, str):
        return own
    if isinstance(own, Integral) and not isinstance(own, bool):
        return str(int(own))
    raise Error(f"an id is a text or a whole number, and {own!r} is none", 2)


def _each(fields: Iterable[Fields | None] | None, users: int) -> Sequence[Fields | None]:
    if fields is None:
        return [None] * users
    each = list(fields)
    if len(each) != users:
        raise Error(f"fields are told of {len(each)} users, and there are {users} histories", 2)
    return each


def _plain(value: Any) -> Any:
    """What is numpy's as Python has it."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise Error(f"{value!r} is no text, number, or list of these", 2)


def _padded(rows: Sequence[Sequence[int]]) -> "npt.NDArray[np.int64]":
    """`[rows, longest]`: rows with zeros behind them."""
    import numpy as np

    padded = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, own in zip(padded, rows, strict=True):
        row[: len(own)] = own
    return padded
