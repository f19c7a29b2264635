//! The few pages that a visitor's browser may be shown. Self-contained, in Vietnamese and English.

/// A page: the head and the style that all of them share, and its own part.
macro_rules! page {
    ($file:literal) => {
        concat!(include_str!("pages/head.html"), include_str!($file))
    };
}

/// Their content type.
pub const HTML: &str = "text/html; charset=utf-8";

/// Where a browser goes after a post when its source names no page.
pub const THANKS_PATH: &str = "/thanks";

/// The page at [`THANKS_PATH`].
pub const THANKS: &str = page!("pages/thanks.html");

/// The form that a gateway without configuration shows at `/`.
pub const SAMPLE_FORM: &str = page!("pages/sample_form.html");

const REFUSAL: &str = page!("pages/refusal.html");

/// The page for a post that was not taken. Holds words of ours only.
pub fn refusal(vietnamese: &str, english: &str) -> String {
    REFUSAL.replace("{vietnamese}", vietnamese).replace("{english}", english)
}
