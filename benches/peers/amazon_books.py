"""`croloss prepare amazon-books` in polars."""

import polars as pl
from rules import arguments, find, prepare

raw, out = arguments()
schema = {"reviewerID": pl.String, "asin": pl.String, "unixReviewTime": pl.Int64}
events = (
    pl.scan_ndjson(find(raw, "reviews_Books_5.json.gz"), schema=schema)
    .with_row_index("row")
    .rename({"reviewerID": "user", "asin": "item", "unixReviewTime": "time"})
    .collect(engine="streaming")
)
prepare(events, out, min_item_count=5, min_user_count=5)
