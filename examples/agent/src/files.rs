//! Reading what the user names, with one clear sentence where that fails.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::control::File;

/// The largest file that is read: what is larger is not the file that was meant.
const MAX_FILE: u64 = 16 << 20;

/// One file; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<File> {
    let name = path.display().to_string();
    if path == Path::new("-") {
        let text = text(&name, io::stdin().lock())?;
        return Ok(File { name: "(standard input)".into(), text });
    }
    let file = fs::File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow::anyhow!("{name}: there is no such file; check the path"),
        io::ErrorKind::PermissionDenied => anyhow::anyhow!("{name}: may not be read; check its permissions"),
        _ => anyhow::anyhow!("{name}: {error}"),
    })?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        bail!("{name}: is a folder; expected a file");
    }
    Ok(File { text: text(&name, file)?, name })
}

/// Files, and of folders what ends in .yaml, .yml or .json, in order of names.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(read(path)?);
            continue;
        }
        let entries = fs::read_dir(path).with_context(|| format!("{}: cannot be listed", path.display()))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("{}: cannot be listed", path.display()))?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
                found.push(path);
            }
        }
        if found.is_empty() {
            bail!("{}: holds no .yaml, .yml or .json file", path.display());
        }
        found.sort();
        for path in found {
            files.push(read(&path)?);
        }
    }
    Ok(files)
}

/// All of a reader as text, within bounds.
fn text(name: &str, reader: impl io::Read) -> Result<String> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE + 1).read_to_end(&mut bytes).with_context(|| format!("{name}: cannot be read"))?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("{name}: is larger than {} MiB; is it the right file?", MAX_FILE >> 20);
    }
    String::from_utf8(bytes).map_err(|error| {
        anyhow::anyhow!(
            "{name}: octet {} is not UTF-8; expected a text file",
            error.utf8_error().valid_up_to()
        )
    })
}
