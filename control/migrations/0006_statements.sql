-- Closed months. Their lines lie in the lake; a month is closed once it is here, and never again.
CREATE TABLE statements (
  id TEXT NOT NULL PRIMARY KEY,
  month TEXT NOT NULL UNIQUE,
  document TEXT NOT NULL,
  closed_at BIGINT NOT NULL
);

-- Bills that were imported, by the SHA-256 of their file.
CREATE TABLE bills (
  id TEXT NOT NULL PRIMARY KEY,
  provider TEXT NOT NULL,
  document TEXT NOT NULL,
  imported_at BIGINT NOT NULL,
  accepted_at BIGINT,
  accepted_by TEXT
);

-- Evaluation runs, as whoever ran them says.
CREATE TABLE runs (id TEXT NOT NULL PRIMARY KEY, document TEXT NOT NULL, updated_at BIGINT NOT NULL);
