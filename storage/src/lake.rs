//! A lake that is open. In: configuration (or any store, in tests). Out: the store under the lake's root and each table's
//! Delta log store. Does no request by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use spendstream_schemas::config::{HOT, LakeConfig, Text, Tier};
use url::Url;

use crate::classed::Classed;
use crate::durable::DurableFileSystem;
use crate::location::Location;
use crate::{StorageError, s3};

/// Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    /// Rooted at the bucket, or at `/`.
    root: Arc<dyn ObjectStore>,
    /// The lake's own, without a slash at its end.
    url: Url,
    /// The lake's place in `root`.
    prefix: Path,
    folder: Option<PathBuf>,
    /// The first of the tiers that lie in this lake's tables.
    tier: Arc<str>,
    /// Tiers with tables of their own, by age.
    colder: Arc<[Lake]>,
}

impl Lake {
    /// Opens the lake of the configuration; relative paths start at the current directory.
    ///
    /// # Errors
    /// When address or options cannot be used.
    pub fn open(config: &LakeConfig) -> Result<Self, StorageError> {
        let hot = Self::open_place(&config.uri, &config.options, None)?;
        let colder = config.tiers_by_age().into_iter().filter_map(|tier| Self::open_tier(&tier).transpose());
        Ok(hot.with_colder(colder.collect::<Result<_, _>>()?))
    }

    /// The place of a tier that has its own; `None` for one that shares the tables of the tier before.
    fn open_tier(tier: &Tier) -> Result<Option<Self>, StorageError> {
        let Some(uri) = &tier.uri else { return Ok(None) };
        let place = Self::open_place(uri, &tier.options, tier.storage_class.as_deref())?;
        Ok(Some(place.of_tier(&tier.name)))
    }

    fn open_place(
        uri: &str,
        options: &BTreeMap<String, Text>,
        storage_class: Option<&str>,
    ) -> Result<Self, StorageError> {
        let wrong = |reason: String| StorageError::Location { uri: uri.to_owned(), reason };
        let base = std::env::current_dir().map_err(|error| wrong(format!("the current directory is gone: {error}")))?;
        match Location::parse(uri, &base)? {
            Location::Local(_) if storage_class.is_some() => {
                Err(wrong("storage_class is for s3:// only: a folder has no classes".to_owned()))
            }
            Location::Local(folder) => {
                let url = Url::from_file_path(&folder).map_err(|()| wrong("it is no absolute path".to_owned()))?;
                let root = Arc::new(DurableFileSystem::new(LocalFileSystem::new()));
                Ok(Self { folder: Some(folder), ..Self::with_store(url, root)? })
            }
            Location::S3 { bucket, url } => {
                let root = s3::open(uri, &bucket, options)?;
                Self::with_store(
                    url,
                    match storage_class {
                        Some(class) => Arc::new(Classed::new(root, class)),
                        None => root,
                    },
                )
            }
        }
    }

    /// The same lake with these places for tiers that have tables of their own, by age.
    #[must_use]
    pub fn with_colder(self, colder: Vec<Lake>) -> Self {
        Self { colder: colder.into(), ..self }
    }

    /// The same lake with the places of these tiers (name and address, by age), for a reader whose configuration says nothing of any: they open
    /// with the lake's own options.
    ///
    /// # Errors
    /// When an address cannot be used with them.
    pub fn with_tiers_of<'t>(
        self,
        tiers: impl IntoIterator<Item = (&'t str, &'t str)>,
        config: &LakeConfig,
    ) -> Result<Self, StorageError> {
        let open = |(name, uri)| Ok(Self::open_place(uri, &config.options, None)?.of_tier(name));
        let colder = tiers.into_iter().map(open).collect::<Result<_, StorageError>>()?;
        Ok(self.with_colder(colder))
    }

    /// The same place as that of a tier.
    #[must_use]
    pub fn of_tier(self, name: &str) -> Self {
        Self { tier: name.into(), ..self }
    }

    /// The first of the tiers that lie in this lake's own tables: `hot`, or the name of a tier with a place of its own.
    #[must_use]
    pub fn tier(&self) -> &str {
        &self.tier
    }

    /// Every place with a table of events: the lake's own first, then those of colder tiers, by age. The order in which they are read.
    pub fn places(&self) -> impl Iterator<Item = &Lake> {
        std::iter::once(self).chain(self.colder.iter())
    }

    /// A lake at `url` in a store that is rooted at the bucket (or at `/`).
    ///
    /// # Errors
    /// When the URL has no place in an object store.
    pub fn with_store(url: Url, root: Arc<dyn ObjectStore>) -> Result<Self, StorageError> {
        let wrong = |reason: String| StorageError::Location { uri: url.to_string(), reason };
        let prefix = Path::from_url_path(url.path()).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { root, prefix, url, folder: None, tier: HOT.into(), colder: Arc::default() })
    }

    /// The same lake through another store, for tests that inject faults.
    #[must_use]
    pub fn wrapped(self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self { root: wrap(self.root), ..self }
    }

    /// The store with the lake as its root.
    #[must_use]
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.root), self.prefix.clone()))
    }

    /// The store with a table's folder as its root.
    #[must_use]
    pub fn table_store(&self, table: &str) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.root), self.prefix.clone().join(table)))
    }

    /// The whole store, and a table's folder in it: for those who compare what it answers with what they asked for.
    #[must_use]
    pub fn table_root(&self, table: &str) -> (Arc<dyn ObjectStore>, Path) {
        (Arc::clone(&self.root), self.prefix.clone().join(table))
    }

    /// The Delta log store of a table; its commits are conditional puts.
    #[must_use]
    pub fn log_store(&self, table: &str) -> LogStoreRef {
        let url = self.table_url(table);
        default_logstore(self.table_store(table), Arc::clone(&self.root), &url, &StorageConfig::default())
    }

    /// The lake's own address, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Where a table lies.
    #[must_use]
    pub fn table_url(&self, table: &str) -> Url {
        let mut url = self.url.clone();
        let path = format!("{}/{table}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    #[must_use]
    pub fn is_local(&self) -> bool {
        self.url.scheme() == "file"
    }

    /// The lake's folder, when it is a local one.
    #[must_use]
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_deref()
    }
}

impl fmt::Display for Lake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            Some(folder) => write!(out, "{}", folder.display()),
            None => write!(out, "{}", self.url),
        }
    }
}

/// Only the address: a store's own `Debug` may show its options.
impl fmt::Debug for Lake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Lake({self})")
    }
}
