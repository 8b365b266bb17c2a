//! Errors on their way out of redb, and the net under it: redb checks its pages' checksums only after a crash, and may panic over a page that
//! has changed on the disk. A store answers with an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::StoreError;
use crate::medium::{Meter, STRANGER};

/// Runs redb's code, and no caller's: a panic is redb's own then.
pub(super) fn guarded<T>(
    work: impl FnOnce() -> std::result::Result<T, Failure>,
) -> std::result::Result<T, Failure> {
    // What a panic leaves behind is closed and dropped by whoever settles the failure.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Failure::Panic(text.unwrap_or_default()))
    })
}

/// Drops what redb may have left in disorder.
pub(super) fn let_go<T>(what: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(what)));
}

/// An error on its way out: redb's, or already ours.
pub(super) enum Failure {
    Redb(redb::Error),
    Stranger(String),
    Ours(StoreError),
    /// redb panicked, and said this.
    Panic(String),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Redb(error.into())
    }
}

impl Failure {
    /// In our words. What redb says only by "there was an error before" is looked up.
    pub(super) fn tell(self, name: &str, meter: &Meter) -> StoreError {
        let error = match self {
            Failure::Ours(error) => return error,
            Failure::Stranger(why) => {
                return StoreError::NotAStore {
                    name: name.to_owned(),
                    why,
                };
            }
            Failure::Panic(why) => {
                return StoreError::Corrupt {
                    what: format!("the database gave up on what it found: {why}"),
                };
            }
            Failure::Redb(error) => error,
        };
        match error {
            redb::Error::Io(error) if error.to_string() == STRANGER => StoreError::NotAStore {
                name: name.to_owned(),
                why: STRANGER.to_owned(),
            },
            redb::Error::Io(error) => StoreError::from_io(name, error),
            redb::Error::PreviousIo => match meter.failure() {
                Some(error) => StoreError::from_io(name, error),
                None => StoreError::Closed {
                    why: error.to_string(),
                },
            },
            redb::Error::DatabaseAlreadyOpen => StoreError::Busy {
                name: name.to_owned(),
            },
            redb::Error::DatabaseClosed => StoreError::Closed {
                why: "by another handle, or by an earlier failure".to_owned(),
            },
            redb::Error::UpgradeRequired(version) => StoreError::NotAStore {
                name: name.to_owned(),
                why: format!("its redb format is {version}, which no evermoon has written"),
            },
            error => StoreError::Corrupt {
                what: error.to_string(),
            },
        }
    }
}
