//! Installs the daemons from Debian's packages, and sees to it that none of them starts by itself.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Result, bail};

use crate::namespace::{is_root, run};

/// Debian asks this before it starts a service; 101 is no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Where programs are that are named without a path.
const FOLDERS: [&str; 5] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/lib"];

/// Whether a program is there: a path, or a name to look for where programs of the system are.
pub fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    FOLDERS.iter().any(|folder| Path::new(folder).join(program).exists())
}

/// Installs the packages of programs that are missing, each given as program and package; `Ok(None)`: none
/// was. No service that is in them is started.
///
/// # Errors
/// If something is missing and cannot be installed here.
pub fn install<'a>(wanted: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Option<String>> {
    let mut packages: Vec<&str> =
        wanted.into_iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| package).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(None);
    }
    let names = packages.join(" ");
    if !is_root() || !Path::new("/etc/debian_version").exists() {
        bail!("{names}: installed here only by root, on Debian");
    }
    let _policy = Policy::set()?;
    eprintln!("Installing {names}");
    // Lists that are old are no reason to fail, if they name the packages.
    let _ = run("apt-get", ["update"]);
    let mut command = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"];
    command.push("--no-install-recommends");
    command.extend(packages);
    run("env", command)?;
    Ok(Some(names))
}

/// Forbids services to be started, for as long as it is there. A policy that the machine has stays.
struct Policy;

impl Policy {
    fn set() -> Result<Option<Self>> {
        let mut options = fs::OpenOptions::new();
        match options.write(true).create_new(true).open(POLICY) {
            Ok(mut file) => {
                let guard = Self;
                io::Write::write_all(&mut file, b"#!/bin/sh\nexit 101\n")?;
                file.set_permissions(fs::Permissions::from_mode(0o755))?;
                Ok(Some(guard))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = fs::remove_file(POLICY);
    }
}
