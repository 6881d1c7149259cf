//! The conformance suite on tokio, on a runtime of one thread: whoever does not take turns is found out.

use std::{io, net::SocketAddr, sync::Arc, thread};

use peerage_conformance::{Adapter, conformance, running};
use peerage_core::Speaker;
use peerage_sockets::SocketSetup;
use peerage_tokio::Node;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot::{Sender, channel},
};

struct OneThread {
    handle: Handle,
    /// Dropping it ends the thread.
    _end: Sender<()>,
}

impl Adapter for OneThread {
    type Node = Running;

    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (end, ended) = channel::<()>();
        thread::spawn(move || runtime.block_on(ended));
        Self { handle, _end: end }
    }

    fn spawn(
        &self,
        speaker: Speaker,
        setup: Arc<dyn SocketSetup>,
        listen: &[SocketAddr],
    ) -> io::Result<Self::Node> {
        Node::spawn_on(&self.handle, speaker, setup, listen).map(Running)
    }
}

running!(Running(Node));
conformance!(OneThread);

mod many_threads {
    //! What could go wrong between threads only.

    use super::*;

    struct ManyThreads(tokio::runtime::Runtime);

    impl Adapter for ManyThreads {
        type Node = Running;

        fn start() -> Self {
            let mut builder = Builder::new_multi_thread();
            Self(builder.worker_threads(4).enable_all().build().expect("a runtime"))
        }

        fn spawn(
            &self,
            speaker: Speaker,
            setup: Arc<dyn SocketSetup>,
            listen: &[SocketAddr],
        ) -> io::Result<Self::Node> {
            Node::spawn_on(self.0.handle(), speaker, setup, listen).map(Running)
        }
    }

    conformance! { ManyThreads:
        a_hundred_thousand_routes_cross_three_nodes,
        an_event_sink_may_call_back,
        of_two_connections_that_cross_one_survives,
        stopping_says_so_and_leaves_nothing_open,
    }
}

#[test]
fn without_a_runtime_it_is_an_error() {
    let speaker = Speaker::new([7; 32], peerage_sockets::Clock.now());
    let error = Node::spawn(speaker, Arc::new(peerage_sockets::Direct), &[]).expect_err("no runtime here");
    assert!(error.to_string().contains("runtime"), "{error}");
}
