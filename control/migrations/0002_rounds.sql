-- Where each threshold of a budget stands:
-- 'new', 'told', 'over' (taken back) or 'closed' (its period is over), as of what was seen when, and how often it was taken back.
CREATE TABLE alert_rounds (
  about TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL,
  taken_back BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  -- The repeat guard of what was told last: a recovery lifts it.
  quiet TEXT
);
