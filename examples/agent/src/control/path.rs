//! Where the socket is when nobody says.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

/// Where a lab answers: `$XDG_RUNTIME_DIR/peerage/lab.sock`, or `/tmp/peerage-UID/lab.sock` where there is
/// none.
pub(crate) fn lab_socket() -> PathBuf {
    folder().join("lab.sock")
}

/// Where a router answers: beside the lab.
pub(crate) fn router_socket() -> PathBuf {
    folder().join("router.sock")
}

/// Where an agent answers: beside them.
pub(crate) fn agent_socket() -> PathBuf {
    folder().join("agent.sock")
}

/// The folder of all.
pub(crate) fn folder() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match runtime.filter(|dir| dir.is_absolute() && dir.is_dir()) {
        Some(dir) => dir.join("peerage"),
        None => Path::new("/tmp").join(format!("peerage-{}", rustix::process::getuid().as_raw())),
    }
}

/// Makes the socket's folder, for its user alone. One that is there already is used as it is, but for
/// the default ones: in `/tmp` anybody could have made them.
pub(crate) fn prepare_folder(socket: &Path) -> Result<()> {
    let Some(folder) = socket.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| {
            format!("cannot make {}; say --socket PATH with another place", folder.display())
        })?;
    }
    if [lab_socket(), router_socket(), agent_socket()].iter().any(|known| known == socket) {
        let found =
            fs::symlink_metadata(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        if !found.is_dir() || found.uid() != rustix::process::getuid().as_raw() {
            bail!("{} is not your folder; say --socket PATH with another place", folder.display());
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
                .with_context(|| format!("cannot close {} to others", folder.display()))?;
        }
    }
    Ok(())
}
