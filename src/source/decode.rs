//! A request's body, whatever its content type, as one document of text values.

use std::convert::Infallible;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::preset::FIELDS_MAX;

/// What one body may hold is bounded.
pub const TOO_MANY: DecodeError = DecodeError::Malformed("more than 1000 fields");

const NO_FIELDS: DecodeError = DecodeError::Malformed("the body holds no fields");

/// The most submissions that one array may hold.
const SUBMISSIONS_MAX: usize = 100;

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// 415
    #[error(
        "the content type is none of application/json, application/x-www-form-urlencoded, multipart/form-data and text/plain"
    )]
    ContentType,
    /// 400
    #[error("{0}")]
    Malformed(&'static str),
}

/// What the `Content-Type` header announces.
enum Kind {
    Json,
    Form,
    Multipart(String),
    /// `sendBeacon` and friends: look at the body.
    Text,
}

/// The submissions in a body: usually one, several when the body is a JSON array of objects.
/// Each is an object; numbers keep the text they were written with.
///
/// # Errors
/// A content type that is not taken, or a body that is not what its content type says.
pub async fn decode(content_type: Option<&str>, body: &Bytes) -> Result<Vec<Value>, DecodeError> {
    let kind = kind(content_type)?;
    // Plugins and beacons send JSON under any simple content type: the first byte knows better.
    let looks_like_json = matches!(first_byte(body), Some(b'{' | b'['));
    match kind {
        Kind::Json => submissions(body),
        Kind::Multipart(boundary) => Ok(vec![multipart(&boundary, body).await?]),
        Kind::Text if looks_like_json => submissions(body),
        Kind::Form if looks_like_json => {
            submissions(body).or_else(|error| form(body).map_err(|_| error).map(|one| vec![one]))
        }
        Kind::Text if !body.contains(&b'=') => Err(NO_FIELDS),
        Kind::Form | Kind::Text => Ok(vec![form(body)?]),
    }
}

fn first_byte(body: &[u8]) -> Option<u8> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body); // a byte order mark
    body.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

fn kind(content_type: Option<&str>) -> Result<Kind, DecodeError> {
    let Some(content_type) = content_type else { return Ok(Kind::Text) };
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "text/plain" => Ok(Kind::Text),
        "application/x-www-form-urlencoded" => Ok(Kind::Form),
        "multipart/form-data" => multer::parse_boundary(content_type)
            .map(Kind::Multipart)
            .map_err(|_| DecodeError::Malformed("multipart/form-data without a boundary")),
        json if json == "application/json" || json == "text/json" || json.ends_with("+json") => {
            Ok(Kind::Json)
        }
        _ => Err(DecodeError::ContentType),
    }
}

fn submissions(body: &[u8]) -> Result<Vec<Value>, DecodeError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let document = serde_json::from_slice(body)
        .map_err(|_| DecodeError::Malformed("the body is no JSON, or nested too deeply"))?;
    match document {
        Value::Object(_) => Ok(vec![document]),
        Value::Array(items) if items.is_empty() || !items.iter().all(Value::is_object) => {
            Err(DecodeError::Malformed("expected a JSON object, or an array of objects"))
        }
        Value::Array(items) if items.len() > SUBMISSIONS_MAX => {
            Err(DecodeError::Malformed("more than 100 submissions in one array"))
        }
        Value::Array(items) => Ok(items),
        _ => Err(DecodeError::Malformed("expected a JSON object")),
    }
}

fn form(body: &[u8]) -> Result<Value, DecodeError> {
    let mut fields = Fields::default();
    for (key, value) in url::form_urlencoded::parse(body.trim_ascii()) {
        fields.add(&key, value.into_owned())?;
    }
    fields.into_document()
}

async fn multipart(boundary: &str, body: &Bytes) -> Result<Value, DecodeError> {
    let broken = |_| DecodeError::Malformed("the body is no multipart/form-data");
    let whole = Bytes::clone(body); // shares the buffer
    let stream = futures_util::stream::once(async move { Ok::<_, Infallible>(whole) });
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut fields = Fields::default();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let key = part.name().unwrap_or_default().to_owned();
        let value = match part.file_name() {
            Some(file_name) => file_name.to_owned(), // a file: its name is kept, its content is not
            None => part.text().await.map_err(broken)?,
        };
        fields.add(&key, value)?;
    }
    fields.into_document()
}

/// The fields of a form, in order; a repeated name becomes an array.
#[derive(Default)]
struct Fields {
    map: Map<String, Value>,
    count: usize,
}

impl Fields {
    fn add(&mut self, key: &str, value: String) -> Result<(), DecodeError> {
        self.count += 1;
        if self.count > FIELDS_MAX {
            return Err(TOO_MANY);
        }
        let key = key.strip_suffix("[]").unwrap_or(key); // PHP's spelling of "several"
        if key.is_empty() {
            return Ok(());
        }
        match self.map.get_mut(key) {
            Some(Value::Array(values)) => values.push(Value::String(value)),
            Some(first) => *first = Value::Array(vec![first.take(), Value::String(value)]),
            None => {
                self.map.insert(key.to_owned(), Value::String(value));
            }
        }
        Ok(())
    }

    fn into_document(self) -> Result<Value, DecodeError> {
        if self.map.is_empty() {
            return Err(NO_FIELDS);
        }
        Ok(Value::Object(self.map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preset::flatten;

    async fn read(content_type: &str, body: &str) -> Vec<(String, Vec<String>)> {
        let body = Bytes::from(body.to_owned());
        let mut documents = decode(Some(content_type), &body).await.expect("readable");
        assert_eq!(documents.len(), 1);
        let found = flatten(documents.remove(0)).expect("few fields");
        found.into_iter().map(|field| (field.label, field.values)).collect()
    }

    fn field(path: &str, values: &[&str]) -> (String, Vec<String>) {
        (path.to_owned(), values.iter().map(|&value| value.to_owned()).collect())
    }

    #[tokio::test]
    async fn json_keeps_order_depth_and_every_digit() {
        let body = r#"{"z":"1","id":90071992547409931234,"phone":900000033,"utm":{"source":"fb"},
                       "items":[{"sku":"a"}],"tags":["x",2],"none":null,"yes":true,"price":1.50}"#;
        let expected = [
            field("z", &["1"]),
            field("id", &["90071992547409931234"]),
            field("phone", &["900000033"]),
            field("utm.source", &["fb"]),
            field("items.0.sku", &["a"]),
            field("tags", &["x", "2"]),
            field("yes", &["true"]),
            field("price", &["1.50"]),
        ];
        assert_eq!(read("application/json; charset=utf-8", body).await, expected);
    }

    #[tokio::test]
    async fn forms_keep_repeated_fields_together() {
        let expected = [field("ho_ten", &["Thử Văn"]), field("dich_vu", &["A", "B"])];
        let body = "ho_ten=Th%E1%BB%AD+V%C4%83n&dich_vu%5B%5D=A&dich_vu%5B%5D=B";
        assert_eq!(read("application/x-www-form-urlencoded", body).await, expected);
    }

    #[tokio::test]
    async fn multipart_keeps_a_files_name_and_drops_its_content() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nThử\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"cv\"; filename=\"cv.pdf\"\r\n\
                    Content-Type: application/pdf\r\n\r\nSECRET\r\n--b--\r\n";
        let expected = [field("name", &["Thử"]), field("cv", &["cv.pdf"])];
        assert_eq!(read("multipart/form-data; boundary=b", body).await, expected);
    }

    #[tokio::test]
    async fn beacons_hold_json_or_pairs() {
        let expected = [field("phone", &["0900000030"])];
        assert_eq!(read("text/plain;charset=UTF-8", r#" {"phone":"0900000030"}"#).await, expected);
        assert_eq!(read("text/plain", "phone=0900000030").await, expected);
        let mislabelled = r#"{"phone":"0900000030"}"#;
        assert_eq!(read("application/x-www-form-urlencoded", mislabelled).await, expected);
    }

    #[tokio::test]
    async fn what_is_not_understood_is_refused_by_name() {
        let refusal = |content_type, body: &'static str| async move {
            decode(Some(content_type), &Bytes::from_static(body.as_bytes())).await.err()
        };
        assert_eq!(refusal("image/png", "x").await, Some(DecodeError::ContentType));
        for (content_type, body) in [
            ("application/json", "{"),
            ("application/json", "3"),
            ("application/json", "[1]"),
            ("application/x-www-form-urlencoded", ""),
            ("multipart/form-data", "x"),
            ("multipart/form-data; boundary=b", "x"),
        ] {
            let refused = refusal(content_type, body).await;
            assert!(matches!(refused, Some(DecodeError::Malformed(_))), "{content_type} {body}");
        }
        for text in ["hello", r#"{"phone":"0900000030""#, "[1=2]", " "] {
            let body = Bytes::from(text);
            assert!(decode(Some("text/plain"), &body).await.is_err(), "{text}");
        }
        let deep = Bytes::from("[".repeat(100_000));
        assert!(decode(Some("application/json"), &deep).await.is_err());
        let wide = Bytes::from("a=1&".repeat(1001));
        assert!(decode(None, &wide).await.is_err());
        let long = serde_json::json!({ "phone": vec!["1"; 1001] });
        assert!(flatten(long).is_err());
    }

    proptest! {
        #![proptest_config(crate::normalise::laws())]

        #[test]
        fn no_body_panics(
            content_type in prop::sample::select(vec![
                "application/json", "text/plain", "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=b",
            ]),
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let body = Bytes::from(body);
            let decoded = futures_util::FutureExt::now_or_never(decode(Some(content_type), &body));
            for document in decoded.and_then(Result::ok).unwrap_or_default() {
                let _ = flatten(document);
            }
        }
    }
}
