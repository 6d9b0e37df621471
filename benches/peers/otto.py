"""`croloss prepare otto` in polars."""

import polars as pl
from rules import arguments, find, prepare

raw, out = arguments()
event = pl.Struct({"aid": pl.UInt32, "ts": pl.Int64, "type": pl.String})
schema = {"session": pl.UInt32, "events": pl.List(event)}


def clicks(part: str) -> pl.LazyFrame:
    """The clicks of a file."""
    return (
        pl.scan_ndjson(find(raw, f"otto-recsys-{part}.jsonl"), schema=schema)
        .explode("events")
        .unnest("events")
        .filter(pl.col("type") == "clicks")
        .select(pl.col("session").alias("user"), pl.col("aid").alias("item"), pl.col("ts").alias("time"))
    )


train = clicks("train").collect(engine="streaming")
test_from = train.height
events = pl.concat([train, clicks("test").collect(engine="streaming")]).with_row_index("row")
del train

# The latest thousandth of the sessions of the first file validates.
tests = pl.col("first") >= test_from
latest = pl.col("last").rank("ordinal", descending=True).over(tests) <= (~tests).sum() // 1000
split = pl.when(tests).then(pl.lit("test")).when(latest).then(pl.lit("validation")).otherwise(pl.lit("train"))
prepare(events, out, min_item_count=1, min_user_count=2, split=split, test_from=test_from)
