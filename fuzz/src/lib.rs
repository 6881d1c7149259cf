//! What the fuzz targets check, apart from the engine that drives them, so that it builds and can be
//! tested like any other code.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod message;
pub mod session;
