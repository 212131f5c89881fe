//! Where devices of other machines are, and whether they answer.

use std::{
    fmt,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

/// How long a server may take to answer before it counts as lost. Its answers come from threads
/// of their own, so that a server which computes answers too.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where another program offers a device: `ws://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Reads `ws://host:port`, where an IPv6 address stands in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let authority = text.strip_prefix("ws://")?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = authority.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(ipv6) => ipv6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || "-._".contains(c))
            }
        };
        let port = port.parse().ok().filter(|port| *port > 0)?;
        is_host.then(|| Self { host: host.to_owned(), port })
    }

    /// Asks the server for anything, to see whether it is there.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub fn ask(&self, patience: Duration) -> Result<(), String> {
        self.try_ask(patience).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!("it does not answer within {} seconds", patience.as_secs_f32())
            }
            // Without the system's number for it.
            kind @ (ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::UnexpectedEof
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable) => kind.to_string(),
            _ => error.to_string(),
        })
    }

    fn try_ask(&self, patience: Duration) -> io::Result<()> {
        let mut stream = self.dial(patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n",
            self.host, self.port
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        match &answer {
            b"HTTP/" => Ok(()),
            _ => Err(io::Error::other("something else than a server of devices answers there")),
        }
    }

    /// Connects to the first of the host's addresses that answers.
    fn dial(&self, patience: Duration) -> io::Result<TcpStream> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let mut last = io::Error::other("its host has no address");
        for address in (host, self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}:{}", self.host, self.port)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip() {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { host, port: address.port() }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    fn check(text: &str, wanted: Option<&str>) {
        assert_eq!(Address::parse(text).map(|address| address.to_string()).as_deref(), wanted);
    }

    #[test]
    fn addresses_are_read() {
        check("ws://gpu-1.lan:3000", Some("ws://gpu-1.lan:3000"));
        check("ws://127.0.0.1:80/", Some("ws://127.0.0.1:80"));
        check("ws://[::1]:3000", Some("ws://[::1]:3000"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ws://",
            "gpu:3000",
            "http://gpu:3000",
            "wss://gpu:3000",
            "ws://gpu",
            "ws://:3000",
            "ws://gpu:",
            "ws://gpu:0",
            "ws://gpu:70000",
            "ws://gpu:3000/a",
            "ws://a b:1",
            "ws://::1:3",
            "ws://[gpu]:3",
        ] {
            check(text, None);
        }
    }

    /// A server that does with its one connection what is asked, and what asking it gives.
    fn ask(serve: impl FnOnce(TcpStream) + Send + 'static) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = Address::from(listener.local_addr().expect("it is bound"));
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("it is dialled");
            let request = stream.read(&mut [0; 1024]).expect("it is asked");
            assert!(request > 0, "it is asked nothing");
            serve(stream);
        });
        let answer = address.ask(Duration::from_millis(200));
        server.join().expect("the server does not panic");
        answer
    }

    #[test]
    fn a_server_that_answers_is_there() {
        assert_eq!(ask(|mut stream| drop(stream.write_all(b"HTTP/1.1 404"))), Ok(()));
    }

    #[test]
    fn a_server_that_hangs_is_not() {
        let reason = ask(|stream| {
            thread::sleep(Duration::from_millis(500));
            drop(stream);
        });
        assert_eq!(reason, Err("it does not answer within 0.2 seconds".to_owned()));
    }

    #[test]
    fn nor_is_another_service() {
        let reason = ask(|mut stream| drop(stream.write_all(b"SSH-2.0")));
        let wanted = "something else than a server of devices answers there";
        assert_eq!(reason, Err(wanted.to_owned()));
    }

    #[test]
    fn nor_is_a_closed_port() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = Address::from(listener.local_addr().expect("it is bound"));
        drop(listener);
        assert_eq!(address.ask(PATIENCE), Err("connection refused".to_owned()));
    }
}
