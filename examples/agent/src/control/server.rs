//! The side that answers: one thread that accepts, one for each of a few connections.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{MAX_REQUEST, Request, Response, path::prepare_folder};

/// Connections answered at a time; further ones are closed.
const MAX_CONNECTIONS: usize = 16;
/// How long a client may take to ask or to read.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a request gets.
pub(crate) enum Answer {
    /// One response.
    Once(Response),
    /// A response that says it is done, then whatever this writes until it returns. It has to bound how long
    /// it waits for a client that does not read, and to see when one is gone.
    Stream(Box<Streaming>),
}

type Streaming = dyn FnOnce(&UnixStream) -> io::Result<()> + Send;
type Answering = dyn Fn(Request) -> Answer + Send + Sync;

/// A socket that is answered. Dropped, its file goes.
#[derive(Debug)]
pub(crate) struct Server {
    path: PathBuf,
    /// Device and inode, so that only what is ours is removed.
    identity: (u64, u64),
}

impl Server {
    /// Answers at `path` with what `answer` says, until the process ends.
    pub(crate) fn start(
        path: &Path,
        answer: impl Fn(Request) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        prepare_folder(path)?;
        make_room(path)?;
        let listener = bind(path)?;
        let found = fs::symlink_metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let server = Self { path: path.to_owned(), identity: (found.dev(), found.ino()) };
        let answer: Arc<Answering> = Arc::new(answer);
        thread::Builder::new()
            .name("control".into())
            .spawn(move || accept(&listener, &answer))
            .context("cannot start a thread")?;
        Ok(server)
    }

    /// Where it answers.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket that nobody answers at; anything else in the way is an error.
fn make_room(path: &Path) -> Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.with_context(|| format!("cannot read {}", path.display()))?,
    };
    if !found.file_type().is_socket() {
        bail!("{} is there and is not a socket; say --socket PATH with another place", path.display());
    }
    match UnixStream::connect(path) {
        Ok(_) => {
            bail!(
                "a router, an agent or a lab already runs at {}; end it, or say --socket PATH with another place",
                path.display()
            )
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .with_context(|| format!("cannot remove the stale socket {}", path.display())),
        Err(error) => Err(error).with_context(|| {
            format!("{} is in the way; say --socket PATH with another place", path.display())
        }),
    }
}

/// Binds in a folder that is closed to others and moves the socket to its place when it is, too.
fn bind(path: &Path) -> Result<UnixListener> {
    let place =
        path.parent().unwrap_or_else(|| Path::new("")).join(format!(".peerage-{}", std::process::id()));
    let inner = place.join("s");
    let remedy = || {
        format!(
            "cannot make the socket {}; say --socket PATH with a shorter or another place",
            path.display()
        )
    };
    fs::DirBuilder::new().mode(0o700).create(&place).with_context(remedy)?;
    let result = UnixListener::bind(&inner).and_then(|listener| {
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o600))?;
        fs::rename(&inner, path)?;
        Ok(listener)
    });
    _ = fs::remove_dir_all(&place);
    result.with_context(remedy)
}

/// Takes connections, each into a thread of its own.
fn accept(listener: &UnixListener, answer: &Arc<Answering>) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, most likely: wait for some to come back.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        if open.fetch_add(1, Ordering::AcqRel) >= MAX_CONNECTIONS {
            open.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (answer, open) = (Arc::clone(answer), Arc::clone(&open));
        let slot = Arc::clone(&open);
        let spawned = thread::Builder::new().name("control-client".into()).spawn(move || {
            // A client that goes away or stays silent is its own loss.
            _ = serve(&stream, &*answer);
            slot.fetch_sub(1, Ordering::AcqRel);
        });
        if spawned.is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Reads one request and writes one response.
fn serve(stream: &UnixStream, answer: &Answering) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_REQUEST + 1).read_until(b'\n', &mut line)?;
    let answer = if line.len() as u64 > MAX_REQUEST {
        Answer::Once(Response::failed(format!("the request is longer than {MAX_REQUEST} octets")))
    } else {
        match serde_json::from_slice(&line) {
            Ok(request) => answer(request),
            Err(error) => {
                Answer::Once(Response::failed(format!("this is not a request of this version: {error}")))
            }
        }
    };
    let (response, more) = match answer {
        Answer::Once(response) => (response, None),
        Answer::Stream(more) => (Response::done(""), Some(more)),
    };
    let mut bytes = serde_json::to_vec(&response)?;
    bytes.push(b'\n');
    let mut writer = stream;
    writer.write_all(&bytes)?;
    match more {
        Some(more) => more(stream),
        None => Ok(()),
    }
}
