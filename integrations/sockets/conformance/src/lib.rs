//! What every runtime of Peerage must do, over real TCP on the loopback interface.
//!
//! A runtime implements [`Adapter`] and [`Running`] in its tests, then has [`conformance!`] make a test of
//! every scenario. Nodes stand at 127.0.0.N with a port of their own; raw peers are plain blocking
//! sockets that say whatever a scenario wants them to. Every wait has a deadline and says what it waited
//! for; nothing sleeps in the hope that something has happened.
//!
//! Linux: all of 127.0.0.0/8 is local there, and `/proc` counts connections and descriptors.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use peerage_core::{Speaker, speaker::Event, time::Instant};
use peerage_sockets::SocketSetup;

mod bed;
mod raw;
mod scenarios;

pub use scenarios::*;

/// A runtime under test, with a thread of its own to run on.
pub trait Adapter: 'static {
    /// Its node.
    type Node: Running;

    /// Starts a runtime.
    fn start() -> Self;

    /// Starts a node on it.
    ///
    /// # Errors
    /// If an address cannot be listened on.
    fn spawn(
        &self,
        speaker: Speaker,
        setup: Arc<dyn SocketSetup>,
        listen: &[SocketAddr],
    ) -> io::Result<Self::Node>;
}

/// A node under test: the surface that both runtimes have.
pub trait Running: Clone + Send + Sync + 'static {
    /// Runs `f` on the speaker.
    fn with<R>(&self, f: impl FnOnce(&mut Speaker, Instant) -> R) -> R;

    /// Where it listens.
    fn listen_addrs(&self) -> Vec<SocketAddr>;

    /// Who gets the events.
    fn set_event_sink(&self, sink: Box<dyn FnMut(Event) + Send>);

    /// Has its sockets' options set anew.
    fn refresh_sockets(&self);

    /// Stops it.
    fn shutdown_blocking(&self, text: &str, limit: Duration);
}

/// Defines a [`Running`] around a node, by its methods of the same names.
#[macro_export]
macro_rules! running {
    ($name:ident($node:ty)) => {
        #[derive(Clone)]
        struct $name($node);

        impl $crate::Running for $name {
            fn with<R>(
                &self,
                f: impl FnOnce(&mut peerage_core::Speaker, peerage_core::time::Instant) -> R,
            ) -> R {
                self.0.with(f)
            }

            fn listen_addrs(&self) -> Vec<std::net::SocketAddr> {
                self.0.listen_addrs()
            }

            fn set_event_sink(&self, sink: Box<dyn FnMut(peerage_core::speaker::Event) + Send>) {
                self.0.set_event_sink(sink);
            }

            fn refresh_sockets(&self) {
                self.0.refresh_sockets();
            }

            fn shutdown_blocking(&self, text: &str, limit: std::time::Duration) {
                self.0.shutdown_blocking(text, limit);
            }
        }
    };
}

/// Makes a test of every scenario for an adapter.
#[macro_export]
macro_rules! conformance {
    ($adapter:ty) => {
        $crate::conformance! { $adapter:
            a_hundred_thousand_routes_cross_three_nodes,
            a_peer_that_goes_silent_is_told_and_left,
            a_refused_connection_is_tried_again,
            a_reset_in_the_middle_of_a_message_ends_the_session,
            a_session_comes_up_from_either_side,
            a_setup_decides_what_addresses_mean,
            a_sink_that_panics_hears_the_next_event,
            a_slow_reader_gets_everything_and_delays_nobody,
            a_stopped_reader_is_owed_nothing_and_ends,
            accepting_survives_a_flood,
            accepting_survives_a_lack_of_descriptors,
            an_end_in_the_middle_of_a_message_ends_the_session,
            an_event_sink_may_call_back,
            an_unconfigured_source_is_refused,
            changed_options_reach_every_open_socket,
            long_work_goes_on_by_itself,
            of_two_connections_that_cross_one_survives,
            stopping_is_bounded_in_time,
            stopping_says_so_and_leaves_nothing_open,
            stopping_says_so_to_a_peer_that_keeps_talking,
            two_ends_that_both_connect_find_each_other_again,
            two_ends_that_connect_at_once_have_one_session,
            what_is_not_bgp_is_told_so,
        }
    };
    ($adapter:ty: $($scenario:ident,)*) => {
        $(
            #[test]
            fn $scenario() {
                $crate::$scenario::<$adapter>();
            }
        )*
    };
}
