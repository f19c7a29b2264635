//! What the pages say, in English and Vietnamese. A word that lacks one of them does not compile.

use std::borrow::Borrow;

use crate::lead::State;

macro_rules! words {
    ($($name:ident: $english:literal, $vietnamese:literal;)+) => {
        /// Every word of the pages that is no data.
        #[derive(Debug)]
        pub(super) struct Words {
            $(pub(super) $name: &'static str,)+
        }

        static ENGLISH: Words = Words { $($name: $english,)+ };
        static VIETNAMESE: Words = Words { $($name: $vietnamese,)+ };
    };
}

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Vietnamese,
    English,
}

impl Language {
    /// As HTML, cookies and addresses write it.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Vietnamese => "vi",
            Self::English => "en",
        }
    }

    pub(super) fn parse(code: &str) -> Option<Self> {
        [Self::Vietnamese, Self::English].into_iter().find(|language| language.code() == code)
    }

    /// The first of an `Accept-Language` that is one of ours; English where none is. Browsers send
    /// them in order, so weights are not looked at.
    pub(super) fn accepted(header: &str) -> Self {
        let primary = |part: &str| part.trim().get(..2).map(str::to_ascii_lowercase);
        header.split(',').find_map(|part| Self::parse(&primary(part)?)).unwrap_or(Self::English)
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::Vietnamese => &VIETNAMESE,
            Self::English => &ENGLISH,
        }
    }

    /// One of two texts.
    pub(super) fn either<T>(self, english: T, vietnamese: T) -> T {
        match self {
            Self::Vietnamese => vietnamese,
            Self::English => english,
        }
    }
}

impl Words {
    pub(super) fn state(&self, state: impl Borrow<State>) -> &'static str {
        match state.borrow() {
            State::Pending => self.pending,
            State::Unknown => self.unknown,
            State::Created => self.created,
            State::Merged => self.merged,
            State::Dead => self.dead,
            State::Quarantined => self.quarantined,
            State::Test => self.test,
            State::Erased => self.erased,
        }
    }

    /// A word of [`crate::delivery::LANE_STATES`].
    pub(super) fn lane(&self, state: &str) -> &'static str {
        match state {
            "open" => self.lane_open,
            "throttled" => self.lane_throttled,
            "locked_out" => self.lane_locked_out,
            "misconfigured" => self.lane_misconfigured,
            "probing" => self.lane_probing,
            "paused" => self.lane_paused,
            _ => self.lane_failing,
        }
    }

    /// A line of a record's history; one that is not known here is told as it is written.
    pub(super) fn event<'a>(&'a self, event: &'a str) -> &'a str {
        match event {
            "accepted" => self.event_accepted,
            "merged" => self.event_merged,
            "quarantined" => self.event_quarantined,
            "test" => self.event_test,
            "attempt" => self.event_attempt,
            "fetch" => self.event_fetch,
            "look" => self.event_look,
            "comment" => self.event_comment,
            "handed_back" => self.event_handed_back,
            "lease_expired" => self.event_lease_expired,
            "rechecked" => self.event_rechecked,
            "replayed" => self.event_replayed,
            "promoted" => self.event_promoted,
            "erased" => self.event_erased,
            other => other,
        }
    }
}

words! {
    overview: "Overview", "Tổng quan";
    leads: "Leads", "Khách hàng";
    trouble: "To mend", "Cần sửa";
    sources: "Sources", "Nguồn";
    attribution: "Attribution", "Chiến dịch";
    sign_in: "Sign in", "Đăng nhập";
    sign_out: "Sign out", "Đăng xuất";
    token: "Admin token", "Mã quản trị";
    token_hint: "It is in the configuration (admin.token), or was printed when the gateway started.",
        "Mã nằm trong cấu hình (admin.token), hoặc được in ra khi khởi động.";
    wrong_token: "That is not the admin token.", "Mã quản trị không đúng.";
    link_over: "This link was used already, or is too old. Sign in with the token.",
        "Liên kết đã được dùng hoặc đã hết hạn. Hãy đăng nhập bằng mã.";
    too_many_tries: "Too many wrong tries. Wait a minute.", "Sai quá nhiều lần. Hãy đợi một phút.";
    skip: "Skip to content", "Đến nội dung";
    all_well: "All flows. Nothing needs a person.", "Mọi thứ đang chạy. Không có việc cần xử lý.";
    needs_you: "Needs a person", "Cần người xử lý";
    look: "Look", "Xem";
    today: "Today", "Hôm nay";
    accepted: "accepted", "đã nhận";
    created: "created", "đã tạo";
    merged: "merged", "đã gộp";
    pending: "waiting", "đang chờ";
    unknown: "unsure", "chưa rõ";
    dead: "dead", "thất bại";
    quarantined: "quarantined", "cách ly";
    test: "test", "thử";
    erased: "erased", "đã xóa";
    since_begun: "Since the ledger began", "Từ khi bắt đầu";
    it_sums: "it sums", "khớp sổ";
    it_does_not_sum: "does not sum: off by", "không khớp sổ: lệch";
    counted_part: "Only the newest submissions are counted.", "Chỉ đếm các lượt mới nhất.";
    counting: "Counting…", "Đang đếm…";
    per_hour: "Submissions per hour, by source", "Lượt gửi mỗi giờ, theo nguồn";
    last_day: "last 24 hours", "24 giờ qua";
    speed: "Speed to lead", "Thời gian tạo khách";
    half_within: "half of them within", "một nửa trong vòng";
    most_within: "95 % within", "95 % trong vòng";
    no_lead_yet: "No lead was made in this time.", "Chưa có khách nào được tạo.";
    lanes: "Lanes", "Luồng gửi";
    lane: "Lane", "Luồng";
    state: "State", "Trạng thái";
    pace: "Pace", "Nhịp";
    queue: "Queue", "Hàng đợi";
    oldest: "Oldest", "Cũ nhất";
    clears: "Clears at", "Xong lúc";
    pause: "Pause", "Tạm dừng";
    resume: "Resume", "Chạy tiếp";
    next_look: "looks again at", "thử lại lúc";
    lane_open: "open", "đang chạy";
    lane_throttled: "slowed by CareSoft", "CareSoft báo chậm lại";
    lane_locked_out: "locked out", "bị khóa";
    lane_misconfigured: "refused: configuration", "bị từ chối: cấu hình";
    lane_failing: "CareSoft fails", "CareSoft lỗi";
    lane_probing: "probing", "đang thử";
    lane_paused: "paused", "tạm dừng";
    source: "Source", "Nguồn";
    destination: "Destination", "Đích";
    received: "Received", "Nhận lúc";
    name: "Name", "Tên";
    phone: "Phone", "Điện thoại";
    email: "E-mail", "E-mail";
    message: "Message", "Lời nhắn";
    all: "All", "Tất cả";
    since: "Since", "Từ";
    until: "Until", "Đến";
    filter: "Filter", "Lọc";
    search: "Search", "Tìm";
    search_hint: "phone, e-mail, id, CareSoft's lead id", "số điện thoại, e-mail, mã, mã khách CareSoft";
    found_for: "Found by the search", "Kết quả tìm";
    nothing_here: "Nothing here.", "Không có gì.";
    no_leads: "No submissions yet.", "Chưa có lượt gửi nào.";
    older: "Older", "Cũ hơn";
    newest: "Newest", "Mới nhất";
    reveal: "Reveal", "Hiện";
    reveal_hint: "That you have looked is logged.", "Việc xem sẽ được ghi lại.";
    person: "Person", "Người";
    why: "Why", "Lý do";
    history: "History", "Diễn biến";
    touches: "Every touch of this person's lead", "Mọi lượt gửi của khách này";
    this_one: "this one", "lượt này";
    came_from: "Where it came from", "Nguồn gốc";
    page: "Page", "Trang";
    referrer: "Referrer", "Trang trước";
    ref_url: "ref_url", "ref_url";
    answers: "Answers", "Câu trả lời";
    exact_request: "The request, as it would be sent now", "Nội dung sẽ gửi nếu gửi bây giờ";
    show_request: "Show the request", "Xem nội dung gửi";
    raw: "What was posted", "Dữ liệu gốc";
    show_raw: "Show what was posted", "Xem dữ liệu gốc";
    no_raw: "Nothing of it is kept: a body is kept of what no lead could be made of.",
        "Không lưu: dữ liệu gốc chỉ được lưu khi không tạo được khách.";
    mapping: "The mapping, tried now", "Thử đọc lại ngay";
    mapping_works: "A lead can be made of it now. Replay it.", "Bây giờ đọc được. Hãy gửi lại.";
    mapping_fails: "Still no lead:", "Vẫn chưa được:";
    mapping_test: "It is a test: nothing will be sent.", "Đây là lượt thử: sẽ không gửi.";
    mapping_notice: "It is a notice: its lead will be fetched.", "Đây là thông báo: khách sẽ được tải về.";
    replay: "Replay", "Gửi lại";
    correct: "Correct and replay", "Sửa và gửi lại";
    correct_hint: "What is left empty stays as it is. Reveal the person first to see what is there, and to empty a field that is to be removed.",
        "Ô để trống thì giữ nguyên. Hãy bấm Hiện trước để thấy dữ liệu và xóa trắng ô cần bỏ.";
    correct_hint_shown: "A field that you empty is removed. What you leave as it is stays.",
        "Ô bị xóa trắng sẽ được bỏ đi. Ô không sửa thì giữ nguyên.";
    forget: "Forget this person", "Xóa người này";
    forget_hint: "Every submission of this person is erased here, for good. What CareSoft has stays there.",
        "Mọi lượt gửi của người này sẽ bị xóa vĩnh viễn ở đây. Dữ liệu trong CareSoft vẫn còn.";
    forget_unreadable_hint: "This submission is erased here, for good; others of the same person are not found by it. What CareSoft has stays there.",
        "Lượt gửi này sẽ bị xóa vĩnh viễn ở đây; không tìm được các lượt khác của cùng người này. Dữ liệu trong CareSoft vẫn còn.";
    forget_sure: "Yes, erase", "Đúng, hãy xóa";
    reason: "Reason", "Lý do";
    how_many: "How many", "Số lượng";
    latest: "Latest", "Gần nhất";
    preview: "Replay all…", "Gửi lại tất cả…";
    replay_all: "Replay them all", "Gửi lại tất cả";
    will_take: "At the lane's pace this takes about", "Theo nhịp của luồng, mất khoảng";
    lane_stopped: "The lane is not open: they will wait.", "Luồng đang dừng: sẽ phải đợi.";
    mapping_sample: "Tried now on the newest of them", "Thử đọc lại các lượt mới nhất";
    usable_now: "can be used now", "dùng được";
    back: "Back", "Quay lại";
    not_replayable: "Only what is dead, quarantined or unsure is replayed. This one is",
        "Chỉ gửi lại được lượt thất bại, cách ly hoặc chưa rõ. Lượt này";
    nothing_to_mend: "Nothing is dead, quarantined or unsure.", "Không có lượt nào thất bại, cách ly hay chưa rõ.";
    looked_at_part: "There are more; the newest are shown.", "Còn nữa; chỉ hiện phần mới nhất.";
    preset: "Preset", "Mẫu";
    secret: "Secret", "Khóa";
    secret_set: "set", "đã đặt";
    secret_open: "open: anyone may post", "mở: ai cũng gửi được";
    last_received: "Last received", "Lần cuối nhận";
    never: "never", "chưa bao giờ";
    in_last_day: "In 24 h", "Trong 24 giờ";
    duplicates: "Duplicates", "Trùng";
    tests: "Tests", "Thử";
    refused: "Refused", "Từ chối";
    refused_hint: "\"Refused\" counts the posts that this process has turned away since it started, and their share of all posts to the source. Other replicas count their own.",
        "\"Từ chối\" là số lượt gửi mà tiến trình này đã từ chối từ khi khởi động, và tỷ lệ trên mọi lượt gửi đến nguồn. Các tiến trình khác đếm riêng.";
    takes_no_posts: "This process takes no posts, so it counts no refusals and sends no samples.",
        "Tiến trình này không nhận lượt gửi, nên không đếm lượt từ chối và không gửi thử.";
    guide: "Setup guide", "Hướng dẫn";
    try_it: "Send a sample", "Gửi thử";
    sample_is: "A post as this platform makes it, of a person who does not exist, signed with the source's own secrets. It goes the same way as a real one: limits, signature, dedup, CareSoft.",
        "Một lượt gửi đúng như nền tảng này gửi, của một người không có thật, ký bằng khóa của nguồn. Nó đi đúng đường của lượt thật: giới hạn, chữ ký, chống trùng, CareSoft.";
    sample_real: "It becomes a real lead at", "Nó sẽ thành khách thật tại";
    sample_delete: "Nothing here removes it there: the salespeople will see it.", "Ở đây không xóa được khách đó: nhân viên bán hàng sẽ thấy.";
    sample_send: "Yes, send the sample", "Đúng, hãy gửi thử";
    sample_refused: "The source has refused its sample", "Nguồn đã từ chối lượt gửi thử";
    sample_challenge: "This source asks for a challenge that only a visitor's browser can pass.", "Nguồn này yêu cầu xác minh mà chỉ trình duyệt của khách làm được.";
    sample_kept_nothing: "The source has taken the sample, and keeps nothing of it.", "Nguồn đã nhận lượt gửi thử và không lưu gì.";
    no_sample: "This preset has no sample. Send a file of yours:", "Mẫu này không có lượt gửi thử. Hãy gửi một tệp của bạn:";
    done_sampled: "The sample was sent. This is what came of it", "Đã gửi thử. Đây là kết quả";
    receipt: "Receipt", "Biên nhận";
    unreadable: "What is stored of this person cannot be opened: it is damaged, or sealed with a secret that store.secret does not name any more.",
        "Không mở được dữ liệu đã lưu của người này: dữ liệu bị hỏng, hoặc được niêm phong bằng khóa không còn trong store.secret.";
    opens_elsewhere: "opens CareSoft in a new tab", "mở CareSoft trong thẻ mới";
    embed: "In a web page", "Gắn vào trang web";
    copy: "Copy", "Chép";
    silent: "silent", "im lặng";
    no_sources: "No sources are configured.", "Chưa cấu hình nguồn nào.";
    campaign: "Campaign", "Chiến dịch";
    medium: "Medium", "Kênh";
    new_leads: "New", "Mới";
    all_leads: "Submissions", "Lượt gửi";
    before: "before", "kỳ trước";
    download: "Download CSV", "Tải CSV";
    last_touch: "Last touch", "Lần chạm cuối";
    first_touch: "First touch", "Lần chạm đầu";
    touch_hint: "The first touch is known where embed.js is in the page.", "Lần chạm đầu chỉ biết khi trang có embed.js.";
    days_1: "1 day", "1 ngày";
    days_7: "7 days", "7 ngày";
    days_30: "30 days", "30 ngày";
    other: "other", "khác";
    without: "(none)", "(không có)";
    done_replayed: "Replayed", "Đã gửi lại";
    done_paused: "Paused", "Đã tạm dừng";
    done_resumed: "It goes on", "Đã chạy tiếp";
    done_forgotten: "Erased", "Đã xóa";
    went_wrong: "That did not work", "Không thực hiện được";
    not_found: "There is nothing here.", "Không có gì ở đây.";
    store_away: "The store does not answer. Try again in a moment.", "Kho dữ liệu không phản hồi. Hãy thử lại sau.";
    stale_form: "This form is too old or from elsewhere. Go back, reload the page, try again.",
        "Biểu mẫu đã cũ hoặc từ nơi khác. Hãy quay lại, tải lại trang rồi thử lại.";
    event_accepted: "accepted", "đã nhận";
    event_merged: "merged into an earlier one", "gộp vào lượt trước";
    event_quarantined: "quarantined", "cách ly";
    event_test: "a test", "lượt thử";
    event_attempt: "sent to CareSoft", "gửi đến CareSoft";
    event_fetch: "asked the platform for it", "tải từ nền tảng";
    event_look: "looked for in CareSoft", "tìm trong CareSoft";
    event_comment: "added as a comment", "thêm vào ghi chú";
    event_handed_back: "handed back unsent", "trả lại, chưa gửi";
    event_lease_expired: "outcome not known", "không rõ kết quả";
    event_rechecked: "looked at again: another Redis took over", "kiểm tra lại: Redis khác đã thay";
    event_replayed: "replayed", "gửi lại";
    event_promoted: "promoted", "được chọn thay";
    event_erased: "erased", "đã xóa";
    times_are: "Times are Vietnam's (UTC+7).", "Giờ Việt Nam (UTC+7).";
    stale_page: "The gateway does not answer: this is how it was. It is tried again.",
        "Không kết nối được: đây là số liệu cũ. Đang thử lại.";
    in_caresoft: "Lead in CareSoft", "Khách trong CareSoft";
    only_admins: "For the gateway's operator", "Dành cho người vận hành";
    spool_waits: "submissions wait in the spool: the store is away", "lượt đang chờ trong bộ đệm: kho dữ liệu đang vắng";
    is_silent: "has sent nothing since", "không gửi gì từ";
    per_minute: "per minute", "mỗi phút";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_first_language_of_ours_counts() {
        for (header, expected) in [
            ("vi-VN,vi;q=0.9,en;q=0.8", Language::Vietnamese),
            ("fr, en-US;q=0.7, vi;q=0.3", Language::English),
            ("VI", Language::Vietnamese),
            ("fr", Language::English),
            ("", Language::English),
            ("é,v", Language::English),
        ] {
            assert_eq!(Language::accepted(header), expected, "{header}");
        }
    }

    #[test]
    fn every_line_of_a_history_has_words() {
        let source = include_str!("../../lead/record.rs");
        let (said, _) = source.split_once("pub event: String").unwrap();
        let (_, said) = said.rsplit_once("/// When.").unwrap();
        let names: Vec<_> = said.split('`').skip(1).step_by(2).collect();
        assert!(names.len() >= 14 && names.contains(&"accepted"), "{names:?}");
        for name in names {
            let [english, vietnamese] = [Language::English, Language::Vietnamese]
                .map(|language| language.words().event(name));
            assert_ne!(english, vietnamese, "{name}");
        }
    }
}
