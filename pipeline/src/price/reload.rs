//! Keeps the price book current. In: its files, looked at every `prices.reload_interval`. Out: the newest good book, in a
//! watch channel, and a report of each change.
//!
//! A broken book never replaces a good one: at start it is an error, later it is reported once and the last good one stays.
//! A file that is being written is left alone until two looks in a row read the same.

use std::sync::Arc;
use std::time::Duration;

use spendstream_schemas::price_book::PriceBook;
use tokio::sync::watch;
use xxhash_rust::xxh3::Xxh3;

use super::source::{BookSource, BookTexts, SourceError};

/// The newest good book; cheap to clone, read with `borrow()`.
pub type CurrentBook = watch::Receiver<Arc<PriceBook>>;

/// How long a changed file must stay the same before it is read as a book, at most the interval.
const SETTLE: Duration = Duration::from_secs(1);

/// What a look at the files found.
#[derive(Debug)]
pub enum Look {
    /// The same as before, or still what was refused.
    Unchanged,
    /// Something new that may not be complete yet.
    Settling,
    /// A new book is in force.
    Changed(Arc<PriceBook>),
    /// What is there cannot be used; the last good book stays. Said once per content.
    Refused(String),
}

/// Looks at the files of a book.
#[derive(Debug)]
pub struct Reloader {
    source: BookSource,
    sender: watch::Sender<Arc<PriceBook>>,
    /// What was last decided on: taken or refused.
    decided: u128,
    /// What was last seen, when that is something else.
    seen: Option<u128>,
}

impl Reloader {
    /// Loads the book for the first time.
    ///
    /// # Errors
    /// When it cannot be read or has errors: there is no good one to stay with.
    pub fn open(source: BookSource) -> Result<(Self, CurrentBook), SourceError> {
        let texts = source.read()?;
        let book = PriceBook::load(&texts.files())?;
        let (sender, receiver) = watch::channel(Arc::new(book));
        Ok((Self { source, sender, decided: content(&Ok(texts)), seen: None }, receiver))
    }

    /// Reads the files once. Blocks on the disk.
    pub fn look(&mut self) -> Look {
        let read = self.source.read().map_err(|error| error.to_string());
        let content = content(&read);
        if content == self.decided {
            self.seen = None;
            return Look::Unchanged;
        }
        if self.seen != Some(content) {
            self.seen = Some(content);
            return Look::Settling;
        }
        (self.decided, self.seen) = (content, None);
        match read.and_then(|texts| PriceBook::load(&texts.files()).map_err(|error| error.to_string())) {
            Ok(book) => {
                let book = Arc::new(book);
                self.sender.send_replace(Arc::clone(&book));
                Look::Changed(book)
            }
            Err(error) => Look::Refused(error),
        }
    }

    /// Looks again and again until nobody uses the book any more; `report` is called for each change and refusal.
    pub async fn run(mut self, interval: Duration, report: impl Fn(&Look) + Send) {
        if !self.source.is_on_disk() {
            return;
        }
        let mut wait = interval;
        loop {
            tokio::select! {
                () = self.sender.closed() => return,
                () = tokio::time::sleep(wait) => {}
            }
            let looked = tokio::task::spawn_blocking(move || {
                let look = self.look();
                (self, look)
            });
            // Only a panic or the end of the runtime ends a blocking task early; either ends the watch too.
            let Ok((reloader, look)) = looked.await else { return };
            self = reloader;
            wait = if matches!(look, Look::Settling) { interval.min(SETTLE) } else { interval };
            note(&look);
            report(&look);
        }
    }
}

fn note(look: &Look) {
    match look {
        Look::Changed(book) => tracing::info!(version = book.version(), "a new price book is in force"),
        Look::Refused(error) => {
            tracing::error!(%error, "a changed price book is refused, the last good one stays; mend it");
        }
        Look::Unchanged | Look::Settling => {}
    }
}

/// Tells contents apart; an error counts as one, so that it is reported once.
fn content(read: &Result<BookTexts, String>) -> u128 {
    let mut hash = Xxh3::new();
    let mut add = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    match read {
        Ok(texts) => {
            let BookTexts { prices, catalog, aliases, rates, overrides, currency } = texts;
            for text in [&**prices, catalog, aliases, rates, overrides, currency] {
                add(text);
            }
        }
        Err(error) => add(error),
    }
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BookSource, Look, Reloader};

    const HEADER: &str = "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,\
                          service_tier,region,schedule,source,source_ref\n";

    fn write(folder: &Path, prices: &str) {
        std::fs::write(folder.join("prices.csv"), format!("{HEADER}{prices}\n")).unwrap();
    }

    fn open(folder: &Path) -> (Reloader, super::CurrentBook) {
        let source = BookSource { book: Some(folder.to_owned()), currency: "USD".into(), ..BookSource::default() };
        Reloader::open(source).unwrap()
    }

    #[test]
    fn a_change_is_taken_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "acme,m,input,1,1000000,USD,,,,,,,own,");
        let (mut reloader, current) = open(folder.path());
        let first = current.borrow().version().to_owned();
        assert!(matches!(reloader.look(), Look::Unchanged));

        write(folder.path(), "acme,m,input,2,1000000,USD,,,,,,,own,");
        assert!(matches!(reloader.look(), Look::Settling));
        assert_eq!(current.borrow().version(), first);
        write(folder.path(), "acme,m,input,3,1000000,USD,,,,,,,own,");
        assert!(matches!(reloader.look(), Look::Settling), "it was still being written");
        assert!(matches!(reloader.look(), Look::Changed(_)));
        assert_ne!(current.borrow().version(), first);
        assert!(matches!(reloader.look(), Look::Unchanged));
    }

    #[test]
    fn a_broken_book_is_refused_once_and_the_last_good_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "acme,m,input,1,1000000,USD,,,,,,,own,");
        let (mut reloader, current) = open(folder.path());
        let first = current.borrow().version().to_owned();

        write(folder.path(), "acme,m,input,-1,1000000,USD,,,,,,,own,");
        assert!(matches!(reloader.look(), Look::Settling));
        let Look::Refused(error) = reloader.look() else { panic!("a negative price was taken") };
        assert!(error.contains("prices.csv:2") && error.contains("negative"), "{error}");
        assert_eq!(current.borrow().version(), first);
        assert!(matches!(reloader.look(), Look::Unchanged), "said once");

        std::fs::remove_file(folder.path().join("prices.csv")).unwrap();
        assert!(matches!(reloader.look(), Look::Settling));
        assert!(matches!(reloader.look(), Look::Refused(_)), "a file that is gone");
        assert_eq!(current.borrow().version(), first);

        write(folder.path(), "acme,m,input,1,1000000,USD,,,,,,,own,");
        assert!(matches!(reloader.look(), Look::Settling));
        assert!(matches!(reloader.look(), Look::Changed(_)), "the good one again");
        assert_eq!(current.borrow().version(), first, "the version is the content");
    }

    #[test]
    fn at_start_a_broken_or_missing_book_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let source =
            BookSource { book: Some(folder.path().to_owned()), currency: "USD".into(), ..BookSource::default() };
        let error = Reloader::open(source.clone()).unwrap_err().to_string();
        assert!(error.starts_with("prices.book: ") && error.contains("prices.csv cannot be read"), "{error}");
        write(folder.path(), "acme,m,input,one,1000000,USD,,,,,,,own,");
        let error = Reloader::open(source).unwrap_err().to_string();
        assert!(error.contains("prices.csv:2"), "{error}");
    }

    #[tokio::test]
    async fn the_watch_ends_when_nobody_uses_the_book() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "acme,m,input,1,1000000,USD,,,,,,,own,");
        let (reloader, current) = open(folder.path());
        let watch = tokio::spawn(reloader.run(std::time::Duration::from_hours(1), |_| {}));
        drop(current);
        watch.await.unwrap();
    }
}
