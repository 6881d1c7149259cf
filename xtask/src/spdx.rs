//! Licence expressions as crates write them: SPDX, and the older `MIT/Apache-2.0`.

use std::iter::Peekable;

/// Whether an expression can be met with accepted licences alone: one side of an `OR`, both of an `AND`.
/// `AND` binds tighter (SPDX 2.3, annex D.4.5). A licence with an exception is one name:
/// `Apache-2.0 WITH LLVM-exception`.
pub(crate) fn allowed(expression: &str, accept: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = any(&mut words, accept)?;
    match words.next() {
        None => Ok(verdict),
        Some(word) => Err(format!("`{word}` comes unexpectedly in `{expression}`")),
    }
}

type Words<'w, I> = &'w mut Peekable<I>;

fn any<'a, I: Iterator<Item = &'a str>>(
    words: Words<'_, I>,
    accept: &dyn Fn(&str) -> bool,
) -> Result<bool, String> {
    let mut verdict = all(words, accept)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("OR")).is_some() {
        // Both sides are read whatever the first one says: the second may be malformed.
        verdict |= all(words, accept)?;
    }
    Ok(verdict)
}

fn all<'a, I: Iterator<Item = &'a str>>(
    words: Words<'_, I>,
    accept: &dyn Fn(&str) -> bool,
) -> Result<bool, String> {
    let mut verdict = one(words, accept)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("AND")).is_some() {
        verdict &= one(words, accept)?;
    }
    Ok(verdict)
}

fn one<'a, I: Iterator<Item = &'a str>>(
    words: Words<'_, I>,
    accept: &dyn Fn(&str) -> bool,
) -> Result<bool, String> {
    match words.next() {
        None => Err("it ends where a licence is expected".into()),
        Some("(") => {
            let verdict = any(words, accept)?;
            words.next_if_eq(&")").map(|_| verdict).ok_or_else(|| "a parenthesis is not closed".into())
        }
        Some(word) if word == ")" || ["AND", "OR", "WITH"].iter().any(|it| word.eq_ignore_ascii_case(it)) => {
            Err(format!("`{word}` stands where a licence is expected"))
        }
        Some(licence) => {
            if words.next_if(|word| word.eq_ignore_ascii_case("WITH")).is_none() {
                return Ok(accept(licence));
            }
            let exception = words.next().ok_or("WITH is followed by nothing")?;
            Ok(accept(&format!("{licence} WITH {exception}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::allowed;

    fn verdict(expression: &str) -> Result<bool, String> {
        let accept = |licence: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&licence);
        allowed(expression, &accept)
    }

    #[test]
    fn one_side_of_or_and_both_of_and() {
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only/MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("MIT AND ISC", true),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT WITH LLVM-exception", false),
            ("GPL-3.0-only AND MIT OR ISC", true),
            ("ISC OR MIT AND GPL-3.0-only", true),
            ("(ISC OR MIT) AND GPL-3.0-only", false),
            ("(GPL-3.0-only OR MIT) AND (ISC OR Zlib)", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true),
            ("GPL-2.0-only or MIT", true),
        ] {
            assert_eq!(verdict(expression), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for expression in
            ["", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT ISC", "MIT WITH", "()", "MIT OR OR ISC"]
        {
            assert!(verdict(expression).is_err(), "{expression}");
        }
    }
}
