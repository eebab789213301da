//! The addresses to listen on, as Prometheus writes them: `:19854`, `127.0.0.1:19854`, `[::1]:19854`, `localhost:19854`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use tokio::net::{TcpListener, TcpSocket};

use crate::stop::Stop;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listens on `address`; without a host, on every address of the machine. Must be called within a tokio runtime.
///
/// # Errors
/// When it is no address, or when the system refuses.
pub fn listen(address: &str) -> Result<TcpListener, Stop> {
    let no_address = || Stop::Failure(format!("--web.listen-address: {address:?} is not HOST:PORT or :PORT"));
    let (host, port) = address.rsplit_once(':').ok_or_else(no_address)?;
    let port: u16 = port.parse().map_err(|_| no_address())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let listener = if host.is_empty() {
        // IPv6 with IPv4 inside; where the machine has no IPv6, IPv4.
        bind((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| {
            let is_final = matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied);
            if is_final { Err(error) } else { bind((Ipv4Addr::UNSPECIFIED, port).into()) }
        })
    } else {
        let addresses = (host, port).to_socket_addrs();
        addresses.and_then(|mut found| bind(found.next().ok_or(io::ErrorKind::NotFound)?))
    };
    listener
        .map_err(|error| Stop::Failure(format!("--web.listen-address: cannot listen on {address}: {error}")))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_read_as_prometheus_writes_them() {
        for address in [":0", "127.0.0.1:0", "localhost:0"] {
            assert!(listen(address).is_ok(), "{address}");
        }
        for address in ["19854", "", "127.0.0.1", ":x", ":70000", "vsock://:1x"] {
            let error = listen(address).unwrap_err().to_string();
            assert!(error.contains("is not HOST:PORT"), "{error}");
        }
        let first = listen("127.0.0.1:0").unwrap();
        let taken = first.local_addr().unwrap().to_string();
        let error = listen(&taken).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--web.listen-address: cannot listen on {taken}: ")), "{error}");
    }
}
