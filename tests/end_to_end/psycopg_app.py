"""What psycopg reads over the PostgreSQL protocol. Usage: psycopg_app.py URL. Writes JSON."""

import datetime
import decimal
import json
import sys

import psycopg

with psycopg.connect(sys.argv[1]) as connection:
    cursor = connection.execute(
        "SELECT count(*), sum(cost) FROM usage WHERE date >= %s AND cost > %s",
        (datetime.date(2026, 1, 1), decimal.Decimal("0")),
    )
    count, cost = cursor.fetchone()
    with connection.cursor(binary=True) as binary:
        row = binary.execute("SELECT sum(cost), max(event_time), max(date), bool_or(true), 1.5::double FROM usage").fetchone()
    assert row[0] == cost and isinstance(row[0], decimal.Decimal), row
    assert row[1].tzinfo is not None and isinstance(row[2], datetime.date) and row[3] is True and row[4] == 1.5, row
    # A prepared statement, which psycopg makes of one that runs often.
    for limit in range(1, 8):
        rows = connection.execute("SELECT event_id FROM usage ORDER BY event_id LIMIT %s", (limit,), prepare=True).fetchall()
        assert len(rows) == min(limit, count), rows
    tags = connection.execute("SELECT tags FROM usage LIMIT 1").fetchone()[0]
    assert isinstance(tags, dict), tags
    connection.commit()
    try:
        connection.execute("DELETE FROM usage")
        refused = "not refused"
    except psycopg.errors.ReadOnlySqlTransaction as error:
        refused = error.sqlstate
    connection.rollback()
    tables = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s ORDER BY 1", ("public",)
    ).fetchall()

print(json.dumps({"count": count, "cost": str(cost), "refused": refused, "tables": [name for (name,) in tables]}))
