-- Who may do what one process alone may do at a time, until when.
CREATE TABLE leases (name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL);

-- Erased persons, never in clear: a keyed hash of the value. What is shown says which erasure, and not whose.
CREATE TABLE erasures (
  id TEXT NOT NULL PRIMARY KEY,
  dimension TEXT NOT NULL,
  value_hash TEXT NOT NULL,
  shown TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  requested_at BIGINT NOT NULL,
  rewritten_rows BIGINT,
  rewritten_at BIGINT,
  proven_at BIGINT,
  note TEXT,
  UNIQUE (dimension, value_hash)
);
