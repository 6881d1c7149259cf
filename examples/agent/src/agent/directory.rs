//! One look at a directory of manifests: what it holds, within bounds, whatever lies there.
//!
//! Only regular files are opened: a FIFO would block and a device may do anything.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, OpenOptionsExt as _},
    },
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
                    (name(&path), found)
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
    let len = file.metadata().map_err(|error| format!("cannot be read: {error}"))?.len();
    fits(len, *left)?;
    let octets = octets(file, left)?;
    String::from_utf8(octets).map_err(|error| {
        format!("not UTF-8 from octet {} on: expected a text file", error.utf8_error().valid_up_to())
    })
}

/// What is read counts, whatever comes of it: a file may grow, or not know its length.
fn octets(file: impl io::Read, left: &mut u64) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let before = *left;
    let read = file.take(MAX_FILE.min(before) + 1).read_to_end(&mut octets);
    let len = octets.len() as u64;
    *left = before.saturating_sub(len);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    fits(len, before)?;
    Ok(octets)
}

/// Whether that much may be read.
fn fits(len: u64, left: u64) -> Result<(), String> {
    if len > MAX_FILE {
        return Err(format!("is larger than {} MiB; is it the right file?", MAX_FILE >> 20));
    }
    if len > left {
        return Err(format!("is not read: the files before it and it have more than {} MiB", MAX_ALL >> 20));
    }
    Ok(())
}

/// A path as it is said: no two have the same, and none changes how a log looks.
pub(super) fn name(path: &Path) -> String {
    let chunks = path.as_os_str().as_bytes().utf8_chunks();
    chunks
        .map(|chunk| format!("{}{}", chunk.valid().escape_debug(), chunk.invalid().escape_ascii()))
        .collect()
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

#[cfg(test)]
mod tests {
    use std::{
        os::unix::{fs::symlink, net::UnixListener},
        process::Command,
    };

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let paths = manifests(folder).unwrap();
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn only_manifests_and_no_hidden_ones() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["b.yml", "a.yaml", "c.json", ".d.yaml", "..e.yaml", "f.txt", "yaml", ".yaml", "g.yaml~"]
        {
            fs::write(at(name), "").unwrap();
        }
        fs::create_dir(at("h.yaml")).unwrap();
        fs::create_dir(at("..2026")).unwrap();
        fs::write(at("..2026").join("a.yaml"), "").unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/a.yaml", at("i.yaml")).unwrap();
        symlink("nowhere", at("j.yaml")).unwrap();
        assert_eq!(names(folder.path()), ["a.yaml", "b.yml", "c.json", "i.yaml", "j.yaml"]);
        assert!(manifests(&at("a.yaml")).unwrap_err().contains("expected a directory"));
        assert!(manifests(&at("none")).unwrap_err().contains("make it"));
    }

    #[test]
    fn names_are_told_apart_and_are_one_line() {
        for (path, said) in [
            (&b"d/a.yaml"[..], "d/a.yaml"),
            ("d/\u{e4}.yaml".as_bytes(), "d/\u{e4}.yaml"),
            (b"d/\xff.yaml", "d/\\xff.yaml"),
            (b"d/\xfe.yaml", "d/\\xfe.yaml"),
            (b"d/\\xff.yaml", "d/\\\\xff.yaml"),
            (b"d/\n\x1b[31m.yaml", "d/\\n\\u{1b}[31m.yaml"),
        ] {
            assert_eq!(name(Path::new(std::ffi::OsStr::from_bytes(path))), said);
        }
        let folder = tempfile::tempdir().unwrap();
        for number in 0xfe..=0xff {
            fs::write(folder.path().join(std::ffi::OsStr::from_bytes(&[number, b'.', b'y', b'm', b'l'])), "")
                .unwrap();
        }
        let mut store = Store::new("");
        look(folder.path(), &mut store);
        assert_eq!(store.files().count(), 2);
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink("/dev/zero", at("device")).unwrap();
        symlink("nowhere", at("link")).unwrap();
        symlink("loop", at("loop")).unwrap();
        // A file that nobody can read, root neither.
        symlink("/proc/self/mem", at("broken")).unwrap();
        fs::write(at("binary"), b"a: \xe4").unwrap();
        for (name, why) in [
            ("fifo", "is a FIFO"),
            ("socket", "is a socket"),
            ("device", "is a device"),
            ("link", "is a link to nothing"),
            ("loop", "cannot be read: "),
            ("broken", "cannot be read: "),
            ("binary", "not UTF-8 from octet 3 on"),
            (".", "is a directory"),
        ] {
            let found = read(&at(name), &mut MAX_ALL.clone()).unwrap_err();
            assert!(found.starts_with(why), "{name}: {found}");
        }
    }

    #[test]
    fn files_are_bounded_alone_and_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, vec![b' '; usize::try_from(MAX_FILE).unwrap()]).unwrap();
        let mut left = MAX_FILE + 5;
        assert_eq!(read(&path, &mut left).unwrap().len() as u64, MAX_FILE);
        assert_eq!(left, 5);
        assert!(read(&path, &mut left).unwrap_err().contains("have more than 64 MiB"));
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, &mut left).unwrap(), "12345", "what fits is read");
        fs::write(&path, vec![b' '; usize::try_from(MAX_FILE + 1).unwrap()]).unwrap();
        let mut left = MAX_ALL;
        assert!(read(&path, &mut left).unwrap_err().contains("larger than 4 MiB"));
        assert_eq!(left, MAX_ALL, "it is not even read");
        // Nobody knows how long this one is.
        assert!(octets(io::repeat(b' '), &mut left).unwrap_err().contains("larger than 4 MiB"));
        assert_eq!(left, MAX_ALL - MAX_FILE - 1);
        let mut left = 5;
        assert!(octets(io::repeat(b' '), &mut left).unwrap_err().contains("have more than 64 MiB"));
        assert_eq!(left, 0);
        for number in 0..MAX_FILES {
            fs::write(folder.path().join(format!("{number}.yaml")), "").unwrap();
        }
        assert!(manifests(folder.path()).unwrap_err().contains("more than 10000 manifests"));
    }
}
