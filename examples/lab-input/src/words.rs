//! Splits a command line into words, by the quoting rules that Containerlab itself uses for `exec` lines.
//!
//! Containerlab runs no shell: `;`, `|`, `&&`, `$` and `*` are ordinary characters there, and so they
//! are here. Nothing is expanded and nothing is run.

use std::{fmt, iter::Peekable, str::Chars};

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The word without its quotes.
    pub(crate) text: String,
    /// How many lines below the text's first line it begins.
    pub(crate) line: usize,
}

/// The text ended within a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SplitError {
    /// Within quotes.
    Quote(char),
    /// After a backslash.
    Backslash,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quote(quote) => write!(f, "a {quote} is opened and not closed"),
            Self::Backslash => f.write_str("the line ends in a backslash"),
        }
    }
}

/// The words of a text, one after the other. Ends after an error.
pub(crate) struct Words<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    failed: bool,
}

impl<'a> Words<'a> {
    /// Over `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text.chars().peekable(), line: 0, failed: false }
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    /// Skips white space and comments, which begin with `#` where a word could begin.
    fn skip_blank(&mut self) {
        while let Some(&next) = self.rest.peek() {
            if next == '#' {
                while self.rest.peek().is_some_and(|next| *next != '\n') {
                    self.bump();
                }
            } else if next.is_whitespace() {
                self.bump();
            } else {
                return;
            }
        }
    }

    fn word(&mut self) -> Result<String, SplitError> {
        let mut text = String::new();
        while let Some(&next) = self.rest.peek() {
            match next {
                '\'' => {
                    self.bump();
                    loop {
                        match self.bump().ok_or(SplitError::Quote('\''))? {
                            '\'' => break,
                            other => text.push(other),
                        }
                    }
                }
                '"' => {
                    self.bump();
                    loop {
                        match self.bump().ok_or(SplitError::Quote('"'))? {
                            '"' => break,
                            '\\' => match self.bump().ok_or(SplitError::Quote('"'))? {
                                '\n' => {}
                                escaped @ ('"' | '\\' | '$' | '`') => text.push(escaped),
                                other => text.extend(['\\', other]),
                            },
                            other => text.push(other),
                        }
                    }
                }
                '\\' => {
                    self.bump();
                    match self.bump().ok_or(SplitError::Backslash)? {
                        '\n' => {}
                        escaped => text.push(escaped),
                    }
                }
                blank if blank.is_whitespace() => break,
                other => {
                    self.bump();
                    text.push(other);
                }
            }
        }
        Ok(text)
    }
}

impl Iterator for Words<'_> {
    type Item = Result<Word, SplitError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        self.skip_blank();
        self.rest.peek()?;
        let line = self.line;
        let word = self.word().map(|text| Word { text, line });
        self.failed = word.is_err();
        Some(word)
    }
}

/// Every word of `text`.
pub(crate) fn split(text: &str) -> Result<Vec<Word>, SplitError> {
    Words::new(text).collect()
}

/// The words of a scalar `value`, with the lines they have in its raw `source` where that begins with
/// the same words: YAML folds a scalar's lines into one, and a fault has to name the right one. Where
/// the two differ, every word has the scalar's first line.
pub(crate) fn split_with_source(value: &str, source: &str) -> Result<Vec<Word>, SplitError> {
    let mut words = split(value)?;
    for word in &mut words {
        word.line = 0;
    }
    let mut raw = Words::new(source);
    let lines: Option<Vec<usize>> = words
        .iter()
        .map(|word| raw.next()?.ok().filter(|found| found.text == word.text).map(|found| found.line))
        .collect();
    if let Some(lines) = lines {
        for (word, line) in words.iter_mut().zip(lines) {
            word.line = line;
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn quotes() {
        assert_eq!(texts("ip  addr\tadd 10.0.0.1/32 dev lo "), ["ip", "addr", "add", "10.0.0.1/32", "dev", "lo"]);
        assert_eq!(texts("vtysh -c ' a b' -c \"c \\\"d\\\" \\e\""), ["vtysh", "-c", " a b", "-c", "c \"d\" \\e"]);
        assert_eq!(texts("a'b'\"c\"d\\ e ''"), ["abcd e", ""]);
        assert_eq!(texts("a # b 'c\nd#e"), ["a", "d#e"]);
        assert_eq!(texts("a && b; c"), ["a", "&&", "b;", "c"]);
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(split("a 'b"), Err(SplitError::Quote('\'')));
        assert_eq!(split("a \"b\\"), Err(SplitError::Quote('"')));
        assert_eq!(split("a\\"), Err(SplitError::Backslash));
    }

    #[test]
    fn lines_come_from_the_source() {
        let words = split_with_source("a -c 'x y' b", "a\n   -c 'x y'\n\n  b\n- another 'open").unwrap();
        assert_eq!(words.iter().map(|word| word.line).collect::<Vec<_>>(), [0, 1, 1, 3]);
        let words = split_with_source("a b", "\"a\\x20b\"\n").unwrap();
        assert_eq!(words.iter().map(|word| word.line).collect::<Vec<_>>(), [0, 0]);
    }

    proptest! {
        #[test]
        fn any_text_splits_or_fails(value in any::<String>(), source in any::<String>()) {
            let _ = split_with_source(&value, &source);
        }

        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^']*", 0..8)) {
            let line: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(texts(&line.join(" ")), words);
        }
    }
}
