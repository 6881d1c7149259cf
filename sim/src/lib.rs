//! A deterministic network of speakers in virtual time.
