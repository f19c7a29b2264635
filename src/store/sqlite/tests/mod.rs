//! The conformance suite over SQLite, and what is SQLite's own.

mod files;
mod recovery;
mod sealed;
mod writing;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::store::conformance::{Bed, conformance, options, options_with_secret};

conformance!(open);

/// A store that moves its claims all the time, so that the suite sees them in every place.
async fn open() -> Bed {
    let folder = Folder::new();
    let store = folder.open();
    Bed::new(Arc::new(store), folder)
}

/// Small enough that everything happens often.
const TUNING: Tuning = Tuning { checkpoint_pages: 64, run_length: 8, moved_min: 1 };

/// A text that hardly gets shorter when it is compressed; another one for each seed.
fn babble(seed: u64, length: usize) -> String {
    let mut state = seed;
    let letter = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + u8::try_from(state >> 58).unwrap())
    };
    (0..length).map(letter).collect()
}

/// A folder with a database in it, which goes with it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn database(&self) -> PathBuf {
        self.0.path().join("leads.db")
    }

    fn open(&self) -> Sqlite {
        self.try_open(&options()).unwrap()
    }

    fn try_open(&self, options: &Options) -> Result<Sqlite, StoreError> {
        Sqlite::open_tuned(&self.database(), options, TUNING)
    }

    /// The files as they are on the disk at this moment, as a crash would leave them.
    fn copy(&self) -> Self {
        let copy = Self::new();
        for name in ["leads.db", "leads.db-wal"] {
            fs::copy(self.0.path().join(name), copy.0.path().join(name)).unwrap();
        }
        copy
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap_or_default()
    }
}
