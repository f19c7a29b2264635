//! Who is to be erased, and what came of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::console::api::receipt::Receipt;

/// Who is to be erased: by one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the document is made of it; forget.rs reads")]
pub struct Forget {
    /// In any spelling.
    #[schema(example = "0900 000 001")]
    phone: Option<String>,
    #[schema(example = "thu@example.vn")]
    email: Option<String>,
}

/// How many submissions were erased.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    pub erased: u64,
    pub receipt: Receipt,
}
