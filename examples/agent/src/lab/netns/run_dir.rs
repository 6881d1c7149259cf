//! The one directory that the host sees of a lab: empty, a place to mount on, locked while its lab lives.
//!
//! What a lab writes is in memory, on a file system that only its own mount namespace has. So a lab that is
//! killed leaves this empty directory behind and nothing else, and the next one to start takes it away.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

use crate::control::{folder, lab_socket, prepare_folder};

/// What the directories of labs are called, before the process's number.
const PREFIX: &str = "peerage-netns-";

/// A directory that goes with its owner.
#[derive(Debug)]
pub(super) struct RunDir {
    path: PathBuf,
    /// Holds the lock.
    _locked: File,
}

impl RunDir {
    /// Takes away what killed labs left, and makes a directory for this one.
    pub(super) fn make() -> Result<Self> {
        let (base, shared) = base()?;
        sweep(&base);
        let path = base.join(format!("{PREFIX}{}", std::process::id()));
        // A second attempt: another lab that starts at the same time may take an unlocked one for a left one.
        for _ in 0..8 {
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("cannot make {}{shared}", path.display()));
                }
                _ => {}
            }
            if let Some(locked) = lock(&path)
                && is_at(&locked, &path)
            {
                return Ok(Self { path, _locked: locked });
            }
        }
        bail!("{} is another lab's; end that one first", path.display())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // Only if it is empty.
        _ = fs::remove_dir(&self.path);
    }
}

/// Root's own place, where nobody else can put something in the way; else the folder of the control sockets.
fn base() -> Result<(PathBuf, &'static str)> {
    let run = Path::new("/run");
    if rustix::fs::access(run, rustix::fs::Access::WRITE_OK).is_ok() {
        return Ok((run.to_owned(), ""));
    }
    prepare_folder(&lab_socket())?;
    Ok((folder(), "; set XDG_RUNTIME_DIR to a directory of yours"))
}

/// Takes away the directories of labs that live no more.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if number.is_none_or(|number| number.parse::<u32>().is_err()) {
            continue;
        }
        // Only if nobody has the lock, and it is empty.
        if let Some(_locked) = lock(&entry.path()) {
            _ = fs::remove_dir(entry.path());
        }
    }
}

/// The lock on a directory of this user's, if nobody has it.
fn lock(path: &Path) -> Option<File> {
    let found = fs::symlink_metadata(path).ok()?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return None;
    }
    let file = File::open(path).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

/// Whether the directory that was opened is still the one at that path.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_and_what_is_locked_or_not_ours_stays() {
        let base = tempfile::tempdir().unwrap();
        let names = ["peerage-netns-7", "peerage-netns-8", "peerage-netns-9", "peerage-netns-x", "else"];
        let [left, locked, full, other, another] = names.map(|name| base.path().join(name));
        for path in [&left, &locked, &full, &other, &another] {
            fs::create_dir(path).unwrap();
        }
        fs::write(full.join("file"), "").unwrap();
        let _held = lock(&locked).unwrap();
        sweep(base.path());
        assert!(!left.exists());
        assert!(locked.exists() && full.exists() && other.exists() && another.exists());
    }
}
