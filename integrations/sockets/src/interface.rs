//! Interface names and numbers. A link-local address means nothing without its interface, which BGP
//! configurations name and sockets number.

use std::io;

/// The number of the interface called `name` in this thread's network namespace.
#[cfg(target_os = "linux")]
pub(crate) fn index(name: &str) -> io::Result<u32> {
    use rustix::net::netdevice;
    // Not from /sys, which shows the namespace that it was mounted in.
    socket().and_then(|socket| netdevice::name_to_index(socket, name)).map_err(|error| {
        io::Error::new(
            io::ErrorKind::NetworkUnreachable,
            format!("there is no interface {name:?} in this network namespace ({error})"),
        )
    })
}

/// The name of the interface with the number `index`.
#[cfg(target_os = "linux")]
pub(crate) fn name(index: u32) -> Option<String> {
    rustix::net::netdevice::index_to_name(socket().ok()?, index).ok()
}

/// Any socket: the kernel wants one to know which namespace is meant.
#[cfg(target_os = "linux")]
fn socket() -> rustix::io::Result<std::os::fd::OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

/// The number of the interface called `name`: known on Linux only.
#[cfg(not(target_os = "linux"))]
pub(crate) fn index(name: &str) -> io::Result<u32> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("link-local neighbours, such as the one on {name}, are supported on Linux only"),
    ))
}

/// The name of the interface with the number `index`: known on Linux only.
#[cfg(not(target_os = "linux"))]
pub(crate) fn name(_index: u32) -> Option<String> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_found_both_ways() {
        let number = index("lo").expect("every network namespace has lo");
        assert_eq!(name(number).as_deref(), Some("lo"));
    }

    #[test]
    fn what_names_no_interface_is_said() {
        for bad in ["", "..", "../../kernel", "lo/..", "lo\0", "a name that is longer than any"] {
            assert_eq!(index(bad).expect_err(bad).kind(), io::ErrorKind::NetworkUnreachable);
        }
        assert_eq!(name(u32::MAX), None);
        assert!(index("nosuch0").expect_err("no such interface").to_string().contains("nosuch0"));
    }
}
