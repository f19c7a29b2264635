//! Types that are written as text of a kind.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::lead::{DestinationId, Phone, SourceId, State, SubmissionId, Timestamp, TraceId};

/// A type that is written as text of a kind.
macro_rules! text_schema {
    ($name:ident, $schema:expr) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text: ObjectBuilder = $schema(ObjectBuilder::new().schema_type(Type::String));
                text.build().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

text_schema!(SubmissionId, |text: ObjectBuilder| {
    text.format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .description(Some("A submission's id: a UUID version 7, so ids sort by time."))
});
text_schema!(TraceId, |text: ObjectBuilder| {
    text.pattern(Some("^[0-9a-f]{32}$")).description(Some("A trace's id, as in W3C's traceparent."))
});
text_schema!(Timestamp, |text: ObjectBuilder| {
    text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("RFC 3339, UTC, milliseconds."))
});
text_schema!(SourceId, |text: ObjectBuilder| {
    text.pattern(Some(NAME)).description(Some("The name of a configured source."))
});
text_schema!(DestinationId, |text: ObjectBuilder| {
    text.pattern(Some(NAME)).description(Some("The name of a CareSoft account and its lane."))
});
text_schema!(Phone, |text: ObjectBuilder| {
    text.pattern(Some(r"^\+[0-9]{7,15}$")).description(Some("A phone number in E.164."))
});
text_schema!(State, |text: ObjectBuilder| {
    let states = State::ALL.map(State::as_str);
    text.enum_values(Some(states)).description(Some("What became of a submission."))
});

/// What a name may be.
const NAME: &str = "^[A-Za-z0-9_-]{1,64}$";
