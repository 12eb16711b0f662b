//! Files written anew with the rows that they have: small ones of an open day as one, sealed ones packed for their tier. In: the step. Out: one commit;
//! no sum changes.

use std::collections::BTreeMap;

use deltalake_core::kernel::Add;
use spendstream_lake::files::FileInfo;
use spendstream_lake::tags::{EXPIRED, SEAL};
use spendstream_schemas::config::HOT;
use spendstream_storage::Lake;

use super::super::error::LakeError;
use super::super::rewriter::{RewriteError, Rewriter};
use super::super::table::Kind;
use super::maintainer::{Done, Maintainer, change};
use super::plan::Day;
use super::read::{all_rows, failed};
use super::seal::rows;
use super::write::{DayWriter, Form};

impl Maintainer {
    pub(super) async fn compact(&mut self, day: &Day) -> Result<Done, RewriteError> {
        let form =
            Form { row_group_rows: self.config.row_group_rows, ..self.form(HOT, self.config.zstd_level, Vec::new()) };
        self.pack(day, form).await
    }

    pub(super) async fn repack(&mut self, day: &Day, tier: &str, zstd_level: i32) -> Result<Done, RewriteError> {
        let form = self.form(tier, zstd_level, Vec::new());
        self.pack(day, form).await
    }

    async fn pack(&mut self, day: &Day, form: Form) -> Result<Done, RewriteError> {
        let place = self.tables[day.place].place.clone();
        let adds = copy(&self.tables[day.place], day, &place, &form).await?;
        let mut change = change("OPTIMIZE", day, adds);
        change.removes.clone_from(&day.files);
        let done = Done::new(&change, 0);
        self.tables[day.place].commit(change).await?;
        Ok(done)
    }
}

/// Writes the files of a day anew in a place, those of one sealing together and with its number.
///
/// # Errors
/// When the store fails, or the rows are not as many as they were.
pub async fn copy(table: &Rewriter, day: &Day, to: &Lake, form: &Form) -> Result<Vec<Add>, LakeError> {
    let mut adds = Vec::new();
    for ((seal, expired), paths) in groups(table, day) {
        let tags = [(SEAL, seal), (EXPIRED, expired)].into_iter().filter_map(|(tag, value)| Some((tag, value?)));
        let form = Form { tags: tags.collect(), ..form.clone() };
        let mut writer = DayWriter::new(to, Kind::Usage, day.date, form);
        let before: Option<u64> = paths.iter().map(|path| FileInfo::from_add(table.files.get(path)?).rows).sum();
        writer.push_all(all_rows((&table.place, table.kind), paths, None)).await?;
        let written = writer.finish().await?;
        if before.is_some_and(|before| before != rows(&written)) {
            let what = format!("{} rows became {}", before.unwrap_or(0), rows(&written));
            return Err(failed(&table.place, "copying a day", &what));
        }
        adds.extend(written);
    }
    Ok(adds)
}

/// Paths of a day by what their files say of their rows: the sealing, and whose rows were deleted.
pub fn groups(table: &Rewriter, day: &Day) -> BTreeMap<(Option<String>, Option<String>), Vec<String>> {
    let mut groups = BTreeMap::<_, Vec<String>>::new();
    for path in &day.files {
        let info = table.files.get(path).map(FileInfo::from_add).unwrap_or_default();
        groups.entry((info.seal, info.expired)).or_default().push(path.clone());
    }
    groups
}
