CREATE TABLE audit (
  number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at BIGINT NOT NULL,
  who TEXT NOT NULL,
  action TEXT NOT NULL,
  what TEXT NOT NULL,
  id TEXT NOT NULL,
  before TEXT,
  after TEXT
);
CREATE INDEX audit_what ON audit (what, id);
