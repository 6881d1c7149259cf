//! How one `peerage` asks another: one JSON line each way over a Unix socket.
//!
//! A connection carries one request and one response, both bounded; after that of `monitor`, lines follow
//! until one side has enough. The socket is its user's alone
//! (0600, in a folder of 0700); whoever can open it may change what runs.

mod client;
mod path;
mod server;

use serde::{Deserialize, Serialize};

pub(crate) use client::{ask, change, clear, monitor, show};
pub(crate) use path::{agent_socket, folder, lab_socket, prepare_folder, router_socket};
pub(crate) use server::{Answer, Server};

use crate::cli::{FamilyName, Format, Soft, What};

/// Longest request.
pub(crate) const MAX_REQUEST: u64 = 4 << 20;
/// Longest response: a table of a million routes as JSON.
pub(crate) const MAX_RESPONSE: u64 = 1 << 30;

/// A file that goes with a request: the other side need not see the same disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    /// As the user named it, for faults.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) text: String,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "lowercase")]
pub(crate) enum Request {
    /// Show something.
    Show {
        /// What.
        show: What,
        /// Whose view; `None`: the only one's, or the usual one's.
        node: Option<String>,
        /// How it is written.
        format: Format,
        /// Which table.
        family: FamilyName,
    },
    /// Apply manifests.
    Apply {
        /// The manifests.
        files: Vec<File>,
    },
    /// Delete the objects that manifests name.
    Delete {
        /// The manifests.
        files: Vec<File>,
    },
    /// Say what happens from now on.
    Monitor {
        /// At which instance; `None`: at the only one.
        #[serde(default)]
        node: Option<String>,
        /// How it is written.
        format: Format,
    },
    /// End a neighbour's session, or have its routes judged or sent again.
    Clear {
        /// Whose; `None`: everyone's.
        neighbor: Option<String>,
        /// How; `None`: the session ends and starts again.
        soft: Option<Soft>,
    },
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Response {
    /// Whether it was done.
    pub(crate) done: bool,
    /// For standard output.
    pub(crate) output: String,
    /// For standard error: faults, or why it was not done.
    pub(crate) complaint: String,
}

impl Response {
    /// Done, with this to say.
    pub(crate) fn done(output: impl Into<String>) -> Self {
        Self { done: true, output: output.into(), complaint: String::new() }
    }

    /// Not done, because.
    pub(crate) fn failed(complaint: impl Into<String>) -> Self {
        Self { done: false, output: String::new(), complaint: complaint.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::{fs::PermissionsExt as _, net::UnixStream},
    };

    use super::*;

    fn serve(path: &std::path::Path) -> Server {
        Server::start(path, |request| match request {
            Request::Show { node, .. } => Answer::Once(Response::done(format!("{} speaks", node.unwrap()))),
            Request::Monitor { .. } => Answer::Stream(Box::new(|mut stream| stream.write_all(b"one\ntwo\n"))),
            _ => Answer::Once(Response::failed("no")),
        })
        .unwrap()
    }

    fn request(node: &str) -> Request {
        Request::Show {
            show: What::Summary,
            node: Some(node.into()),
            format: Format::Text,
            family: FamilyName::Ipv4,
        }
    }

    #[test]
    fn a_question_gets_its_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/lab.sock");
        let server = serve(&path);
        assert_eq!(ask(&path, &request("tor0")).unwrap(), Response::done("tor0 speaks"));
        assert_eq!(ask(&path, &Request::Apply { files: vec![] }).unwrap(), Response::failed("no"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        drop(server);
        assert!(!path.exists(), "the socket file stays behind");
    }

    #[test]
    fn lines_follow_until_one_side_has_enough() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("router.sock");
        let _server = serve(&path);
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"{\"request\":\"monitor\",\"format\":\"text\"}\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, lines) = answer.split_once('\n').unwrap();
        assert!(serde_json::from_str::<Response>(head).unwrap().done);
        assert_eq!(lines, "one\ntwo\n");
    }

    #[test]
    fn a_second_server_is_told_and_a_stale_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lab.sock");
        let server = serve(&path);
        let error = Server::start(&path, |_| Answer::Once(Response::default())).unwrap_err().to_string();
        assert!(error.contains("already runs") && error.contains("--socket"), "{error}");
        drop(server);

        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let server = serve(&path);
        assert!(ask(&path, &request("x")).unwrap().done);
        drop(server);

        std::fs::write(&path, "precious").unwrap();
        let error = Server::start(&path, |_| Answer::Once(Response::default())).unwrap_err().to_string();
        assert!(error.contains("not a socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn without_a_server_the_remedy_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lab.sock");
        let error = ask(&path, &request("x")).unwrap_err().to_string();
        assert!(error.contains("peerage lab"), "{error}");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let error = ask(&path, &request("x")).unwrap_err().to_string();
        assert!(error.contains("peerage lab"), "{error}");
    }

    #[test]
    fn what_is_no_request_is_answered_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lab.sock");
        let _server = serve(&path);
        for (bytes, expected) in [
            (b"hello\n".to_vec(), "not a request"),
            (b"{\"request\":\"format\"}\n".to_vec(), "not a request"),
            (vec![0xff, b'\n'], "not a request"),
            (vec![b' '; usize::try_from(MAX_REQUEST).unwrap() + 10], "longer than"),
        ] {
            let mut stream = UnixStream::connect(&path).unwrap();
            // The server may stop reading and answer before everything is written.
            _ = stream.write_all(&bytes);
            _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = String::new();
            _ = stream.read_to_string(&mut answer);
            assert!(answer.contains(expected), "{answer}");
        }
        assert!(ask(&path, &request("x")).unwrap().done);
    }
}
