//! Asks the resolver of this machine for a host, for a bounded time: the C library has no end that
//! can be told to it, so it is asked in a thread that is left behind.

use std::net::ToSocketAddrs;
use std::sync::mpsc;
use std::time::Duration;

/// How many addresses a host has.
///
/// # Errors
/// What the resolver says; that it did not answer.
pub fn address_count(host: &str, within: Duration) -> Result<usize, String> {
    let (sender, receiver) = mpsc::channel();
    let asked = (host.trim_matches(['[', ']']).to_owned(), 443);
    let ask = move || {
        let found = asked.to_socket_addrs().map(Iterator::count);
        // Nobody listens any more where it took too long.
        let _ = sender.send(found.map_err(|error| error.to_string()));
    };
    let thread = std::thread::Builder::new().name("resolver".to_owned());
    thread.spawn(ask).map_err(|error| error.to_string())?;
    match receiver.recv_timeout(within) {
        Ok(Ok(0)) => Err("it has no address".to_owned()),
        Ok(found) => found,
        Err(_) => Err(format!("no answer within {} seconds", within.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_own() {
        let within = Duration::from_secs(5);
        assert_eq!(address_count("127.0.0.1", within), Ok(1));
        assert_eq!(address_count("[::1]", within), Ok(1));
    }
}
