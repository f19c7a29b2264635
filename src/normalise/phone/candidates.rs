//! Where in a text a phone number may stand.

use unicode_normalization::UnicodeNormalization;

/// Digits that may be one phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Written with a `+` before it.
    pub plus: bool,
    /// `0`–`9` only, without punctuation.
    pub digits: String,
    /// Letters or digits follow it in the text.
    pub remark: bool,
}

/// No phone number begins later in a phone field; what lies behind is somebody's essay.
const MOST_CHARACTERS: usize = 512;

/// No phone number that parts into fewer digits than this is two: the shortest Vietnamese
/// numbers (9 digits without their 0) less one for those of smaller countries.
const FEWEST_DIGITS_OF_A_PART: usize = 8;

/// The candidates in `text`, in the order in which they should be tried.
pub fn of(text: &str) -> Vec<Candidate> {
    let characters = readable(text);
    let mut candidates = Vec::new();
    for run in runs(&characters) {
        candidates.extend(run.into_candidates());
    }
    candidates
}

/// NFKC (full-width digits become plain), invisible characters gone (contacts are copied with
/// direction marks around them), letter O between digits read as 0.
fn readable(text: &str) -> Vec<char> {
    let mut characters: Vec<char> = text
        .chars()
        .take(MOST_CHARACTERS)
        .nfkc()
        .filter(|c| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'))
        .collect();
    let mut start = 0;
    while start < characters.len() {
        let is_o = |c: &char| matches!(c, 'o' | 'O');
        let length = characters[start..].iter().take_while(|c| is_o(c)).count();
        let end = start + length;
        if length > 0 {
            let before = start.checked_sub(1).map(|at| characters[at]);
            let after = characters.get(end).copied();
            let beside_digit = [before, after].iter().flatten().any(char::is_ascii_digit);
            let in_a_word = [before, after].iter().flatten().any(|c| c.is_alphabetic());
            if beside_digit && !in_a_word {
                characters[start..end].fill('0');
            }
        }
        start = end.max(start + 1);
    }
    characters
}

/// An unbroken stretch of digits and the punctuation of phone numbers.
#[derive(Default)]
struct Run {
    plus: bool,
    digits: String,
    /// Where in `digits` a new group begins.
    groups: Vec<usize>,
    remark: bool,
}

fn runs(characters: &[char]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut run = Run::default();
    let mut parted = false;
    for (at, &c) in characters.iter().enumerate() {
        let remark = || characters[at..].iter().any(|c| c.is_alphanumeric());
        if c.is_ascii_digit() {
            if parted && !run.digits.is_empty() {
                run.groups.push(run.digits.len());
            }
            parted = false;
            run.digits.push(c);
        } else if is_punctuation(c) && !run.digits.is_empty() {
            parted = true;
        } else {
            if !run.digits.is_empty() {
                run.remark = remark();
                runs.push(std::mem::take(&mut run));
            }
            // A + counts also with a space or a bracket behind it: `+ 84`, `(+84)`, `+(84)`.
            run.plus = c == '+' || (run.plus && is_punctuation(c));
            parted = false;
        }
    }
    if !run.digits.is_empty() {
        runs.push(run);
    }
    runs
}

fn is_punctuation(c: char) -> bool {
    matches!(c, ' ' | '\t' | '.' | '-' | '(' | ')' | '[' | ']' | '‐'..='―' | '−' | '·' | '_')
}

impl Run {
    /// The whole, then its parts where it may be two numbers with only a space or a dash
    /// between: a part begins where a number can (0, or a country code) and is as long as one.
    fn into_candidates(self) -> Vec<Candidate> {
        let Self { plus, digits, groups, remark } = self;
        let mut parts = Vec::new();
        let mut start = 0;
        for cut in groups {
            let long_enough = cut - start >= FEWEST_DIGITS_OF_A_PART
                && digits.len() - cut >= FEWEST_DIGITS_OF_A_PART;
            if long_enough && (digits[cut..].starts_with('0') || digits[cut..].starts_with("84")) {
                parts.push((start, cut));
                start = cut;
            }
        }
        let mut candidates = vec![Candidate { plus, digits: digits.clone(), remark }];
        if start > 0 {
            parts.push((start, digits.len()));
            candidates.extend(parts.into_iter().map(|(from, to)| Candidate {
                plus: plus && from == 0,
                digits: digits[from..to].to_owned(),
                remark: remark || to < digits.len(),
            }));
        }
        candidates
    }
}
