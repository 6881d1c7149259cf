//! Running: speakers, cells, rounds, and what becomes of their figures.

pub(crate) mod bgpload;
pub(crate) mod cell;
pub(crate) mod daemon;
pub(crate) mod figures;
pub(crate) mod machine;
pub(crate) mod page;
pub(crate) mod rounds;
pub(crate) mod table;
pub(crate) mod usage;
pub(crate) mod validate;
