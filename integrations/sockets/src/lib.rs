//! What both runtimes need of an operating system.
