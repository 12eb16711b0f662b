-- What was said last of each threshold: all that is told and not over is found without reading the history.
ALTER TABLE alert_rounds ADD COLUMN alert TEXT;
CREATE INDEX alert_rounds_by_state ON alert_rounds (state, seen_at);
