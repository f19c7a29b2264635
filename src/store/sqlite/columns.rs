//! Our types as columns: what `schema.sql` says in numbers and bytes.

use rusqlite::Result;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Null, ToSql, ToSqlOutput, ValueRef};

use crate::lead::{DestinationId, SourceId, State, SubmissionId, Timestamp, TraceId};
use crate::store::code::{code, of_code};
use crate::store::identity::IdentityHash;

/// Up to eight hashes, end to end in one column.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Hashes(pub Vec<IdentityHash>);

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let found = i64::column_result(value)?;
        of_code(found).ok_or(FromSqlError::OutOfRange(found))
    }
}

impl ToSql for State {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(code(*self).into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self::from_millis)
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(self.as_millis().into())
    }
}

impl FromSql for SubmissionId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 16]>::column_result(value).map(Self::from_bytes)
    }
}

impl ToSql for SubmissionId {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        self.as_bytes().to_sql()
    }
}

impl FromSql for TraceId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 16]>::column_result(value)
            .and_then(|bytes| Self::from_bytes(bytes).ok_or(FromSqlError::InvalidType))
    }
}

impl ToSql for TraceId {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        self.as_bytes().to_sql()
    }
}

impl FromSql for IdentityHash {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; Self::LEN]>::column_result(value).map(Self::from_bytes)
    }
}

impl ToSql for IdentityHash {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        self.as_bytes().to_sql()
    }
}

impl FromSql for Hashes {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        if value == ValueRef::Null {
            return Ok(Self::default());
        }
        let (hashes, rest) = value.as_blob()?.as_chunks::<{ IdentityHash::LEN }>();
        if !rest.is_empty() {
            return Err(FromSqlError::InvalidType);
        }
        Ok(Self(hashes.iter().copied().map(IdentityHash::from_bytes).collect()))
    }
}

impl ToSql for Hashes {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        if self.0.is_empty() {
            return Ok(Null.into());
        }
        Ok(self.0.iter().flat_map(IdentityHash::as_bytes).copied().collect::<Vec<u8>>().into())
    }
}

macro_rules! name_column {
    ($($name:ident),*) => {$(
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(FromSqlError::other)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                self.as_str().to_sql()
            }
        }
    )*};
}
name_column!(SourceId, DestinationId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_read_back() {
        let hashes = [[1; 16], [2; 16]].map(IdentityHash::from_bytes).to_vec();
        let column = [[1; 16], [2; 16]].concat();
        assert!(Hashes::column_result(ValueRef::Blob(&column)).unwrap() == Hashes(hashes));
        assert!(Hashes::column_result(ValueRef::Blob(&column[1..])).is_err());
        assert!(Hashes::column_result(ValueRef::Null).unwrap().0.is_empty());
    }
}
