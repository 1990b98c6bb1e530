//! The lines of a log, however long they are.

use std::io::{self, BufRead};

/// Reads lines of a bounded length.
pub(super) struct Lines<R> {
    input: R,
    limit: usize,
    line: Vec<u8>,
    number: u64,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Text(&'a [u8]),
    /// Longer than the limit; it was passed over and never held.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    /// `limit`: in bytes, without the line's end.
    pub(super) fn new(input: R, limit: usize) -> Self {
        Self {
            input,
            limit,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next line that is not blank, with its number from 1; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        loop {
            let Some(too_long) = self.fill()? else {
                return Ok(None);
            };
            self.number = self.number.saturating_add(1);
            if too_long {
                return Ok(Some((self.number, Line::TooLong)));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, Line::Text(self.line.trim_ascii()))));
            }
        }
    }

    /// Reads up to the end of the line; says whether it was too long, or `None` at the end of input.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut some, mut too_long) = (false, false);
        loop {
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                return Ok(some.then_some(too_long));
            }
            some = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            if self.line.len().saturating_add(part.len()) > self.limit {
                too_long = true;
                self.line.clear();
            }
            if !too_long {
                self.line.extend_from_slice(part);
            }
            let used = part.len().saturating_add(usize::from(end.is_some()));
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(too_long));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &[u8], limit: usize, buffer: usize) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, text), limit);
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            let text = match line {
                Line::Text(text) => Some(text.to_vec()),
                Line::TooLong => None,
            };
            all.push((number, text));
        }
        all
    }

    #[test]
    fn lines_are_the_same_whatever_the_buffer() {
        for buffer in [1, 2, 3, 7, 1000] {
            assert_eq!(
                lines(b"one\r\n\n  \ntwo\nlonger than ten\nlast", 10, buffer),
                [
                    (1, Some(b"one".to_vec())),
                    (4, Some(b"two".to_vec())),
                    (5, None),
                    (6, Some(b"last".to_vec())),
                ],
                "{buffer}"
            );
        }
    }

    #[test]
    fn an_empty_log_has_no_lines() {
        assert!(lines(b"", 10, 10).is_empty());
        assert!(lines(b"\n\n", 10, 10).is_empty());
    }
}
