//! Erasures within the random histories: by a process that may die in the middle, while a reader is in the middle of its reading. No row and no sum
//! moves; and in the end no object names who was erased.

use std::sync::atomic::Ordering;
use std::time::Duration;

use spendstream_pipeline::lake::maintenance::Maintainer;

use crate::model::Sequence;
use crate::persons::{Names, Person, forget, named, named_in};
use crate::world::{DAY_MS, TIMES, config, expected, maintainer, seen};

impl Sequence {
    /// Somebody is erased, for the first time or again.
    pub async fn erase(&mut self) {
        let person = Person::any(usize::try_from(self.dice.next(5)).unwrap());
        self.erased.insert(person);
        self.half.insert(person);
        let is_through = if self.dice.next(2) == 0 { self.dying(person).await } else { self.watched(person).await };
        self.told.push(format!("{person:?} is erased ({is_through})"));
        if is_through {
            self.half.remove(&person);
            forget(&mut self.model, person);
        }
    }

    /// What intake keeps of an event: erased persons are covered once it has read the list, which may be late.
    pub fn arrives(&mut self, names: Names) -> Names {
        let persons = self.erased.clone();
        persons.into_iter().fold(names, |names, person| {
            if person.erased(names) != names && self.dice.next(2) == 0 { person.erased(names) } else { names }
        })
    }

    async fn dying(&mut self, person: Person) -> bool {
        let (lake, fuse) = self.places.mortal(i64::MAX, self.dice.next(2) == 0);
        let mut dying = Maintainer::take(&lake, &config(), TIMES).await.unwrap();
        self.maintainer = None;
        fuse.store(1 + i64::try_from(self.dice.next(80)).unwrap(), Ordering::SeqCst);
        dying.erase(&person.erasure(), self.now_ms, false, &mut |_, _| {}).await.is_ok()
    }

    async fn watched(&mut self, person: Person) -> bool {
        let mut eraser = match self.maintainer.take() {
            Some(maintainer) => maintainer,
            None => maintainer(&self.places.whole()).await,
        };
        let (done, mut back) = tokio::sync::oneshot::channel();
        let now_ms = self.now_ms;
        let happens = Box::pin(async move {
            eraser.erase(&person.erasure(), now_ms, false, &mut |_, _| {}).await.unwrap();
            assert!(done.send(eraser).is_ok());
        });
        let lake = self.places.interrupted(1 + usize::try_from(self.dice.next(25)).unwrap(), happens);
        assert_eq!(seen(&lake).await, expected(&self.model), "a reader in the middle of an erasure");
        // Where the reader had fewer operations, nothing happened.
        self.maintainer = back.try_recv().ok();
        self.maintainer.is_some()
    }

    /// Whoever was erased is named by no row, but by those that came since.
    pub async fn agree_on_names(&self) {
        if self.half.is_empty() {
            assert_eq!(named(&self.places.whole()).await, named_in(&self.model), "rows that name persons");
        }
    }

    /// In the end: all are erased once more, what no version needs is removed, and the bytes of what is left name nobody.
    pub async fn end_of_names(&mut self) {
        let mut brief = config();
        brief.maintenance.vacuum_after = Duration::ZERO;
        let mut last = Maintainer::take(&self.places.whole(), &brief, TIMES).await.unwrap();
        for person in std::mem::take(&mut self.erased) {
            last.erase(&person.erasure(), self.now_ms, false, &mut |_, _| {}).await.unwrap();
            forget(&mut self.model, person);
            self.half.remove(&person);
            self.told.push(format!("at last {person:?} is erased"));
            self.gone.push(person);
        }
        last.vacuum(self.now_ms + DAY_MS).await.unwrap();
        for person in &self.gone {
            assert_eq!(last.search(&person.erasure()).await.unwrap().found, Vec::<String>::new(), "{person:?}");
        }
    }
}
