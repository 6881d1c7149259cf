//! Peerage against real BGP daemons: FRR, BIRD, GoBGP and OpenBGPD.
//!
//! A *behaviour* ([`Behaviour`]) is one file in `tests/it`; with one daemon it is a *cell* of the table in
//! `docs/interop.md`, which is the result of a run. Each cell is a process in namespaces of its own
//! (network, processes, mounts): its addresses and ports are always free, its traffic reaches nobody, and
//! whatever it started ends with it, however it ends. No daemon outside is looked at or touched.
//!
//! ```text
//! cargo test -p peerage-interop                        all cells
//! cargo test -p peerage-interop -- attributes/bird     those whose names contain this
//! cargo test -p peerage-interop -- --install           installs missing daemons first (root, Debian)
//! PEERAGE_INTEROP_WRITE=1 cargo test -p peerage-interop    writes docs/interop.md
//! ```
//!
//! It needs root, or a system where users may have user namespaces (OpenBGPD needs root). What cannot run
//! is one loud line, and in CI a failure.

pub mod daemon;
pub mod install;
pub mod namespace;
mod ours;
pub mod raw;
mod runner;
mod table;
mod waiting;

pub use daemon::{Announce, Config, Daemon, Kind, Peer, Unnumbered};
pub use ours::{Key, Ours, accepting, prefix};
pub use runner::main;
pub use waiting::{PATIENCE, wait, wait_within};

/// Something that two speakers do together.
#[derive(Debug)]
pub struct Behaviour {
    /// What its file is called, and what a filter looks for.
    pub name: &'static str,
    /// What it makes sure of, for the table.
    pub about: &'static str,
    /// Whether it is much work for the machine: few of these run at once.
    pub heavy: bool,
    /// Whether it takes more than a user namespace, with any daemon.
    pub root: bool,
    /// Why a daemon cannot do it, if it cannot.
    pub cannot: fn(Kind) -> Option<&'static str>,
    /// Does it, within the cell's namespaces.
    pub run: fn(Kind) -> anyhow::Result<()>,
}

/// For [`Behaviour::cannot`]: every daemon can.
pub fn all_can(_: Kind) -> Option<&'static str> {
    None
}
