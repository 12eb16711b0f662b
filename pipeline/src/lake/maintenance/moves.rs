//! Moves a sealed day to the next table, without a lock and without a pause. In: the step. Out: three commits: the files are tagged with a number, their
//! rows appear in the colder table together with it, the tagged files go. A reader that has read the hotter table first leaves out what
//! the colder one says it has taken in, so it sees each row once at every moment. A move that was begun is finished, never cancelled.

use std::collections::{BTreeMap, HashMap};

use deltalake_core::kernel::Add;
use spendstream_lake::files::FileInfo;
use spendstream_lake::tags::{MOVE, MOVES_APP};

use super::super::rewriter::{Change, RewriteError};
use super::compact::copy;
use super::maintainer::{Done, Maintainer, Moment, change};
use super::plan::{Day, age_days};

impl Maintainer {
    /// Begins a move and finishes it.
    pub(super) async fn move_day(&mut self, day: &Day, at: Moment) -> Result<Done, RewriteError> {
        let taken = self.tables[day.place + 1].state.app(MOVES_APP);
        let number = taken + 1;
        let tagged = |path: &String| {
            let mut add = self.tables[day.place].files.get(path)?.clone();
            add.tags.get_or_insert_with(HashMap::new).insert(MOVE.to_owned(), Some(number.to_string()));
            Some(add)
        };
        let adds: Vec<Add> = day.files.iter().filter_map(tagged).collect();
        let mut change = change("MOVE", day, adds);
        // Must be there; added again, they stay.
        change.removes.clone_from(&day.files);
        change.parameters.insert("move".to_owned(), number.to_string());
        self.tables[day.place].commit(change).await?;
        self.finish_move(day.place, number, at).await
    }

    /// Brings a move that was begun to its end, whatever of it is done.
    pub(super) async fn finish_move(&mut self, place: usize, number: i64, at: Moment) -> Result<Done, RewriteError> {
        let infos = self.tables[place].files.values().map(FileInfo::from_add);
        let moving: Vec<FileInfo> = infos.filter(|file| file.moving == Some(number)).collect();
        let Some(date) = moving.first().and_then(|file| file.date.parse().ok()) else { return Ok(Done::default()) };
        let bytes = moving.iter().map(|file| file.bytes).sum();
        let day = Day { place, date, files: moving.into_iter().map(|file| file.path).collect(), bytes };
        let mut done = Done::default();
        if self.tables[place + 1].state.app(MOVES_APP) < number {
            done = self.take_in(&day, number, at).await?;
        }
        let parameters =
            BTreeMap::from([("date".to_owned(), date.to_string()), ("move".to_owned(), number.to_string())]);
        let removes = day.files;
        let gone = Change { operation: "MOVE", parameters, removes, changes_rows: true, ..Change::default() };
        self.tables[place].commit(gone).await?;
        Ok(done)
    }

    async fn take_in(&mut self, day: &Day, number: i64, at: Moment) -> Result<Done, RewriteError> {
        let to = self.tables[day.place + 1].place.clone();
        let tier = self.policy.tier_in(day.place + 1, age_days(day.date, at.now_ms));
        let (tier, zstd_level) = tier.map_or((to.tier().to_owned(), 9), |tier| (tier.name.clone(), tier.zstd_level));
        let form = self.form(&tier, zstd_level, Vec::new());
        let adds = copy(&self.tables[day.place], day, &to, &form).await?;
        let mut change = change("MOVE", day, adds);
        change.changes_rows = true;
        change.parameters.insert("move".to_owned(), number.to_string());
        change.requires.push((MOVES_APP.to_owned(), number - 1));
        change.sets.push((MOVES_APP.to_owned(), number));
        let done = Done { removed_files: day.files.len(), ..Done::new(&change, 0) };
        self.tables[day.place + 1].commit(change).await?;
        Ok(done)
    }
}
