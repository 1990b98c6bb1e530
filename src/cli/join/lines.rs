//! The lines of a log, up to a maximum length.

use std::io::{self, BufRead, Read as _};

/// Reads the lines of a log. A line longer than the limit is reported and skipped.
pub(in crate::cli) struct Lines<R> {
    input: R,
    limit: u64,
    line: Vec<u8>,
    number: u64,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Line<'a> {
    Text(&'a [u8]),
    /// Longer than the limit.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    /// `limit` is in bytes, without the line feed.
    pub(in crate::cli) const fn new(input: R, limit: u64) -> Self {
        Self {
            input,
            limit,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next line that is not blank, with its number from 1; `None` at the end.
    pub(in crate::cli) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        loop {
            self.line.clear();
            let with_line_feed = self.limit.saturating_add(1);
            let mut input = self.input.by_ref().take(with_line_feed);
            if input.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number = self.number.saturating_add(1);
            if input.limit() == 0 && !self.line.ends_with(b"\n") {
                self.input.skip_until(b'\n')?;
                return Ok(Some((self.number, Line::TooLong)));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, Line::Text(self.line.trim_ascii()))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &[u8], limit: u64, buffer: usize) -> Vec<(u64, Option<Vec<u8>>)> {
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
    fn lines_do_not_depend_on_the_size_of_the_buffer() {
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
