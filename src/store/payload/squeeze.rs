//! Compression, with a dictionary of what our payloads say.
//!
//! What zstd puts around a text (a magic number, a frame's header, a block's: 9 to 12 bytes, of
//! some 80) is not stored for a short one: its length says all of it.

use std::cell::RefCell;
use std::sync::LazyLock;

use zstd::zstd_safe::{CCtx, CDict, CParameter, DCtx, DDict, compress_bound};

/// Part of the stored format: a better one is another file, for another [`super::VERSION`].
///
/// Some 170 bytes of statistics (`ZDICT_finalizeDictionary` at level 4, over 4,000 leads that were
/// made up), without which every text would have to bring its own; then 5,000 bytes of what forms,
/// people and advertisers write, the likeliest last: a shorter way back takes fewer bits.
const DICTIONARY: &[u8] = include_bytes!("dictionary-1.zdict");

/// Measured on a lead of 440 bytes: level 1 makes 180 of them in 1.7 µs, 3 makes 174 in 1.9, 4
/// makes 161 in 2.8, and 5 makes 157 in 8.5.
const LEVEL: i32 = 4;

/// What is stored never becomes longer than this when it is read: twice the longest body.
const EXPANDED_MAX: usize = 32 * 1024 * 1024;

/// A longer buffer is given back instead of kept for the thread's next payload.
const KEPT_MAX: usize = 64 * 1024;

/// `28 B5 2F FD`: every frame begins with it (RFC 8878, section 3.1.1).
const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// A frame whose length is in four bytes and whose window is its length.
const DESCRIPTOR: u8 = 0b1010_0000;
const BLOCK_HEADER: usize = 3;
/// In a block's header: it is the last; it is compressed.
const LAST_COMPRESSED: u32 = 1 | 2 << 1;

/// How a text is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// As it is: it did not get shorter.
    Plain = 0,
    /// Its length (seven bits a byte, the lowest first) and the only block of its frame.
    Block = 1,
    /// A frame without the magic number.
    Frame = 2,
}

static COMPRESSING: LazyLock<CDict<'static>> = LazyLock::new(|| CDict::create(DICTIONARY, LEVEL));
static EXPANDING: LazyLock<DDict<'static>> = LazyLock::new(|| DDict::create(DICTIONARY));

thread_local! {
    static COMPRESSOR: RefCell<Compressor> = RefCell::new(Compressor::new());
    static EXPANDER: RefCell<Expander> =
        RefCell::new(Expander { context: DCtx::create(), frame: Vec::new() });
}

/// Hands `then` the shortest form of a text.
pub(super) fn squeeze<T>(text: &[u8], then: impl FnOnce(Form, &[u8]) -> T) -> T {
    COMPRESSOR.with_borrow_mut(|compressor| {
        let answer = match compressor.squeeze(text) {
            Some((form, squeezed)) if squeezed.len() < text.len() => then(form, squeezed),
            _ => then(Form::Plain, text),
        };
        forget_long(&mut compressor.frame);
        answer
    })
}

/// The text that [`squeeze`] had; `None` when it cannot have had any.
pub(super) fn expand(form: Form, squeezed: &[u8]) -> Option<Vec<u8>> {
    if form == Form::Plain {
        return Some(squeezed.to_vec());
    }
    EXPANDER.with_borrow_mut(|expander| {
        let text = expander.expand(form, squeezed);
        forget_long(&mut expander.frame);
        text
    })
}

/// A thread's own: making one takes longer than using it.
struct Compressor {
    context: CCtx<'static>,
    frame: Vec<u8>,
}

impl Compressor {
    fn new() -> Self {
        let mut context = CCtx::create();
        // No error is possible: the parameters exist, and the context has not begun anything. If
        // one were, frames would be longer or would need no dictionary, and could still be read.
        let _ = context.ref_cdict(&COMPRESSING);
        let _ = context.set_parameter(CParameter::DictIdFlag(false));
        Self { context, frame: Vec::new() }
    }

    fn squeeze(&mut self, text: &[u8]) -> Option<(Form, &[u8])> {
        if text.len() > EXPANDED_MAX {
            return None; // it would not be read again
        }
        self.frame.clear();
        self.frame.reserve(compress_bound(text.len()));
        self.context.compress2(&mut self.frame, text).ok()?;
        match self.only_block(text.len()) {
            Some(begin) => {
                let begin = write_length_before(&mut self.frame, begin, text.len());
                Some((Form::Block, &self.frame[begin..]))
            }
            None => Some((Form::Frame, self.frame.strip_prefix(&MAGIC)?)),
        }
    }

    /// Where the frame's block begins, if there is one and [`Expander::rebuild`] would give the
    /// frame back.
    fn only_block(&self, length: usize) -> Option<usize> {
        let descriptor = *self.frame.get(MAGIC.len())?;
        let length_bytes = match descriptor {
            0b0010_0000 if length < 256 => 1,
            0b0110_0000 => 2,
            DESCRIPTOR => 4,
            _ => return None,
        };
        let header = MAGIC.len() + 1 + length_bytes;
        let begin = header + BLOCK_HEADER;
        let block = self.frame.get(begin..)?;
        (self.frame.get(header..begin)? == block_header(block.len())?).then_some(begin)
    }
}

struct Expander {
    context: DCtx<'static>,
    frame: Vec<u8>,
}

impl Expander {
    fn expand(&mut self, form: Form, squeezed: &[u8]) -> Option<Vec<u8>> {
        let length = match form {
            Form::Block => self.rebuild(squeezed)?,
            _ => {
                self.frame.clear();
                self.frame.extend_from_slice(&MAGIC);
                self.frame.extend_from_slice(squeezed);
                let length = zstd::zstd_safe::get_frame_content_size(&self.frame).ok()??;
                usize::try_from(length).ok()?
            }
        };
        if length > EXPANDED_MAX {
            return None;
        }
        let mut text = Vec::with_capacity(length);
        self.context.decompress_using_ddict(&mut text, &self.frame, &EXPANDING).ok()?;
        (text.len() == length).then_some(text)
    }

    /// Puts the frame around its only block; answers the length of the text in it.
    fn rebuild(&mut self, squeezed: &[u8]) -> Option<usize> {
        let (length, block) = read_length(squeezed)?;
        self.frame.clear();
        self.frame.extend_from_slice(&MAGIC);
        self.frame.push(DESCRIPTOR);
        self.frame.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
        self.frame.extend_from_slice(&block_header(block.len())?);
        self.frame.extend_from_slice(block);
        Some(length)
    }
}

fn block_header(length: usize) -> Option<[u8; BLOCK_HEADER]> {
    let header = u32::try_from(length).ok()?.checked_mul(8)? | LAST_COMPRESSED;
    let [low, middle, high, 0] = header.to_le_bytes() else { return None };
    Some([low, middle, high])
}

/// Over what comes before the block, which is longer; answers where it begins.
fn write_length_before(frame: &mut [u8], block: usize, length: usize) -> usize {
    let bytes = match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => 3, // a block holds 128 KiB at most
    };
    for place in 0..bytes {
        let more = if place + 1 < bytes { 0x80 } else { 0 };
        frame[block - bytes + place] = (length >> (7 * place)) as u8 & 0x7F | more;
    }
    block - bytes
}

fn read_length(squeezed: &[u8]) -> Option<(usize, &[u8])> {
    let last = squeezed.iter().take(3).position(|byte| byte & 0x80 == 0)?;
    let (length, block) = squeezed.split_at(last + 1);
    let sum = |sum, byte: &u8| sum << 7 | usize::from(byte & 0x7F);
    Some((length.iter().rev().fold(0, sum), block))
}

/// Gives a buffer back that was needed for once.
pub(super) fn forget_long(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_MAX {
        *buffer = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn squeezed(text: &[u8]) -> (Form, Vec<u8>) {
        squeeze(text, |form, squeezed| (form, squeezed.to_vec()))
    }

    /// Numbers that look like chance and are the same every time.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        };
        (0..length).map(next).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_text_comes_back(text in "(https://www\\.|Nguyễn |utm_source=)?.{0,300}", times in 1_usize..40) {
            let text = text.repeat(times);
            let (form, squeezed) = squeezed(text.as_bytes());
            prop_assert!(squeezed.len() <= text.len());
            prop_assert_eq!(expand(form, &squeezed), Some(text.into_bytes()));
        }

        #[test]
        fn what_nobody_squeezed_does_no_harm(bytes: Vec<u8>) {
            for form in [Form::Block, Form::Frame] {
                expand(form, &bytes); // whatever it gives
            }
        }
    }

    #[test]
    fn every_length_comes_back() {
        for length in [0, 1, 20, 127, 128, 255, 256, 16_383, 16_384, 65_791, 65_792, 131_072] {
            let text = &b"https://shop.example.vn/?a=1&".repeat(5000)[..length];
            let (form, squeezed) = squeezed(text);
            assert_eq!(form, if length < 100 { Form::Plain } else { Form::Block }, "{length}");
            assert_eq!(expand(form, &squeezed).as_deref(), Some(text), "{length}");
        }
    }

    #[test]
    fn what_does_not_get_shorter_stays_plain() {
        let noise = noise(1000);
        assert_eq!(squeezed(&noise), (Form::Plain, noise));
    }

    #[test]
    fn several_blocks_are_a_frame() {
        let text = [noise(200_000), vec![0; 400_000]].concat();
        let (form, squeezed) = squeezed(&text);
        assert_eq!(form, Form::Frame);
        assert!(expand(form, &squeezed) == Some(text));
    }

    #[test]
    fn nothing_expands_without_bound() {
        let bomb = zstd::bulk::compress(&vec![0; EXPANDED_MAX + 1], 1).unwrap();
        assert!(bomb.len() < 10_000);
        assert_eq!(expand(Form::Frame, &bomb[MAGIC.len()..]), None);
        // Nor does one that lies about its length, or does not tell it.
        let mut liar = zstd::bulk::compress(&vec![0; 1_000_000], 1).unwrap();
        assert_eq!(expand(Form::Frame, &liar[MAGIC.len()..]).unwrap().len(), 1_000_000);
        liar[6] ^= 0x01;
        assert_eq!(expand(Form::Frame, &liar[MAGIC.len()..]), None);
        let silent = zstd::stream::encode_all(&[0; 1_000_000][..], 1).unwrap();
        assert_eq!(expand(Form::Frame, &silent[MAGIC.len()..]), None);
    }

    #[test]
    fn what_is_too_long_to_be_read_again_is_not_squeezed() {
        let (form, _) = squeezed(&vec![0; EXPANDED_MAX + 1]);
        assert_eq!(form, Form::Plain);
    }
}
