//! Splits a command line into words, by the quoting rules that Containerlab itself uses for `exec` lines.
//!
//! Containerlab runs no shell: `;`, `|`, `&&`, `$` and `*` are ordinary characters there, and so they
//! are here. Nothing is expanded and nothing is run.

use std::{fmt, iter::Peekable, str::CharIndices};

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The word without its quotes.
    pub(crate) text: String,
    /// The octet it begins at.
    pub(crate) offset: usize,
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
struct Words<'a> {
    rest: Peekable<CharIndices<'a>>,
    failed: bool,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.char_indices().peekable(), failed: false }
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, next)| *next)
    }

    fn bump(&mut self) -> Option<char> {
        self.rest.next().map(|(_, next)| next)
    }

    /// Skips white space and comments, which begin with `#` where a word could begin.
    fn skip_blank(&mut self) {
        while let Some(next) = self.peek() {
            if next == '#' {
                while self.peek().is_some_and(|next| next != '\n') {
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
        while let Some(next) = self.peek() {
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
        let (offset, _) = *self.rest.peek()?;
        let word = self.word().map(|text| Word { text, offset });
        self.failed = word.is_err();
        Some(word)
    }
}

/// Every word of `text`.
pub(crate) fn split(text: &str) -> Result<Vec<Word>, SplitError> {
    Words::new(text).collect()
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
        assert_eq!(
            texts("ip  addr\tadd 10.0.0.1/32 dev lo "),
            ["ip", "addr", "add", "10.0.0.1/32", "dev", "lo"]
        );
        assert_eq!(
            texts("vtysh -c ' a b' -c \"c \\\"d\\\" \\e\""),
            ["vtysh", "-c", " a b", "-c", "c \"d\" \\e"]
        );
        assert_eq!(texts("a'b'\"c\"d\\ e ''"), ["abcd e", ""]);
        assert_eq!(texts("a # b 'c\nd#e"), ["a", "d#e"]);
        assert_eq!(texts("a && b; c"), ["a", "&&", "b;", "c"]);
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(split("a 'b"), Err(SplitError::Quote('\'')));
        assert_eq!(split("a \"b\\"), Err(SplitError::Quote('"')));
        assert_eq!(split("a\\"), Err(SplitError::Backslash));
    }

    #[test]
    fn offsets_are_those_of_the_first_character() {
        let words = split("ä  -c ' x'\n# no\n\"b\"").unwrap();
        assert_eq!(words.iter().map(|word| word.offset).collect::<Vec<_>>(), [0, 4, 7, 17]);
    }

    proptest! {
        #[test]
        fn any_text_splits_or_fails(text in any::<String>()) {
            if let Ok(words) = split(&text) {
                prop_assert!(words.iter().all(|word| text.is_char_boundary(word.offset)));
            }
        }

        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^']*", 0..8)) {
            let line: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(texts(&line.join(" ")), words);
        }
    }
}
