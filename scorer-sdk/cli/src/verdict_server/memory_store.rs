//! Where memories lie: a folder, or a bucket of a cloud. This file hides the rest from everything
//! asynchronous: its functions block, and are called where that may be.

use anyhow::{Context, Result, anyhow, bail};
use futures_util::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::fs;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;
use url::Url;

/// Longest time for one step.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest time for the list of all objects.
const PATIENCE_FOR_LIST: Duration = Duration::from_secs(60);
/// Objects in a place beyond which it is not taken for one of memories.
const MAX_OBJECTS: usize = 100_000;

/// An object in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without the place's own path.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was written, in milliseconds since the Unix epoch.
    pub modified_ms: u64,
}

/// A place with objects, each of them written as a whole or not at all.
#[derive(Debug)]
pub struct Store {
    objects: Box<dyn ObjectStore>,
    folder: Path,
    handle: Handle,
}

impl Store {
    /// Opens a folder, which is made where there is none, or a bucket by its URL (`s3://`, `gs://`,
    /// `az://`). What opens a bucket comes from the environment, as that cloud's own tools take it.
    ///
    /// # Errors
    /// When the folder cannot be made, or this command was built without clouds.
    pub fn open(place: &str, handle: Handle) -> Result<Self> {
        let (objects, folder): (Box<dyn ObjectStore>, Path) = if place.contains("://") {
            let url = Url::parse(place).with_context(|| format!("{place} is no URL"))?;
            let environment = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
            object_store::parse_url_opts(&url, environment).with_context(|| {
                let how = if cfg!(feature = "cloud") {
                    "write it as s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH"
                } else {
                    "this serin keeps memories in folders alone; build it with --features cloud"
                };
                format!("{place} cannot be opened: {how}")
            })?
        } else {
            fs::create_dir_all(place).with_context(|| format!("cannot make {place}"))?;
            let folder = LocalFileSystem::new_with_prefix(place)
                .with_context(|| format!("cannot open {place}"))?;
            (Box::new(folder), Path::default())
        };
        Ok(Self {
            objects,
            folder,
            handle,
        })
    }

    /// The objects.
    ///
    /// # Errors
    /// When they cannot be listed, or there are too many.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let list = async {
            let mut found = Vec::new();
            let folder = (!self.folder.as_ref().is_empty()).then_some(&self.folder);
            let mut listed = self.objects.list(folder);
            while let Some(object) = listed.next().await {
                let object = object?;
                if found.len() >= MAX_OBJECTS {
                    bail!(
                        "there are more than {MAX_OBJECTS} objects: give memories a place of their own"
                    );
                }
                let Some(name) = object.location.filename() else {
                    continue;
                };
                found.push(Listed {
                    name: name.to_owned(),
                    bytes: object.size,
                    modified_ms: u64::try_from(object.last_modified.timestamp_millis())
                        .unwrap_or(0),
                });
            }
            Ok(found)
        };
        self.wait(PATIENCE_FOR_LIST, list)?
            .context("memories cannot be listed")
    }

    /// An object of at most `most` bytes; none where there is none of that name.
    ///
    /// # Errors
    /// When it cannot be read, or is longer.
    pub fn get(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>> {
        let get = async {
            let found = match self.objects.get(&self.at(name)).await {
                Ok(found) => found,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(anyhow!(error)),
            };
            // Nothing is read of what is too long.
            if found.meta.size > most as u64 {
                bail!("{name} has {} bytes, and {most} are read", found.meta.size);
            }
            Ok(Some(found.bytes().await?.to_vec()))
        };
        self.wait(PATIENCE, get)?
            .context("the memory cannot be read")
    }

    /// Writes an object, in the place of an older one.
    ///
    /// # Errors
    /// When it cannot be written; an older one stands then.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let at = self.at(name);
        let put = self.objects.put(&at, PutPayload::from(bytes));
        self.wait(PATIENCE, put)?
            .context("the memory cannot be written")?;
        Ok(())
    }

    /// Removes an object.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        let at = self.at(name);
        match self.wait(PATIENCE, self.objects.delete(&at))? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error).context("an old memory cannot be removed"),
        }
    }

    fn at(&self, name: &str) -> Path {
        Path::from_iter(self.folder.parts().chain(Path::from(name).parts()))
    }

    fn wait<T>(&self, patience: Duration, work: impl Future<Output = T>) -> Result<T> {
        // The clock is that of the handle's runtime.
        self.handle
            .block_on(async { timeout(patience, work).await })
            .with_context(|| format!("nothing came within {} s", patience.as_secs()))
    }
}
