//! A line of the log is one line, whatever strangers have written into it.

use std::fmt::Write as _;
use std::io::{self, Write};

/// Where lines go, each by one `write`. Control characters in them are written as JSON has them
/// (`\n`, `\u001b`), so that no text begins another line or speaks to a terminal.
pub(super) struct OneLine<W> {
    to: W,
    /// Whether the line has colours: those of [`COLOURS`], whoever wrote them, and nothing else
    /// that speaks to a terminal.
    is_coloured: bool,
}

/// What tracing's formatter writes behind an escape. None of these hides anything.
const COLOURS: [&str; 9] = ["[0m", "[1m", "[2m", "[3m", "[31m", "[32m", "[33m", "[34m", "[35m"];

impl<W: Write> OneLine<W> {
    pub(super) fn new(to: W, is_coloured: bool) -> Self {
        Self { to, is_coloured }
    }

    /// Whether the first character of `rest` is written as it is.
    fn is_plain(&self, character: char, rest: &str) -> bool {
        const SEPARATORS: [char; 2] = ['\u{2028}', '\u{2029}']; // also end lines, for some
        let is_control = character.is_control() || SEPARATORS.contains(&character);
        let is_colour = || {
            let what = rest.strip_prefix('\u{1b}').filter(|_| self.is_coloured);
            what.is_some_and(|what| COLOURS.iter().any(|colour| what.starts_with(colour)))
        };
        !is_control || is_colour()
    }
}

impl<W: Write> Write for OneLine<W> {
    /// Takes whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        if text.char_indices().all(|(at, character)| self.is_plain(character, &text[at..])) {
            self.to.write_all(line)?;
            return Ok(line.len());
        }
        let mut plain = String::with_capacity(text.len() + 16);
        for (at, character) in text.char_indices() {
            match character {
                '\n' => plain.push_str("\\n"),
                '\r' => plain.push_str("\\r"),
                '\t' => plain.push_str("\\t"),
                _ if self.is_plain(character, &text[at..]) => plain.push(character),
                _ => {
                    let _ = write!(plain, "\\u{:04x}", u32::from(character)); // to a String
                }
            }
        }
        plain.push('\n');
        self.to.write_all(plain.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
