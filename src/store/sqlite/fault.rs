//! What goes wrong beneath the store, and whose fault it is.

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Why a piece of work on the database did not succeed. What it had written is rolled back.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    /// A stored value that this version did not write; says which, not what it is.
    #[error("{0}")]
    Unreadable(&'static str),
}

impl Fault {
    /// Whether whatever else is tried now will fail like this: the disk is full or failing.
    pub(super) fn is_the_disks(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::NotADatabase
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::OutOfMemory
            )
        )
    }

    /// As callers of the store see it. SQLite's messages name tables and columns, never values.
    pub(super) fn to_store_error(&self) -> StoreError {
        match self {
            Self::Unreadable(what) => StoreError::Corrupt((*what).to_owned()),
            Self::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                    StoreError::Corrupt(error.to_string())
                }
                _ => StoreError::Unavailable(error.to_string()),
            },
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        fault.to_store_error()
    }
}
