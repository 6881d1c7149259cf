//! Interface names and numbers. A link-local address means nothing without its interface, which BGP
//! configurations name and sockets number.

use std::io;

/// The number of the interface called `name`.
#[cfg(target_os = "linux")]
pub(crate) fn index(name: &str) -> io::Result<u32> {
    // A name is one path component: nothing else may be read through it.
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} names no interface")));
    }
    let read = || {
        std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"))?
            .trim()
            .parse()
            .map_err(io::Error::other)
    };
    read().map_err(|error| {
        io::Error::new(
            io::ErrorKind::NetworkUnreachable,
            format!("there is no interface {name} in this network namespace ({error})"),
        )
    })
}

/// The name of the interface with the number `index`.
#[cfg(target_os = "linux")]
pub(crate) fn name(index: u32) -> Option<String> {
    std::fs::read_dir("/sys/class/net")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| self::index(name).is_ok_and(|found| found == index))
}

/// The number of the interface called `name`: known on Linux only, without unsafe code.
#[cfg(not(target_os = "linux"))]
pub(crate) fn index(name: &str) -> io::Result<u32> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("link-local neighbours, such as the one on {name}, are supported on Linux only"),
    ))
}

/// The name of the interface with the number `index`: known on Linux only, without unsafe code.
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
    fn a_name_cannot_lead_elsewhere() {
        for bad in ["", "..", "../../kernel", "lo/.."] {
            assert_eq!(index(bad).expect_err(bad).kind(), io::ErrorKind::InvalidInput);
        }
        assert!(index("nosuch0").expect_err("no such interface").to_string().contains("nosuch0"));
    }
}
