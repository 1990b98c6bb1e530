//! Text for terminals.

/// Text that is safe to print on a terminal: control characters and invisible ones, such as right-to-left
/// marks, are escaped.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // `escape_debug` would escape quotes and backslashes.
            ' '..='~' => printable.push(character),
            _ => printable.extend(character.escape_debug()),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_invisible_ones_are_printable() {
        let malicious = "a\u{1b}[31m\r\n\u{9b}2J\u{202e}é\u{7f}\0";
        let shown = printable(malicious);
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(!shown.contains('\u{202e}'), "{shown:?}");
        assert_eq!(printable("plain text {1}"), "plain text {1}");
    }
}
