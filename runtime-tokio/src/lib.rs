//! Peerage on tokio.
