"""The rules of `croloss prepare` in polars: filter, order, number, split, write."""

import sys
from pathlib import Path

import polars as pl


def arguments() -> tuple[Path, Path]:
    """The folder of the raw files, and the folder to write."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} RAW OUT")
    raw, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    return raw, out


def find(folder: Path, name: str) -> Path:
    """The file of that name, or a generated one."""
    return next(path for path in (folder / name, folder / f"generated-{name}") if path.exists())


def prepare(
    events: pl.DataFrame,
    out: Path,
    min_item_count: int,
    min_user_count: int,
    split: pl.Expr | None = None,
    test_from: int | None = None,
) -> None:
    """Prepares `events` of the columns row (the place in the log), user, item, time and perhaps category.

    Items that are too rare go first, then users who have too little left. `split` names the part of
    each of the remaining users, of whom the columns first and last hold the first row and the last
    time; by default a tenth of them validates and a tenth tests. With `test_from`, the row from which
    on users test, items that nobody else of those who remain has met leave the catalogue, and then
    users whom that leaves too little.
    """

    def remaining(events: pl.DataFrame) -> pl.DataFrame:
        lengths = events.group_by("user").agg(pl.len().alias("length"), pl.col("time").max().alias("last"))
        return lengths.filter(pl.col("length") >= min_user_count)

    told = [pl.col("category").first()] if "category" in events.columns else []
    items = (
        events.group_by("item")
        .agg(pl.len().alias("count"), pl.col("row").min().alias("first"), *told)
        .filter(pl.col("count") >= min_item_count)
        .sort("count", "first", descending=[True, False])
        .drop("first")
        .with_row_index("id", offset=1)
    )
    first = events.group_by("user").agg(pl.col("row").min().alias("first"))
    events = events.drop("category", strict=False).join(items.select("item", "id"), on="item")
    users = remaining(events)
    if test_from is not None:
        met = events.filter(pl.col("row") < test_from).join(users, on="user", how="semi").select("id").unique()
        items = items.rename({"id": "all"}).join(met.rename({"id": "all"}), on="all", how="semi")
        items = items.sort("all").with_row_index("id", offset=1)
        events = events.rename({"id": "all"}).join(items.select("all", "id"), on="all").drop("all")
        items = items.drop("all")
        users = remaining(events)
    users = users.join(first, on="user").sort("first").with_row_index("number")
    if split is None:
        part = pl.int_range(pl.len()).shuffle(seed=1) * 10 // pl.len()
        split = pl.when(part == 0).then(pl.lit("validation")).when(part == 1).then(pl.lit("test"))
        split = split.otherwise(pl.lit("train"))
    users.select(
        pl.col("number").alias("user"),
        pl.col("user").cast(pl.String).alias("original"),
        split.alias("split"),
        "length",
    ).write_parquet(out / "users.parquet")
    items = items.with_columns(pl.col("item").cast(pl.String))
    items.select(pl.col("id").alias("item"), pl.col("item").alias("original"), pl.exclude("id", "item")).write_parquet(
        out / "items.parquet"
    )
    sequences = (
        events.join(users.select("user", "number"), on="user")
        .select(pl.col("number").alias("user"), pl.col("id").alias("item"), "time", "row")
        .sort("user", "time", "row")
        .drop("row")
    )
    sequences.write_parquet(out / "sequences.parquet")
    print(f"users {users.height}  items {items.height}  interactions {sequences.height}  polars {pl.__version__}")
