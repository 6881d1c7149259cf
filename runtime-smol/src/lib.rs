//! Peerage on smol.
