//! Names that the lake's writers and readers share: tags of files and app ids in a Delta log. No logic.

/// Tag of a file of `usage` or `usage_rollup`: the number of the sealing that wrote its rows. Rows and their sums have the same.
pub const SEAL: &str = "spendstream.seal";

/// Tag of a file of `usage` that is on its way to the next colder table: the number of the move.
pub const MOVE: &str = "spendstream.move";

/// Tag of a file: the tier that its encoding is of.
pub const TIER: &str = "spendstream.tier";

/// Tag of a file of `usage`: whose rows were deleted from it when they were over, so that they are not looked for again.
pub const EXPIRED: &str = "spendstream.expired";

/// App id of the newest move that a table has taken in.
pub const MOVES_APP: &str = "spendstream/moves";

/// App id of who maintains the tables: a number that grows with every change of hands. Every rewriting commit requires its own.
pub const MAINTENANCE_APP: &str = "spendstream/maintenance";

/// App id that counts rewrites of a table that changed a sum: repeats removed, days expired, persons erased.
pub const HISTORY_APP: &str = "spendstream/history";

/// How app ids begin that count, by source partition, rows of a table that were removed as repeats.
pub const REMOVED_APP: &str = "spendstream.removed";

/// How app ids begin that count, by source partition, rows of a table that were deleted when they were over.
pub const EXPIRED_APP: &str = "spendstream.expired";

/// Property of the hot table: the tiers that have tables of their own, so that nobody reads a part of a lake and takes it for the whole.
pub const TIERS_PROPERTY: &str = "spendstream.tiers";
