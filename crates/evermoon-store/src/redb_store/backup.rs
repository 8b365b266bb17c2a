//! A copy of a world in another file, while the world goes on being used.
//!
//! Invariant: the file at the target's path is a whole copy or is not there. It is made beside it, under a name that ends in `.part`, and
//! renamed when everything is on the disk.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::failure::guarded;
use super::{FORMAT, HEAD, RedbOptions, RedbStore, sync_directory};
use crate::batch::Batch;
use crate::error::{Result, StoreError};
use crate::store::{Durability, Head, Progress, Scan, Store};

/// How much goes into one commit of the copy.
const PIECE_BYTES: u64 = 4 << 20;

impl RedbStore {
    /// Copies one version of this world, its counters too, to a new file at `path`. `None` when `progress` broke off; there is no file then.
    /// The copy has no free space in it, and takes no memory that grows with the world.
    pub fn backup(
        &self,
        path: impl AsRef<Path>,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Head>> {
        let path = path.as_ref();
        let failed = |doing: &str, error| {
            StoreError::from_io(format!("{doing} '{}'", path.display()), error)
        };
        if path.exists() {
            return Err(failed("copying to", io::ErrorKind::AlreadyExists.into()));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        // What an earlier copy left when it was cut short.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("copying to", error));
            }
            _ => {}
        }
        let done = self.copy_to(&part, progress);
        let Ok(Some(head)) = done else {
            let _ = fs::remove_file(&part);
            return done;
        };
        fs::rename(&part, path).map_err(|error| failed("renaming to", error))?;
        sync_directory(path).map_err(|error| failed("copying to", error))?;
        let _ = progress(1.0);
        Ok(Some(head))
    }

    fn copy_to(&self, part: &Path, progress: &mut Progress<'_>) -> Result<Option<Head>> {
        let view = self.shared.view()?;
        let row = view.row;
        let entries = guarded(|| Ok(redb::ReadableTableMetadata::len(&view.entries)?));
        let entries = entries.map_err(|failure| self.shared.settle(failure))?;
        let mut copy = RedbStore::open(part, RedbOptions::default())?;
        let (mut version, mut copied) = (0, 0u64);
        let mut batch = Batch::new();
        let mut failure = None;
        let mut is_broken_off = false;
        self.shared.visit(&view, Scan::all(), &mut |key, value| {
            batch.put(key, value);
            copied += 1;
            if batch.payload_bytes() < PIECE_BYTES {
                return ControlFlow::Continue(());
            }
            match copy.commit(version, 0, &batch, Durability::Relaxed) {
                Ok(next) => version = next,
                Err(error) => {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            batch.clear();
            let told = progress((copied as f64 / entries.max(1) as f64).min(0.99));
            is_broken_off = told.is_break();
            told
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        if is_broken_off {
            return Ok(None);
        }
        copy.commit(version, 0, &batch, Durability::Durable)?;
        // The copy's own count of commits gives way to the world's.
        copy.shared.with_database(|database| {
            let transaction = database.begin_write()?;
            transaction
                .open_table(HEAD)?
                .insert((), (FORMAT, row.1, row.2, row.3))?;
            Ok(transaction.commit()?)
        })?;
        copy.close();
        Ok(Some(super::head_of(row)))
    }
}
