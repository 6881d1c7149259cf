//! The side that asks: `peerage show`, `apply` and `delete`.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{MAX_REQUEST, MAX_RESPONSE, Request, Response, default_socket};
use crate::{
    cli::{ChangeArgs, ShowArgs},
    files,
};

/// How long a change may take to settle, and more.
const PATIENCE: Duration = Duration::from_secs(60);

/// `peerage show`
pub(crate) fn show(arguments: ShowArgs) -> Result<ExitCode> {
    let ShowArgs { what, node, output, socket } = arguments;
    run(socket.socket, &Request::Show { show: what, node, format: output })
}

/// `peerage apply` and `peerage delete`
pub(crate) fn change(arguments: ChangeArgs, delete: bool) -> Result<ExitCode> {
    let files = files::read_all(&arguments.files)?;
    let request = if delete { Request::Delete { files } } else { Request::Apply { files } };
    run(arguments.socket.socket, &request)
}

/// Asks and writes the answer where it belongs.
fn run(socket: Option<PathBuf>, request: &Request) -> Result<ExitCode> {
    let response = ask(&socket.unwrap_or_else(default_socket), request)?;
    crate::print(&response.output)?;
    if !response.complaint.is_empty() {
        eprintln!("{}", response.complaint.trim_end());
    }
    Ok(if response.done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One question, one answer.
pub(crate) fn ask(path: &Path, request: &Request) -> Result<Response> {
    let mut stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => anyhow::anyhow!(
            "no lab runs at {}; start one with `peerage lab`, or say --socket PATH where it answers",
            path.display()
        ),
        _ => anyhow::anyhow!("cannot ask at {}: {error}", path.display()),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut bytes = serde_json::to_vec(request)?;
    bytes.push(b'\n');
    if bytes.len() as u64 > MAX_REQUEST {
        bail!("the manifests are larger than {} MiB together", MAX_REQUEST >> 20);
    }
    stream.write_all(&bytes).context("the lab does not take the request")?;
    let mut line = Vec::new();
    BufReader::new(stream)
        .take(MAX_RESPONSE)
        .read_until(b'\n', &mut line)
        .context("the lab does not answer; is it stopped?")?;
    if line.is_empty() {
        bail!("the lab closed the connection; it may be ending, or answering too many others");
    }
    serde_json::from_slice(&line).context("the answer is not one of this version")
}
