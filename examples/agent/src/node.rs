//! A speaker that runs, on either runtime.

use std::{io, net::SocketAddr, sync::Arc, thread, time::Duration};

use anyhow::{Context as _, Result};
use peerage_core::{Speaker, speaker::Event, time::Instant};
use peerage_sockets::{Clock, SocketSetup, seed};

use crate::cli::{self, OnShutdown};

/// What speakers run on: one thread. A speaker has one owner at a time anyway, and handing a message from
/// thread to thread costs more than the message.
#[derive(Clone, Debug)]
pub(crate) enum Runtime {
    /// tokio
    Tokio(tokio::runtime::Handle),
    /// smol
    Smol(Arc<smol::Executor<'static>>),
}

/// A speaker that runs.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// On tokio.
    Tokio(peerage_tokio::Node),
    /// On smol.
    Smol(peerage_smol::Node),
}

impl Runtime {
    /// Starts one; it ends with the process.
    pub(crate) fn start(which: cli::Runtime) -> Result<Self> {
        match which {
            cli::Runtime::Tokio => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .context("cannot start tokio")?;
                let handle = runtime.handle().clone();
                run("tokio", move || runtime.block_on(std::future::pending::<()>()))?;
                Ok(Self::Tokio(handle))
            }
            cli::Runtime::Smol => {
                let executor = Arc::new(smol::Executor::new());
                let running = Arc::clone(&executor);
                run("smol", move || smol::block_on(running.run(std::future::pending::<()>())))?;
                Ok(Self::Smol(executor))
            }
        }
    }

    /// Runs a new speaker that listens at these addresses.
    pub(crate) fn spawn(&self, setup: Arc<dyn SocketSetup>, listen: &[SocketAddr]) -> io::Result<Node> {
        self.spawn_speaker(Speaker::new(seed(), Clock.now()), setup, listen)
    }

    /// Runs a speaker, made with the time of [`Clock`], that listens at these addresses.
    pub(crate) fn spawn_speaker(
        &self,
        speaker: Speaker,
        setup: Arc<dyn SocketSetup>,
        listen: &[SocketAddr],
    ) -> io::Result<Node> {
        match self {
            Self::Tokio(handle) => {
                peerage_tokio::Node::spawn_on(handle, speaker, setup, listen).map(Node::Tokio)
            }
            Self::Smol(executor) => {
                peerage_smol::Node::spawn_on(executor, speaker, setup, listen).map(Node::Smol)
            }
        }
    }
}

/// Starts a thread of the runtime.
fn run(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.into()).spawn(work).context("cannot start a thread")?;
    Ok(())
}

impl Node {
    /// Runs `f` on the speaker and carries out what it led to.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Speaker, Instant) -> R) -> R {
        match self {
            Self::Tokio(node) => node.with(f),
            Self::Smol(node) => node.with(f),
        }
    }

    /// Where it listens.
    pub(crate) fn listen_addrs(&self) -> Vec<SocketAddr> {
        match self {
            Self::Tokio(node) => node.listen_addrs(),
            Self::Smol(node) => node.listen_addrs(),
        }
    }

    /// Who is told of events.
    pub(crate) fn set_event_sink(&self, sink: impl FnMut(Event) + Send + 'static) {
        match self {
            Self::Tokio(node) => node.set_event_sink(Box::new(sink)),
            Self::Smol(node) => node.set_event_sink(Box::new(sink)),
        }
    }

    /// Has the options of all its sockets set anew.
    pub(crate) fn refresh_sockets(&self) {
        match self {
            Self::Tokio(node) => node.refresh_sockets(),
            Self::Smol(node) => node.refresh_sockets(),
        }
    }

    /// Ends its sessions in some way and waits for that, for `limit` at most.
    pub(crate) fn end(&self, how: OnShutdown, text: &str, limit: Duration) {
        if how == OnShutdown::GracefulRestart {
            self.with(|speaker, now| speaker.shutdown_for_restart(now, text));
        }
        self.shutdown(text, limit);
    }

    /// Ends its sessions with Cease 6/2 and waits for that, for `limit` at most.
    pub(crate) fn shutdown(&self, text: &str, limit: Duration) {
        match self {
            Self::Tokio(node) => node.shutdown_blocking(text, limit),
            Self::Smol(node) => node.shutdown_blocking(text, limit),
        }
    }
}
