//! A line of the log is one line, whatever strangers have written into it.

use std::fmt::Write as _;
use std::io::{self, Write};

/// Where lines go, each by one `write`. Control characters in them are written as JSON has them
/// (`\n`, `\u001b`), so that no text begins another line or speaks to a terminal.
pub(super) struct OneLine<W> {
    to: W,
    /// Whether the line has colours. Whatever else says escape was written as text before it got
    /// here: tracing's formatter sees to that.
    is_coloured: bool,
}

impl<W: Write> OneLine<W> {
    pub(super) fn new(to: W, is_coloured: bool) -> Self {
        Self { to, is_coloured }
    }

    fn is_plain(&self, character: char) -> bool {
        const SEPARATORS: [char; 2] = ['\u{2028}', '\u{2029}']; // also end lines, for some
        let is_control = character.is_control() || SEPARATORS.contains(&character);
        !is_control || (character == '\u{1b}' && self.is_coloured)
    }
}

impl<W: Write> Write for OneLine<W> {
    /// Takes whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        if text.chars().all(|character| self.is_plain(character)) {
            self.to.write_all(line)?;
            return Ok(line.len());
        }
        let mut plain = String::with_capacity(text.len() + 16);
        for character in text.chars() {
            match character {
                '\n' => plain.push_str("\\n"),
                '\r' => plain.push_str("\\r"),
                '\t' => plain.push_str("\\t"),
                _ if self.is_plain(character) => plain.push(character),
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
