//! Whether the machine has booted since this program last announced anything: what was forwarded then still is,
//! where it has not (the F bit of RFC 4724 §3). The kernel forwards, and it does not end with the program.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// Where Linux names the current boot, for containers too.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// The file in the state directory.
const FILE: &str = "boot-id";
/// Longer than any name of a boot.
const LONGEST: u64 = 64;

/// The current boot, and the one in which this program last announced anything.
#[derive(Debug)]
pub(crate) struct Boot {
    file: PathBuf,
    current: String,
    last: Option<String>,
}

impl Boot {
    /// Looks into the state directory, which is made where it is not there.
    pub(crate) fn look(folder: &Path) -> Result<Self> {
        let current = read(Path::new(BOOT_ID)).with_context(|| format!("cannot read {BOOT_ID}"))?;
        ensure!(!current.is_empty(), "{BOOT_ID} is empty: it does not say which boot this is");
        let named = folder.display();
        fs::create_dir_all(folder).with_context(|| {
            format!("cannot make the state directory {named}; name another with --state-dir")
        })?;
        let file = folder.join(FILE);
        let last = match read(&file) {
            Ok(last) => Some(last),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let name = file.display();
                return Err(error)
                    .with_context(|| format!("cannot read {name}; delete it or check its rights"));
            }
        };
        Ok(Self { file, current, last })
    }

    /// Whether what this program announced last is still forwarded.
    pub(crate) fn forwarding_kept(&self) -> bool {
        self.last.as_ref() == Some(&self.current)
    }

    /// Something is announced in this boot.
    pub(crate) fn announcing(&mut self) -> Result<()> {
        if self.forwarding_kept() {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or_else(|| Path::new("."));
        let write = || -> io::Result<()> {
            // Whole or not at all.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            writeln!(file, "{}", self.current)?;
            file.as_file().sync_all()?;
            file.persist(&self.file)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", self.file.display()))?;
        self.last = Some(self.current.clone());
        Ok(())
    }
}

/// A short text without its white space.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_boot_keeps_what_was_forwarded() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep").join("state");
        let look = || Boot::look(&state).unwrap();
        let mut first = look();
        assert!(!first.forwarding_kept(), "nothing is known");
        assert!(!look().forwarding_kept(), "nothing has been announced");
        first.announcing().unwrap();
        assert!(look().forwarding_kept());
        fs::write(state.join(FILE), "another boot\n").unwrap();
        let mut after = look();
        assert!(!after.forwarding_kept());
        after.announcing().unwrap();
        assert!(look().forwarding_kept());
        // What is no text is said, with the file's name.
        fs::write(state.join(FILE), [0xFF; 100]).unwrap();
        let error = format!("{:#}", Boot::look(&state).unwrap_err());
        assert!(error.contains("boot-id; delete it"), "{error}");
        let error = format!("{:#}", Boot::look(&state.join(FILE)).unwrap_err());
        assert!(error.contains("--state-dir"), "{error}");
    }
}
