//! Inputs made of others: cut, doubled, joined, and sprinkled with what parsers trip over.

/// Longer inputs only take longer.
const INPUT_BYTES_MAX: usize = 8 * 1024;

/// What is put in: the grammar of the formats, and words that mean something.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"&",
    b"=",
    b"%",
    b"+",
    b"\\u0000",
    b"\\ud83d",
    b"\r\n",
    b"\n",
    b"null",
    b"true",
    b"-0",
    b"1e999",
    b"90071992547409931234",
    b"%C3%A0",
    b"%FF",
    b"[]",
    b"[a][b]",
    b"name",
    b"phone=",
    b"\"phone\":",
    b"email",
    b"utm_source=",
    b"gclid",
    b"first_name",
    b"ho_ten",
    b"page_url",
    b"https://a.example.vn/?",
    b"#/x?utm_source=",
    b"+84",
    b"0084",
    b"(0)",
    b"0900000001",
    b"\xef\xbb\xbf",
    b"\xe2\x80\x8b",
    "Ệ".as_bytes(),
    "０".as_bytes(),
    b"\xff",
    b"\0",
    b"--b\r\n",
    b"Content-Disposition: form-data; name=\"",
    b"--b--",
];

/// SplitMix64: the same numbers for the same seed, on every machine.
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 32).unwrap_or_default() % bound
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }

    /// A part of a text of this length.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        from..(from + self.below(64)).min(length)
    }
}

/// An input that begins as one of the corpus and is changed a few times.
pub fn input(chance: &mut Chance, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[chance.below(corpus.len())].clone();
    for _ in 0..chance.below(8) {
        change(chance, corpus, &mut input);
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

fn change(chance: &mut Chance, corpus: &[Vec<u8>], input: &mut Vec<u8>) {
    let at = chance.below(input.len() + 1);
    let range = chance.range(input.len());
    match chance.below(8) {
        0 => input.truncate(at),
        1 => drop(input.drain(range)),
        2 => {
            let doubled = input[range].to_vec();
            drop(input.splice(at..at, doubled));
        }
        3 => drop(input.splice(range, WORDS[chance.below(WORDS.len())].iter().copied())),
        4 => drop(input.splice(at..at, WORDS[chance.below(WORDS.len())].iter().copied())),
        5 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
        6 => input.insert(at, chance.byte()),
        _ => {
            let other = &corpus[chance.below(corpus.len())];
            let part = chance.range(other.len());
            drop(input.splice(at..at, other[part].to_vec()));
        }
    }
}
