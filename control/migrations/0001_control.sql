-- Times are microseconds since the epoch in UTC, flags 0 or 1, documents JSON. The file of the other database differs in
-- the audit table's key only.

-- One row, `version`: counts every change of budgets, blocks and the directory. It is raised first in such a transaction,
-- so that versions become visible in their order.
CREATE TABLE store_state (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO store_state (name, value) VALUES ('version', 0);

CREATE TABLE budgets (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  origin TEXT NOT NULL,
  active BIGINT NOT NULL,
  document TEXT NOT NULL,
  version BIGINT NOT NULL
);
CREATE INDEX budgets_version ON budgets (version);

CREATE TABLE alerts (
  id TEXT NOT NULL PRIMARY KEY,
  guard TEXT NOT NULL,
  kind TEXT NOT NULL,
  level BIGINT NOT NULL,
  budget_id TEXT,
  document TEXT NOT NULL,
  raised_at BIGINT NOT NULL,
  snoozed BIGINT NOT NULL,
  acknowledged_at BIGINT,
  acknowledged_by TEXT,
  note TEXT
);
CREATE INDEX alerts_raised ON alerts (raised_at, id);

-- When what an alert is about was last raised: the repeat guard.
CREATE TABLE alert_guards (guard TEXT NOT NULL PRIMARY KEY, raised_at BIGINT NOT NULL);

CREATE TABLE alert_snoozes (guard TEXT NOT NULL PRIMARY KEY, until BIGINT NOT NULL, snoozed_by TEXT NOT NULL);

CREATE TABLE notifications (
  id TEXT NOT NULL PRIMARY KEY,
  alert_id TEXT NOT NULL REFERENCES alerts (id),
  channel TEXT NOT NULL,
  target TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  next_attempt BIGINT NOT NULL,
  lease_owner TEXT,
  lease_until BIGINT NOT NULL,
  error TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX notifications_due ON notifications (state, next_attempt);
CREATE INDEX notifications_alert ON notifications (alert_id);

CREATE TABLE blocks (
  id TEXT NOT NULL PRIMARY KEY,
  document TEXT NOT NULL,
  until BIGINT NOT NULL,
  lifted BIGINT NOT NULL,
  version BIGINT NOT NULL
);
CREATE INDEX blocks_until ON blocks (lifted, until);

CREATE TABLE directory (
  id TEXT NOT NULL PRIMARY KEY,
  origin TEXT NOT NULL,
  document TEXT NOT NULL,
  version BIGINT NOT NULL
);

CREATE TABLE api_keys (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  teams TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  revoked_at BIGINT
);

