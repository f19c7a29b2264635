//! Why something is as it is, in the reader's language: the gateway's own words are stored in
//! English. CareSoft's, which follow them, stay as CareSoft said them.

use std::borrow::Cow;

use super::words::Language;

/// A reason of ours in Vietnamese. `{}` is a number, a word, or at the end what follows: that may
/// be a reason of ours again.
const REASONS: &[(&str, &str)] = &[
    // What no lead can be made of.
    (
        "neither a phone number nor an e-mail address could be used",
        "không có số điện thoại hay e-mail nào dùng được",
    ),
    ("its honeypot is filled in", "ô bẫy robot đã bị điền"),
    ("more than 1000 fields", "có hơn 1000 trường"),
    (
        "it asks to erase a lead and does not say which",
        "yêu cầu xóa một khách nhưng không nói khách nào",
    ),
    (
        "it holds no event where this platform puts them",
        "không có sự kiện nào ở chỗ nền tảng này thường đặt",
    ),
    ("it holds no event of a lead", "không có sự kiện nào về khách"),
    ("it holds more than 1000 events", "có hơn 1000 sự kiện"),
    ("it holds {} leads; replay cannot tell which", "có {} khách; không biết gửi lại khách nào"),
    (
        "it lacks what a lead of this platform has",
        "thiếu dữ liệu mà khách của nền tảng này phải có",
    ),
    ("it does not say what kind of event it is", "không nói đây là loại sự kiện nào"),
    ("nothing of what was posted is kept", "không còn lưu dữ liệu đã gửi"),
    ("its source is not configured any more", "nguồn của nó không còn trong cấu hình"),
    ("more than 100 submissions in one array", "có hơn 100 lượt gửi trong một mảng"),
    ("the body holds no fields", "nội dung không có trường nào"),
    ("the body is no JSON, or nested too deeply", "nội dung không phải JSON, hoặc lồng quá sâu"),
    ("the body is no multipart/form-data", "nội dung không phải multipart/form-data"),
    ("expected a JSON object, or an array of objects", "cần một đối tượng JSON hoặc một mảng"),
    ("expected a JSON object", "cần một đối tượng JSON"),
    ("multipart/form-data without a boundary", "multipart/form-data không có boundary"),
    (
        "the content type is none of application/json, application/x-www-form-urlencoded, multipart/form-data and text/plain",
        "kiểu nội dung không phải application/json, application/x-www-form-urlencoded, multipart/form-data hay text/plain",
    ),
    // How an attempt ended.
    ("created", "đã tạo"),
    ("absent", "không thấy"),
    ("unclear", "chưa rõ"),
    ("send again", "sẽ gửi lại"),
    ("retry", "sẽ thử lại"),
    ("postponed", "hoãn lại"),
    ("unknown", "chưa rõ"),
    ("dead", "thất bại"),
    ("added", "đã thêm"),
    ("added before", "đã thêm từ trước"),
    ("with lead", "đã gửi cùng khách"),
    ("nothing new", "không có gì mới"),
    ("given up", "bỏ cuộc"),
    ("hidden", "nền tảng không cho xem"),
    ("unusable", "không dùng được"),
    ("test", "lượt thử"),
    ("read", "đã đọc"),
    // What a receipt says.
    (
        "it was erased before; CareSoft was not asked",
        "đã được xóa từ trước; CareSoft không được yêu cầu xóa",
    ),
    (
        "one submission was erased, by its id: nothing else of its person is found by that; CareSoft was not asked",
        "đã xóa một lượt gửi, theo mã của nó: không tìm được gì khác của người đó theo cách này; CareSoft không được yêu cầu xóa",
    ),
    (
        "nobody was known by that; what was received until now, and is read within 90 days, is erased then; CareSoft was not asked",
        "không có ai như vậy; những gì đã nhận đến lúc này mà trong 90 ngày nữa mới đọc tới cũng sẽ bị xóa khi đó; CareSoft không được yêu cầu xóa",
    ),
    (
        "leads, raw bodies, platform ids and claims are erased; what was received until now, and is read within 90 days, is erased then; CareSoft was not asked",
        "đã xóa khách, nội dung gốc, mã của nền tảng và dấu chống trùng; những gì đã nhận đến lúc này mà trong 90 ngày nữa mới đọc tới cũng sẽ bị xóa khi đó; CareSoft không được yêu cầu xóa",
    ),
    (
        "leads, raw bodies, platform ids and claims are erased, also in this process's spool; what was received until now, and is read within 90 days, is erased then, also from other processes' spools; CareSoft was not asked",
        "đã xóa khách, nội dung gốc, mã của nền tảng và dấu chống trùng, cả trong bộ đệm của tiến trình này; những gì đã nhận đến lúc này mà trong 90 ngày nữa mới đọc tới cũng sẽ bị xóa khi đó, kể cả từ bộ đệm của các tiến trình khác; CareSoft không được yêu cầu xóa",
    ),
    // What is fetched.
    (
        "its source is not configured, or fetches nothing any more",
        "nguồn của nó không còn trong cấu hình, hoặc không còn tải gì",
    ),
    ("its preset fetches nothing", "mẫu của nó không tải gì"),
    ("the notice cannot be read", "không đọc được thông báo"),
    ("the notice is no object", "thông báo không phải là đối tượng"),
    ("there is no token to fetch it with", "không có mã truy cập để tải"),
    ("the pace of its source is used up", "nguồn của nó đã dùng hết nhịp"),
    ("{}: nothing says where it is", "{}: không biết tải ở đâu"),
    ("others of its source are fetched first", "các lượt khác của nguồn được tải trước"),
    ("lead: could not connect", "khách: không kết nối được"),
    ("lead: no answer in time", "khách: không có trả lời kịp lúc"),
    ("lead: the connection broke", "khách: kết nối bị đứt"),
    ("lead: the answer is no JSON", "khách: trả lời không phải JSON"),
    ("form: could not connect", "biểu mẫu: không kết nối được"),
    ("form: no answer in time", "biểu mẫu: không có trả lời kịp lúc"),
    ("form: the connection broke", "biểu mẫu: kết nối bị đứt"),
    ("form: the answer is no JSON", "biểu mẫu: trả lời không phải JSON"),
    // What CareSoft's answers mean.
    ("given up after {} h: {}", "bỏ cuộc sau {} giờ: {}"),
    ("outcome unknown after sending it {} times: {}", "không rõ kết quả sau {} lần gửi: {}"),
    ("it is not to be found", "không tìm thấy"),
    ("refused (HTTP {}): {}", "bị từ chối (HTTP {}): {}"),
    ("configuration refused (HTTP {}): {}", "cấu hình bị từ chối (HTTP {}): {}"),
    ("could not connect: {}", "không kết nối được: {}"),
    ("could not make the request: {}", "không tạo được yêu cầu: {}"),
    ("too many requests: {}", "quá nhiều yêu cầu: {}"),
    ("locked out: {}", "bị khóa: {}"),
    ("outcome not known: {}", "không rõ kết quả: {}"),
    ("no answer in time", "không có trả lời kịp lúc"),
    ("could not connect", "không kết nối được"),
    ("the connection broke", "kết nối bị đứt"),
];

/// Reasons within reasons.
const DEPTH_MAX: usize = 4;

/// A reason as it is shown.
pub(super) fn told(reason: &str, language: Language) -> Cow<'_, str> {
    match language {
        Language::English => Cow::Borrowed(reason),
        Language::Vietnamese => vietnamese(reason, DEPTH_MAX),
    }
}

fn vietnamese(reason: &str, depth: usize) -> Cow<'_, str> {
    let translated = REASONS.iter().find_map(|(english, vietnamese)| {
        let values = values(reason, english)?;
        let mut parts = vietnamese.split("{}");
        let mut told = parts.next()?.to_owned();
        for (place, (value, part)) in values.iter().zip(parts).enumerate() {
            // Only what comes last can be a reason itself.
            let is_last = place + 1 == values.len() && depth > 0;
            let value = if is_last { self::vietnamese(value, depth - 1) } else { (*value).into() };
            told.push_str(&value);
            told.push_str(part);
        }
        Some(told)
    });
    translated.map_or(Cow::Borrowed(reason), Cow::Owned)
}

/// What stands for each `{}` of `pattern`, where `text` is made by it.
fn values<'a>(text: &'a str, pattern: &str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut values = Vec::new();
    for part in parts {
        let end = if part.is_empty() { rest.len() } else { rest.find(part)? };
        let (value, behind) = rest.split_at_checked(end)?;
        values.push(value);
        rest = behind.strip_prefix(part)?;
    }
    rest.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caresoft::Failure;
    use crate::console::api::receipt::{Searched, Told};
    use crate::preset::LACKING;

    fn told(reason: &str) -> String {
        super::told(reason, Language::Vietnamese).into_owned()
    }

    #[test]
    fn our_words_are_translated_and_caresofts_are_not() {
        for (reason, expected) in [
            (
                "refused (HTTP 400): service_id {} is unknown: {}",
                "bị từ chối (HTTP 400): service_id {} is unknown: {}",
            ),
            (
                "given up after 72 h: could not connect: refused",
                "bỏ cuộc sau 72 giờ: không kết nối được: refused",
            ),
            (
                "outcome unknown after sending it 6 times: it is not to be found",
                "không rõ kết quả sau 6 lần gửi: không tìm thấy",
            ),
            (
                "it holds 3 leads; replay cannot tell which",
                "có 3 khách; không biết gửi lại khách nào",
            ),
            ("Số điện thoại không hợp lệ", "Số điện thoại không hợp lệ"),
            ("", ""),
        ] {
            assert_eq!(told(reason), expected);
        }
        let deep = "locked out: ".repeat(50);
        assert!(told(&deep).starts_with("bị khóa: bị khóa: "));
        assert_eq!(
            super::told("more than 1000 fields", Language::English),
            "more than 1000 fields"
        );
    }

    #[test]
    fn every_failure_has_its_words() {
        let message = || "CareSoft nói".to_owned();
        for failure in [
            Failure::NotSent { message: message() },
            Failure::Unbuildable { message: message() },
            Failure::Throttled { retry_after: None, message: message() },
            Failure::LockedOut { retry_after: None, message: message() },
            Failure::Configuration { status: 401, message: message() },
            Failure::Ambiguous { message: message() },
            Failure::Rejected { status: 400, message: message() },
        ] {
            let reason = failure.to_string();
            let told = told(&reason);
            assert!(told != reason && told.ends_with(": CareSoft nói"), "{reason}: {told}");
        }
        assert_ne!(told(LACKING), LACKING);
    }

    #[test]
    fn every_receipt_has_its_words() {
        for (searched, submissions) in
            Searched::ALL.into_iter().flat_map(|one| [(one, 0), (one, 1)])
        {
            let carried = format!("erasure-3f9c2a5d81e047b6-{submissions}-{}", searched.as_str());
            let says = Told::read(&carried).unwrap().says;
            let told = told(says);
            assert!(told != says && told.contains("CareSoft không được"), "{says}: {told}");
        }
    }

    #[test]
    fn both_languages_have_the_same_places() {
        for (english, vietnamese) in REASONS {
            let places = |text: &str| text.matches("{}").count();
            assert_eq!(places(english), places(vietnamese), "{english}");
        }
    }
}
