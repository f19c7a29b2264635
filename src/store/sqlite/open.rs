//! Opening the database's files: one process at a time, readable by its owner alone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::fault::Fault;
use crate::store::identity::IdentityHash;
use crate::store::keyring::{self, KeyBytes, Keyring};
use crate::store::payload::Vault;
use crate::store::{Options, StoreError};

const SCHEMA: &str = include_str!("schema.sql");
/// Of [`SCHEMA`], in the file's header (`user_version`).
const VERSION: i64 = 5;
/// What makes [`SCHEMA`] of the versions before, and the version that each begins with, in order.
const UPGRADES: [(i64, &str); 3] = [
    (2, include_str!("upgrade_3.sql")),
    (3, include_str!("upgrade_4.sql")),
    (4, include_str!("upgrade_5.sql")),
];
/// Says in the file's header that it is ours: "Lead".
const APPLICATION: i64 = 0x4c65_6164;

/// Only a checkpoint and the writer ever meet; whoever waits longer than this waits for a process
/// that should not be there.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Whoever had the database before may still be going; and while a process starts another program,
/// that has its files for a moment.
const LOCK_TRIES: u32 = 20;
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// More than there are statements.
const STATEMENTS_MAX: usize = 128;

/// The right to be the process that uses the database, held as long as this lives. The file stays
/// when the right is given back: removing it would race with whoever waits for it.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, or says that somebody else has it.
    #[allow(clippy::disallowed_methods, reason = "nobody tells when a file's lock is let go of")]
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        let failed = |error| io_error("locking", &path, &error);
        let file =
            private().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(error)) => return Err(io_error("locking", &path, &error)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_WAIT),
            }
        }
        let database = database.display();
        let used = format!("{database} is in use by another leadgate process");
        Err(StoreError::Unavailable(used))
    }
}

/// Creates the folders above the database where they are missing.
pub(super) fn create_folders(database: &Path) -> Result<(), StoreError> {
    let folder = folder_of(database);
    fs::create_dir_all(folder).map_err(|error| io_error("creating", folder, &error))
}

/// Creates the database's file where it is missing.
pub(super) fn create(database: &Path) -> Result<(), StoreError> {
    let created = private().write(true).create_new(true).open(database);
    match created {
        // A file whose name was not written down is lost with the power.
        Ok(_) => File::open(folder_of(database)).and_then(|folder| folder.sync_all()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| io_error("creating", database, &error))
}

fn folder_of(database: &Path) -> &Path {
    match database.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A connection that writes, durably: a commit returns when its log is on the disk.
pub(super) fn connect(database: &Path) -> Result<Connection, StoreError> {
    configure(database).map_err(|fault| in_file(database, &fault))
}

/// A connection that only reads.
pub(super) fn connect_reading(database: &Path) -> Result<Connection, StoreError> {
    let db = connect(database)?;
    db.pragma_update(None, "query_only", true).map_err(Fault::from)?;
    Ok(db)
}

fn configure(database: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(database, flags)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Or SQLite plans a statement anew whenever a value is bound that a partial index might care
    // for, as `state = ?` does: at every lease and every settlement. Which index is used is
    // written in those statements.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?; // checkpoint.rs does it
    // What is erased is overwritten, in pages that are written anyway and in those set free.
    db.pragma_update(None, "secure_delete", true)?;
    Ok(db)
}

/// Makes the tables in a new file; refuses one that is not ours or that a newer version wrote.
pub(super) fn prepare(db: &Connection, database: &Path, log_max: u64) -> Result<(), StoreError> {
    let told = |fault: Fault| in_file(database, &fault);
    let application = pragma(db, "application_id").map_err(told)?;
    let version = pragma(db, "user_version").map_err(told)?;
    let wrong = |what: &str| StoreError::Corrupt(format!("{}: {what}", database.display()));
    match (application, version) {
        (APPLICATION, VERSION) => {}
        (APPLICATION, found) if UPGRADES.iter().any(|(from, _)| *from == found) => {
            let steps = UPGRADES.iter().filter(|(from, _)| *from >= found);
            let steps: String = steps.map(|(_, sql)| *sql).collect();
            change(db, &steps).map_err(told)?;
        }
        (APPLICATION, _) => {
            return Err(wrong("written by another version of leadgate"));
        }
        (0, 0) if is_empty(db).map_err(told)? => create_tables(db).map_err(told)?,
        _ => return Err(wrong("a database, but not one of leadgate's")),
    }
    // The log's file keeps this size when the log begins anew: writing over it costs less than
    // making it longer.
    let limit = i64::try_from(log_max).unwrap_or(i64::MAX);
    db.pragma_update(None, "journal_size_limit", limit).map_err(|error| told(error.into()))
}

/// The vault of the secrets, or of the key that the store keeps. A store is refused when none of
/// them leads to the key that it began with: it would recognise nobody, and every person would
/// become a second lead.
pub(super) fn vault(
    db: &Connection,
    database: &Path,
    options: &Options,
) -> Result<Vault, StoreError> {
    let told = |error: rusqlite::Error| in_file(database, &error.into());
    let began_with: Option<[u8; IdentityHash::LEN]> =
        read_meta(db, "identity_fingerprint").map_err(told)?;
    let Some(keyring) = Keyring::of(&options.secrets) else {
        let kept: Option<KeyBytes> = read_meta(db, "identity_key").map_err(told)?;
        let key = kept.map_or_else(random, Ok)?;
        if began_with.is_some_and(|began| began != *keyring::fingerprint_of(&key).as_bytes()) {
            return Err(another_secret(database));
        }
        write_meta(db, "identity_key", &key).map_err(told)?;
        begin_with(db, &key).map_err(told)?;
        return Ok(Vault::from_random(&key));
    };
    let kept: Vec<Option<Vec<u8>>> = keyring
        .names()
        .iter()
        .map(|name| read_meta(db, name))
        .collect::<Result<_, _>>()
        .map_err(told)?;
    let key = match began_with {
        None => keyring.first(),
        Some(began) => keyring.find(&began, &kept).ok_or_else(|| another_secret(database))?,
    };
    begin_with(db, &key).map_err(told)?;
    for (name, copy) in keyring.lacking(&key, &kept) {
        put_meta(db, name, &copy).map_err(told)?;
    }
    Ok(keyring.vault(&key))
}

fn begin_with(db: &Connection, key: &KeyBytes) -> Result<(), rusqlite::Error> {
    write_meta(db, "identity_fingerprint", keyring::fingerprint_of(key).as_bytes())
}

fn another_secret(database: &Path) -> StoreError {
    StoreError::Unavailable(format!(
        "{} was begun with another store.secret (or with none): set the one it was begun with, or \
         that one behind the new one (store.secret = [new, old]), or begin with a new file",
        database.display()
    ))
}

fn create_tables(db: &Connection) -> Result<(), Fault> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    change(db, SCHEMA)
}

/// Changes the schema to this version's, whole or not at all.
fn change(db: &Connection, sql: &str) -> Result<(), Fault> {
    db.execute_batch(&format!(
        "BEGIN EXCLUSIVE; {sql}
         PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
    ))?;
    Ok(())
}

fn is_empty(db: &Connection) -> Result<bool, Fault> {
    let things: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(things == 0)
}

fn pragma(db: &Connection, name: &str) -> Result<i64, Fault> {
    Ok(db.pragma_query_value(None, name, |row| row.get(0))?)
}

fn read_meta<T: FromSql>(db: &Connection, name: &str) -> Result<Option<T>, rusqlite::Error> {
    db.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
}

/// Writes what nobody wrote before.
fn write_meta(db: &Connection, name: &str, value: &[u8]) -> Result<(), rusqlite::Error> {
    db.execute("INSERT OR IGNORE INTO meta (name, value) VALUES (?1, ?2)", (name, value)).map(drop)
}

/// Writes it, whatever was there.
fn put_meta(db: &Connection, name: &str, value: &[u8]) -> Result<(), rusqlite::Error> {
    db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", (name, value)).map(drop)
}

fn random() -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
    Ok(bytes)
}

/// Files that only their owner reads: they hold persons. SQLite gives its log the same mode.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn io_error(doing: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{doing} {}: {error}", path.display()))
}

fn in_file(database: &Path, fault: &Fault) -> StoreError {
    match fault.to_store_error() {
        StoreError::Corrupt(what) => StoreError::Corrupt(format!("{}: {what}", database.display())),
        other => StoreError::Unavailable(format!("{}: {other}", database.display())),
    }
}
