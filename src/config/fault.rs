//! What is wrong with a configuration, said so that it can be mended at once.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong, or (as a warning) doubtful.
///
/// Written as `config/leadgate.toml:12: sources.website.destination: no destination is named
/// "mian"; did you mean "main"?`. It never holds a secret's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file as it was named, or the environment variable that holds the value.
    pub file: String,
    /// The line, from 1; none for a variable, and for the file as a whole.
    pub line: Option<usize>,
    /// The column in characters, from 1; only where the text is no TOML.
    pub column: Option<usize>,
    /// The dotted path: `sources.website.preset`; empty where the text is no TOML.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it; may be empty.
    pub advice: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)?;
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

/// More than anyone mends at one go; a file that is something else entirely has thousands.
const FAULTS_MAX: usize = 200;

/// Everything that is wrong with a configuration: at least one fault, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// In the file's order, then the variables'; cut where nobody reads on.
    pub(crate) fn new(mut faults: Vec<Fault>) -> Self {
        sort(&mut faults);
        let more = faults.len().saturating_sub(FAULTS_MAX);
        faults.truncate(FAULTS_MAX);
        if let (1.., Some(last)) = (more, faults.last().cloned()) {
            let problem = format!("{more} more faults follow");
            faults.push(Fault { problem, key: String::new(), advice: String::new(), ..last });
        }
        Self(faults)
    }
}

/// In the file's order; what has no line comes last.
pub(crate) fn sort(faults: &mut [Fault]) {
    faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// `did you mean "x"?` when one of `known` is near enough to be meant.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    // The measure takes time by the product of both lengths; nothing of ours is this long.
    if written.len() > 100 {
        return None;
    }
    let folded = |name: &str| name.to_lowercase().replace('-', "_");
    // A third of the letters wrong is a slip; more is another word.
    let letters = written.chars().count();
    let slips = (letters / 3).max(1).min(letters.saturating_sub(1));
    let distance = |name: &str| strsim::damerau_levenshtein(&folded(written), &folded(name));
    known
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(distance, _)| *distance <= slips)
        .min()
        .map(|(_, name)| format!("did you mean {name:?}?"))
}

/// The longest value that a fault repeats.
const QUOTED_MAX: usize = 60;

/// A value as it was written, in quotes, cut and without control characters.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["destination", "preset", "page_url"];
        for (written, meant) in [
            ("destinaton", Some("destination")),
            ("Preset", Some("preset")),
            ("page-url", Some("page_url")),
            ("pageurl", Some("page_url")),
            ("colour", None),
            ("x", None),
            ("", None),
            ("p", None),
        ] {
            let expected = meant.map(|meant| format!("did you mean {meant:?}?"));
            assert_eq!(did_you_mean(written, known), expected, "{written}");
        }
        assert_eq!(did_you_mean(&"x".repeat(1_000_000), known), None);
    }

    #[test]
    fn a_flood_of_faults_is_cut() {
        let fault = Fault {
            file: "f".into(),
            line: Some(1),
            column: None,
            key: "k".into(),
            problem: "p".into(),
            advice: String::new(),
        };
        let faults = Faults::new(vec![fault; 1000]);
        assert_eq!(faults.0.len(), FAULTS_MAX + 1);
        assert!(faults.to_string().ends_with("f:1: 800 more faults follow"));
    }
}
