//! Names that forms and attribution use all the time, one byte each. Part of the stored format.

/// In order, to be searched by halves; the place of a name is its number. At most 64.
const NAMES: [&str; 64] = [
    "address",
    "campaign",
    "city",
    "company",
    "consent",
    "content",
    "dia_chi",
    "dich_vu",
    "dien_thoai",
    "email",
    "fbc",
    "fbclid",
    "first_name",
    "full_name",
    "fullname",
    "gad_campaignid",
    "gad_source",
    "gbraid",
    "gclid",
    "ghi_chu",
    "gioi_tinh",
    "ho_ten",
    "ho_va_ten",
    "hoten",
    "id",
    "khu_vuc",
    "last_name",
    "loi_nhan",
    "medium",
    "message",
    "mobile",
    "msclkid",
    "name",
    "ngan_sach",
    "ngay_sinh",
    "nhu_cau",
    "noi_dung",
    "note",
    "page_url",
    "phone",
    "phone_number",
    "product",
    "referrer",
    "san_pham",
    "sdt",
    "service",
    "so_dien_thoai",
    "source",
    "subject",
    "tel",
    "ten",
    "term",
    "thanh_pho",
    "thoi_gian",
    "tinh_thanh",
    "ttclid",
    "url",
    "utm_campaign",
    "utm_medium",
    "utm_source",
    "wbraid",
    "your-email",
    "your-message",
    "your-name",
];

/// The number of a name that is in the list.
pub(super) fn number(name: &str) -> Option<u8> {
    let place = NAMES.binary_search(&name).ok()?;
    u8::try_from(place).ok()
}

/// The name with a number.
pub(super) fn name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_number() {
        assert!(NAMES.is_sorted());
        for (place, listed) in NAMES.into_iter().enumerate() {
            let number = number(listed).expect("a number");
            assert_eq!((usize::from(number), name(number)), (place, Some(listed)));
        }
        assert_eq!((number("nobody"), name(64)), (None, None));
    }
}
