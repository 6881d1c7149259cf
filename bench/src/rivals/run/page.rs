//! docs/performance.md: what stands between two marks is a run's, all else is written by hand.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// Replaces a section of the page.
pub(crate) fn write(path: &Path, section: &str, text: &str) -> Result<()> {
    let page = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let page = replace(&page, section, text).with_context(|| {
        format!("{}: the lines <!-- {section} --> and <!-- /{section} --> are missing", path.display())
    })?;
    Ok(fs::write(path, page)?)
}

fn replace(page: &str, section: &str, text: &str) -> Option<String> {
    let (open, close) = (format!("<!-- {section} -->\n"), format!("<!-- /{section} -->\n"));
    let (before, rest) = page.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    Some(format!("{before}{open}\n{}\n\n{close}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n";
        let once = replace(page, "x", "new\n").expect("marks");
        assert_eq!(once, "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb\n");
        assert_eq!(replace(&once, "x", "new"), Some(once.clone()));
        assert_eq!(replace(page, "y", "new"), None);
    }
}
