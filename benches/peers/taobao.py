"""`croloss prepare taobao` in polars."""

import polars as pl
from rules import arguments, find, prepare

raw, out = arguments()
columns = ["user", "item", "category", "behaviour", "time"]
kinds = [pl.UInt32, pl.UInt32, pl.UInt32, pl.String, pl.Int64]
events = (
    pl.scan_csv(
        find(raw, "UserBehavior.csv"),
        has_header=False,
        schema=dict(zip(columns, kinds, strict=True)),
    )
    .with_row_index("row")
    .filter(pl.col("behaviour") == "pv")
    .drop("behaviour")
    .collect(engine="streaming")
)
prepare(events, out, min_item_count=5, min_user_count=5)
