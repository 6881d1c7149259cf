//! The side that asks: `peerage show`, `monitor`, `clear`, `apply` and `delete`.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{MAX_REQUEST, MAX_RESPONSE, Request, Response, agent_socket, lab_socket, router_socket};
use crate::{
    cli::{ChangeArgs, ClearArgs, MonitorArgs, ShowArgs},
    files,
};

/// How long a change may take to settle, and more.
const PATIENCE: Duration = Duration::from_secs(60);

/// `peerage show`
pub(crate) fn show(arguments: ShowArgs) -> Result<ExitCode> {
    let ShowArgs { what, node, output, family, socket } = arguments;
    run(&discover(socket.socket), &Request::Show { show: what, node, format: output, family })
}

/// `peerage clear`
pub(crate) fn clear(arguments: ClearArgs) -> Result<ExitCode> {
    let soft = arguments.soft();
    let ClearArgs { neighbor, socket, .. } = arguments;
    let neighbor = Some(neighbor).filter(|neighbor| neighbor != "all");
    run(&discover(socket.socket), &Request::Clear { neighbor, soft })
}

/// `peerage monitor`: copies lines until the router ends or nobody reads them.
pub(crate) fn monitor(arguments: MonitorArgs) -> Result<ExitCode> {
    let path = discover(arguments.socket.socket);
    let (mut reader, response) =
        open(&path, &Request::Monitor { node: arguments.node, format: arguments.output })?;
    if !response.done {
        return finish(&response);
    }
    // Between two lines any time may pass.
    reader.get_ref().set_read_timeout(None)?;
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).context("the router does not answer any more")? > 0 {
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(&line).and_then(|()| out.flush()) {
            let gone = error.kind() == io::ErrorKind::BrokenPipe;
            return if gone { Ok(ExitCode::SUCCESS) } else { Err(error.into()) };
        }
        line.clear();
    }
    eprintln!("peerage: the router ended the stream");
    Ok(ExitCode::FAILURE)
}

/// `peerage apply` and `peerage delete`
pub(crate) fn change(arguments: ChangeArgs, delete: bool) -> Result<ExitCode> {
    let files = files::read_all(&arguments.files)?;
    let request = if delete { Request::Delete { files } } else { Request::Apply { files } };
    run(&arguments.socket.socket.unwrap_or_else(lab_socket), &request)
}

/// Whom to ask: who is named, else the router of this host, else its agent, else its lab.
fn discover(socket: Option<PathBuf>) -> PathBuf {
    socket.unwrap_or_else(|| {
        let answers = |path: &PathBuf| UnixStream::connect(path).is_ok();
        [router_socket(), agent_socket()].into_iter().find(answers).unwrap_or_else(lab_socket)
    })
}

/// Asks and writes the answer where it belongs.
fn run(path: &Path, request: &Request) -> Result<ExitCode> {
    finish(&ask(path, request)?)
}

/// Writes an answer where it belongs.
fn finish(response: &Response) -> Result<ExitCode> {
    crate::print(&response.output)?;
    if !response.complaint.is_empty() {
        eprintln!("{}", response.complaint.trim_end());
    }
    Ok(if response.done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One question, one answer.
pub(crate) fn ask(path: &Path, request: &Request) -> Result<Response> {
    Ok(open(path, request)?.1)
}

/// Asks; the answer, and what may follow it.
fn open(path: &Path, request: &Request) -> Result<(BufReader<UnixStream>, Response)> {
    let mut stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => anyhow::anyhow!(
            "no router, agent or lab runs at {}; start one with `peerage router`, `peerage agent` or `peerage lab`, or say --socket PATH where it answers",
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
    stream.write_all(&bytes).context("the other side does not take the request")?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    reader
        .by_ref()
        .take(MAX_RESPONSE)
        .read_until(b'\n', &mut line)
        .context("the other side does not answer; is it stopped?")?;
    if line.is_empty() {
        bail!("the other side closed the connection; it may be ending, or answering too many others");
    }
    let response = serde_json::from_slice(&line).context("the answer is not one of this version")?;
    Ok((reader, response))
}
