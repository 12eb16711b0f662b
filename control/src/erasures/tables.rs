//! Where a person can be mentioned in the store: every table with texts, the columns that hold them and how. A test holds the list to the
//! database's own schema.

/// How a text is made anonymous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Tells rows apart, or is compared with what does: as a whole.
    Id,
    /// What people read.
    Prose,
    /// JSON, or none: text by text.
    Document,
}

/// One table.
pub(super) struct Table {
    pub name: &'static str,
    /// Before the first key.
    pub before_first: &'static str,
    /// Some rows after the key `$1`, by key: the key as text, and then the columns in order.
    pub select: &'static str,
    /// `$1` is the key, then the columns in order.
    pub update: &'static str,
    /// Whether the row with the key `$1` is there, for tables whose first column is the key.
    pub taken: Option<&'static str>,
    pub columns: &'static [(&'static str, Form)],
}

use Form::{Document, Id, Prose};

/// Rows about the person alone that mean nothing without: removed where they mention the person. Their first column decides.
pub(super) const GONE: [(&str, &str, &str); 3] = [
    ("alert_guards", "SELECT guard FROM alert_guards", "DELETE FROM alert_guards WHERE guard = $1"),
    ("alert_snoozes", "SELECT guard FROM alert_snoozes", "DELETE FROM alert_snoozes WHERE guard = $1"),
    ("alert_rounds", "SELECT about FROM alert_rounds", "DELETE FROM alert_rounds WHERE about = $1"),
];

/// Where rows stay and their texts are made anonymous.
pub(super) const TABLES: [Table; 14] = [
    Table {
        name: "budgets",
        before_first: "",
        select: "SELECT id, id, name, origin, document FROM budgets WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE budgets SET id = $2, name = $3, origin = $4, document = $5 WHERE id = $1",
        taken: Some("SELECT id FROM budgets WHERE id = $1"),
        columns: &[("id", Id), ("name", Prose), ("origin", Id), ("document", Document)],
    },
    Table {
        name: "alerts",
        before_first: "",
        select: "SELECT id, guard, budget_id, document, acknowledged_by, note FROM alerts WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE alerts SET guard = $2, budget_id = $3, document = $4, acknowledged_by = $5, note = $6 WHERE id = $1",
        taken: None,
        columns: &[
            ("guard", Id),
            ("budget_id", Id),
            ("document", Document),
            ("acknowledged_by", Prose),
            ("note", Prose),
        ],
    },
    Table {
        name: "alert_snoozes",
        before_first: "",
        select: "SELECT guard, snoozed_by FROM alert_snoozes WHERE guard > $1 ORDER BY guard LIMIT 500",
        update: "UPDATE alert_snoozes SET snoozed_by = $2 WHERE guard = $1",
        taken: None,
        columns: &[("snoozed_by", Prose)],
    },
    Table {
        name: "alert_rounds",
        before_first: "",
        select: "SELECT about, quiet FROM alert_rounds WHERE about > $1 ORDER BY about LIMIT 500",
        update: "UPDATE alert_rounds SET quiet = $2 WHERE about = $1",
        taken: None,
        columns: &[("quiet", Id)],
    },
    Table {
        name: "notifications",
        before_first: "",
        select: "SELECT id, id, channel, target, lease_owner, error FROM notifications WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE notifications SET id = $2, channel = $3, target = $4, lease_owner = $5, error = $6 WHERE id = $1",
        taken: Some("SELECT id FROM notifications WHERE id = $1"),
        columns: &[("id", Id), ("channel", Id), ("target", Prose), ("lease_owner", Id), ("error", Prose)],
    },
    Table {
        name: "blocks",
        before_first: "",
        select: "SELECT id, document FROM blocks WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE blocks SET document = $2 WHERE id = $1",
        taken: None,
        columns: &[("document", Document)],
    },
    Table {
        name: "directory",
        before_first: "",
        select: "SELECT id, id, origin, document FROM directory WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE directory SET id = $2, origin = $3, document = $4 WHERE id = $1",
        taken: Some("SELECT id FROM directory WHERE id = $1"),
        columns: &[("id", Id), ("origin", Id), ("document", Document)],
    },
    Table {
        name: "api_keys",
        before_first: "",
        select: "SELECT id, name, teams FROM api_keys WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE api_keys SET name = $2, teams = $3 WHERE id = $1",
        taken: None,
        columns: &[("name", Prose), ("teams", Document)],
    },
    Table {
        name: "leases",
        before_first: "",
        select: "SELECT name, holder FROM leases WHERE name > $1 ORDER BY name LIMIT 500",
        update: "UPDATE leases SET holder = $2 WHERE name = $1",
        taken: None,
        columns: &[("holder", Id)],
    },
    Table {
        name: "erasures",
        before_first: "",
        select: "SELECT id, requested_by, note FROM erasures WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE erasures SET requested_by = $2, note = $3 WHERE id = $1",
        taken: None,
        columns: &[("requested_by", Prose), ("note", Prose)],
    },
    Table {
        name: "statements",
        before_first: "",
        select: "SELECT id, document FROM statements WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE statements SET document = $2 WHERE id = $1",
        taken: None,
        columns: &[("document", Document)],
    },
    Table {
        name: "bills",
        before_first: "",
        select: "SELECT id, document, accepted_by FROM bills WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE bills SET document = $2, accepted_by = $3 WHERE id = $1",
        taken: None,
        columns: &[("document", Document), ("accepted_by", Prose)],
    },
    Table {
        name: "runs",
        before_first: "",
        select: "SELECT id, id, document FROM runs WHERE id > $1 ORDER BY id LIMIT 500",
        update: "UPDATE runs SET id = $2, document = $3 WHERE id = $1",
        taken: Some("SELECT id FROM runs WHERE id = $1"),
        columns: &[("id", Id), ("document", Document)],
    },
    Table {
        name: "audit",
        before_first: "0",
        select: "SELECT CAST(number AS TEXT), who, id, before, after FROM audit WHERE number > CAST(CAST($1 AS TEXT) AS BIGINT) ORDER BY number LIMIT 500",
        update: "UPDATE audit SET who = $2, id = $3, before = $4, after = $5 WHERE number = CAST(CAST($1 AS TEXT) AS BIGINT)",
        taken: None,
        columns: &[("who", Prose), ("id", Id), ("before", Document), ("after", Document)],
    },
];

#[cfg(test)]
mod tests {
    use super::{GONE, TABLES};
    use crate::db::Pool;

    /// Texts of the program itself: ids drawn by lot, hashes and words.
    const NOBODY: [&str; 20] = [
        "schema_migrations.checksum",
        "store_state.name",
        "alerts.id",
        "alerts.kind",
        "alert_rounds.state",
        "alert_rounds.alert",
        "notifications.alert_id",
        "notifications.state",
        "blocks.id",
        "api_keys.id",
        "api_keys.hash",
        "api_keys.role",
        "leases.name",
        "erasures.id",
        "erasures.dimension",
        "erasures.value_hash",
        "statements.id",
        "statements.month",
        "bills.id",
        "bills.provider",
    ];
    const NOBODY_EITHER: [&str; 3] = ["erasures.shown", "audit.action", "audit.what"];

    #[tokio::test]
    async fn every_text_of_the_database_is_looked_at() {
        let pool = Pool::open("sqlite::memory:").await.unwrap();
        crate::migrations::run(&pool).await.unwrap();
        let sql = "SELECT m.name || '.' || p.name FROM sqlite_master m, pragma_table_info(m.name) p \
                   WHERE m.type = 'table' AND p.type = 'TEXT' AND m.name NOT LIKE 'sqlite_%'";
        let columns = pool.rows(sql, &[]).await.unwrap();
        assert!(columns.len() > 30);
        for column in columns {
            let column = column.text(0).unwrap();
            let (table, name) = column.split_once('.').unwrap();
            let is_listed =
                TABLES.iter().any(|one| one.name == table && one.columns.iter().any(|(known, _)| *known == name));
            let is_gone =
                GONE.iter().any(|(known, key, _)| *known == table && key.contains(&format!("SELECT {name} ")));
            let is_ours = NOBODY.contains(&&*column) || NOBODY_EITHER.contains(&&*column);
            assert!(is_listed || is_gone || is_ours, "{column} may mention a person; add it to TABLES");
        }
    }
}
