//! The control store: budgets, alerts, notifications, directory, keys, blocks and the audit log, in `SQLite` or `PostgreSQL`.
