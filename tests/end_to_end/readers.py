"""What readers that know nothing of spendstream find in a Delta table: count, distinct ids, exact sum, offsets.

Usage: readers.py URI [FOLDER...], where URI is file:///folder or s3://bucket/prefix (then AWS_* variables say how). With folders of
further tables DuckDB alone reads them all, as one table by the statement of docs/lake.md. Writes JSON.
"""

import glob
import json
import os
import sys

import duckdb
import duckdb_extension_delta
import polars
from deltalake import DeltaTable

uri, *further = sys.argv[1:]
options = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def by_duckdb():
    connection = duckdb.connect()
    # The extension comes as a Python package; nothing is fetched at run time.
    folder = os.path.dirname(duckdb_extension_delta.__file__)
    connection.execute(f"LOAD '{glob.glob(folder + '/extensions/*/delta.duckdb_extension')[0]}'")
    paths = [uri.removeprefix("file://"), *further]
    tables = " UNION ALL BY NAME ".join(f"SELECT * FROM delta_scan('{path}')" for path in paths)
    query = f"SELECT count(*), count(DISTINCT event_id), sum(cost)::VARCHAR FROM ({tables})"
    return connection.execute(query).fetchone()


def by_polars():
    frame = polars.scan_delta(uri, storage_options=options or None)
    count, ids, cost = polars.len(), polars.col("event_id").n_unique(), polars.col("cost").sum()
    row = frame.select(count.alias("rows"), ids.alias("ids"), cost.alias("cost")).collect().row(0)
    return row[0], row[1], str(row[2])


def by_deltalake():
    import deltalake  # noqa: F401  (its own Arrow reader, not Polars')

    table = DeltaTable(uri, storage_options=options or None).to_pyarrow_table(columns=["event_id", "cost"])
    import pyarrow.compute as compute

    ids = compute.count_distinct(table["event_id"]).as_py()
    return table.num_rows, ids, str(compute.sum(table["cost"]).as_py())


answers = {} if further else {"polars": by_polars(), "deltalake": by_deltalake()}
# DuckDB's Delta reader takes S3 settings in another way; a local table is enough to show that it reads ours.
if uri.startswith("file://"):
    answers["duckdb"] = by_duckdb()
print(json.dumps({name: dict(zip(("rows", "ids", "cost"), answer)) for name, answer in answers.items()}))
