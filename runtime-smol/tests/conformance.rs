//! The conformance suite on smol, on an executor of one thread: whoever does not take turns is found
//! out.

use std::{io, net::SocketAddr, sync::Arc, thread};

use peerage_conformance::{Adapter, conformance, running};
use peerage_core::Speaker;
use peerage_smol::Node;
use peerage_sockets::SocketSetup;
use smol::{
    Executor,
    channel::{Sender, bounded},
};

struct OneThread {
    executor: Arc<Executor<'static>>,
    /// Dropping it ends the thread.
    _end: Sender<()>,
}

impl Adapter for OneThread {
    type Node = Running;

    fn start() -> Self {
        let executor = Arc::new(Executor::new());
        let (end, ended) = bounded::<()>(1);
        let running = Arc::clone(&executor);
        thread::spawn(move || smol::block_on(running.run(ended.recv())));
        Self { executor, _end: end }
    }

    fn spawn(
        &self,
        speaker: Speaker,
        setup: Arc<dyn SocketSetup>,
        listen: &[SocketAddr],
    ) -> io::Result<Self::Node> {
        Node::spawn_on(&self.executor, speaker, setup, listen).map(Running)
    }
}

running!(Running(Node));
conformance!(OneThread);

mod own_executor {
    //! smol's own executor: nothing to set up.

    use super::*;

    struct Own;

    impl Adapter for Own {
        type Node = Running;

        fn start() -> Self {
            Self
        }

        fn spawn(
            &self,
            speaker: Speaker,
            setup: Arc<dyn SocketSetup>,
            listen: &[SocketAddr],
        ) -> io::Result<Self::Node> {
            Node::spawn(speaker, setup, listen).map(Running)
        }
    }

    conformance! { Own:
        a_session_comes_up_from_either_side,
        stopping_says_so_and_leaves_nothing_open,
    }
}
