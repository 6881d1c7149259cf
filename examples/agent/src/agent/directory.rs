//! One look at a directory of manifests: what it holds, within bounds, whatever lies there.
//!
//! Only regular files are opened: a FIFO would block and a device may do anything.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use peerage_kubernetes::{Look, Store};
use rustix::fs::OFlags;

/// The largest file that is read; an object of a cluster has 1.5 MiB at most.
const MAX_FILE: u64 = 4 << 20;
/// All files together.
const MAX_ALL: u64 = 64 << 20;
/// Files in the directory.
const MAX_FILES: usize = 10_000;
/// Looks in a row, if a volume is changed under each of them.
const TRIES: usize = 5;

/// Looks at `directory` and tells `store`. Whether anything is different.
pub(super) fn look(directory: &Path, store: &mut Store) -> bool {
    let mut changed = false;
    for _ in 0..TRIES {
        // The name of what a ConfigMap's volume holds: with another one, half of this look was at the old.
        let before = volume(directory);
        changed |= match manifests(directory) {
            Err(why) => store.look(Look::<Vec<_>>::Absent(why)),
            Ok(paths) => {
                let mut left = MAX_ALL;
                store.look(Look::Files(paths.into_iter().map(|path| {
                    let found = read(&path, &mut left);
                    (path.display().to_string(), found)
                })))
            }
        };
        if volume(directory) == before {
            break;
        }
    }
    changed
}

/// Where `..data` points to.
fn volume(directory: &Path) -> Option<PathBuf> {
    fs::read_link(directory.join("..data")).ok()
}

/// The manifests in a directory, in order of their names; hidden ones are none.
pub(super) fn manifests(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such directory; make it, or say another one".to_owned(),
        io::ErrorKind::NotADirectory => "expected a directory, found a file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not list it; check its permissions".to_owned(),
        _ => format!("cannot be listed: {error}"),
    })?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("cannot be listed: {error}"))?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if hidden || !matches!(extension, Some("yaml" | "yml" | "json")) || path.is_dir() {
            continue;
        }
        if paths.len() == MAX_FILES {
            return Err(format!(
                "holds more than {MAX_FILES} manifests: no more are read; is it the right one?"
            ));
        }
        paths.push(path);
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The text of a file, or why there is none. What it takes comes off what is left for all.
fn read(path: &Path, left: &mut u64) -> Result<String, String> {
    let file = open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "is a link to nothing, or just goes".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it; check its permissions".to_owned(),
        io::ErrorKind::InvalidInput => error.to_string(),
        _ => format!("cannot be read: {error}"),
    })?;
    let mut octets = Vec::new();
    let limit = MAX_FILE.min(*left);
    let read = file.take(limit + 1).read_to_end(&mut octets);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    let len = octets.len() as u64;
    if len > MAX_FILE {
        return Err(format!("is larger than {} MiB; is it the right file?", MAX_FILE >> 20));
    }
    if len > limit {
        return Err(format!("is not read: the files before it and it have more than {} MiB", MAX_ALL >> 20));
    }
    *left -= len;
    String::from_utf8(octets).map_err(|error| {
        format!("not UTF-8 from octet {} on: expected a text file", error.utf8_error().valid_up_to())
    })
}

/// Opens a regular file, and nothing else even for a moment, but for who replaces it right now.
fn open(path: &Path) -> io::Result<File> {
    regular(&fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn regular(found: &fs::Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_dir() {
        "a directory"
    } else {
        "a device"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("is {what}, and not opened: expected a file")))
}
