//! What stands between a gateway and Dropbox: proxies that refuse, a CA that nobody knows, and what
//! the environment says of proxies. All of it is tried later (7), and told as what it is.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::gateway::{Ended, Gateway};

/// A proxy that answers every CONNECT like this; its address.
fn proxy(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::Builder::new()
        .name("proxy".to_owned())
        .spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
                    head.extend(byte);
                }
                let _ = stream.write_all(answer.as_bytes());
            }
        })
        .unwrap();
    address.to_string()
}

/// A gateway that asks Dropbox's own hosts, through this proxy alone.
fn behind(proxy: &str) -> Gateway {
    let gateway = Gateway::new();
    let file = gateway.home.join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, _) = text.split_once("[endpoints]").unwrap();
    fs::write(file, format!("{before}{proxy}\n")).unwrap();
    gateway
}

#[track_caller]
fn check(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(7), "{ended:?}");
    for word in words {
        assert!(ended.err.contains(word), "{word} is not in {ended:?}");
    }
    assert!(!ended.err.contains("hush"), "{ended:?}");
}

/// B9.
#[test]
fn b9_a_proxy_that_refuses_is_named_with_the_remedy() {
    let refused = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let gateway = behind(&format!("proxy = \"http://u:hush@{refused}\""));
    let name = format!("the proxy http://{refused} (network.proxy)");
    check(
        &gateway.run(&[], &["sync", "-v"]),
        &[
            &name,
            "does not let connections to",
            "api.dropboxapi.com, content",
            "(403)",
        ],
    );
    let asks = proxy("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    let gateway = behind(&format!("proxy = \"http://{asks}\""));
    let name = format!("the proxy http://{asks} (network.proxy)");
    check(
        &gateway.run(&[], &["sync", "-v"]),
        &[&name, "wants a user and a password", "write USER:PASSWORD@"],
    );
}

/// B10: the environment counts where the configuration is silent, and `-v` says so.
#[test]
fn b10_the_proxy_of_the_environment_is_used_and_told() {
    let refused = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let gateway = behind("");
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let mut command = gateway.command(&[], &["sync", "-v"]);
        command.env(name, format!("http://u:hush@{refused}"));
        let ended = Ended::from(command.output().unwrap());
        let told = format!("proxy: http://{refused} (from ${name})");
        check(&ended, &[&told, &format!("(${name})")]);
    }
    // One of the configuration comes first.
    let own = proxy("HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n");
    let gateway = behind(&format!("proxy = \"http://{own}\""));
    let mut command = gateway.command(&[], &["sync", "-v"]);
    command.env("HTTPS_PROXY", format!("http://{refused}"));
    check(
        &command.output().unwrap().into(),
        &["(network.proxy)", "(407)"],
    );
    // Nothing of it is for what is plain http on this machine.
    let gateway = Gateway::new();
    let mut command = gateway.command(&[], &["sync", "-v"]);
    command.env("ALL_PROXY", format!("http://{refused}"));
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

/// B9: a certificate that nobody known has signed, behind a proxy.
#[test]
fn b9_an_unknown_ca_names_the_proxy_and_the_key_to_set() {
    let gateway = Gateway::new().over_tls();
    assert_eq!(gateway.sync().code, Some(0));
    let file = gateway.home.join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let without: Vec<_> = text
        .lines()
        .filter(|line| !line.contains("ca_file"))
        .collect();
    fs::write(file, without.join("\n")).unwrap();
    check(
        &gateway.run(&[], &["sync", "-v"]),
        &[
            "may open TLS: name its CA, a PEM file, in network.ca_file",
            "the proxy http://",
        ],
    );
}

/// S5: whose bodies come byte by byte, ten a second; its address. Heads never come where `bodies`
/// is false.
fn trickling(bodies: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            if bodies {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
                let _ = stream.write_all(head.as_bytes());
            }
            let mut left = if bodies { 100_000 } else { 0 };
            while left > 0 && stream.write_all(b" ").is_ok() {
                left -= 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            // Until the other side gives it up.
            let _ = stream.read(&mut [0; 4096]);
        }
    };
    let thread = std::thread::Builder::new().name("trickle".to_owned());
    thread.spawn(serve).unwrap();
    format!("http://{address}")
}

/// S5.
#[test]
fn s5_a_pass_with_an_end_ends_although_an_answer_trickles_or_never_comes() {
    for bodies in [true, false] {
        let gateway = Gateway::new();
        let file = gateway.home.join("config.toml");
        let text = fs::read_to_string(&file).unwrap();
        let (before, _) = text.split_once("[endpoints]").unwrap();
        let url = trickling(bodies);
        let endpoints = format!("api = \"{url}\"\ncontent = \"{url}\"\nnotify = \"{url}\"");
        fs::write(file, format!("{before}[endpoints]\n{endpoints}\n")).unwrap();
        let start = Instant::now();
        let ended = gateway.run(&[], &["sync", "-v", "--max-time", "2s"]);
        check(&ended, &["--max-time"]);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(6), "{took:?}");
    }
}

/// S5: in front of this proxy, and lets what comes back from it trickle after so many bytes.
fn slowed(proxy: String, fast_bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        for stream in listener.incoming() {
            let (mut down, mut from) = (stream.unwrap(), TcpStream::connect(&proxy).unwrap());
            let (mut up, mut to) = (down.try_clone().unwrap(), from.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut up, &mut to));
            std::thread::spawn(move || {
                let (mut byte, mut count) = ([0], 0);
                while from.read(&mut byte).is_ok_and(|read| read > 0) {
                    count += 1;
                    if count > fast_bytes {
                        std::thread::sleep(Duration::from_millis(100));
                    }
                    if down.write_all(&byte).is_err() {
                        return;
                    }
                }
            });
        }
    };
    let thread = std::thread::Builder::new().name("slowed".to_owned());
    thread.spawn(serve).unwrap();
    format!("http://{address}")
}

/// S5: TLS reads until it has a record, whatever a single read of it may take.
#[test]
fn s5_a_pass_with_an_end_ends_although_tls_trickles() {
    // In the handshake, and in what comes after it.
    for fast_bytes in [200, 1400] {
        let gateway = Gateway::new().over_tls();
        let file = gateway.home.join("config.toml");
        let text = fs::read_to_string(&file).unwrap();
        let proxy = text.split("proxy = \"http://").nth(1).unwrap();
        let proxy = proxy.split('"').next().unwrap().to_owned();
        let before = format!("http://{proxy}");
        let slowed = slowed(proxy.rsplit('@').next().unwrap().to_owned(), fast_bytes);
        fs::write(file, text.replace(&before, &slowed)).unwrap();
        let start = Instant::now();
        let ended = gateway.run(&[], &["sync", "-v", "--max-time", "2s"]);
        check(&ended, &["--max-time"]);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(6), "{fast_bytes}: {took:?}");
    }
}

/// Waits within a body are none of the connection's: the shortest time limit is shorter than all of
/// them together.
#[test]
fn limits_of_the_rate_hold_over_a_socket_and_break_no_connection() {
    let gateway = Gateway::new().over_tls();
    gateway.reconfigure(|text| {
        let limits = "[network]\ntimeout_s = 5\nupload_limit = \"100 KiB/s\"\n\
                      download_limit = \"100 KiB/s\"";
        text.replace("[network]", limits)
    });
    fs::write(gateway.content.join("up"), vec![b'u'; 800 << 10]).unwrap();
    let start = Instant::now();
    gateway.sync_ok();
    let taken = start.elapsed();
    assert!(
        taken > Duration::from_millis(7500) && taken < Duration::from_secs(20),
        "{taken:?}"
    );
    assert_eq!(gateway.dropbox.read("/up").unwrap().len(), 800 << 10);
    gateway.dropbox.put("/down", &vec![b'd'; 800 << 10]);
    let start = Instant::now();
    gateway.sync_ok();
    let taken = start.elapsed();
    assert!(
        taken > Duration::from_millis(7500) && taken < Duration::from_secs(20),
        "{taken:?}"
    );
    assert_eq!(
        fs::read(gateway.content.join("down")).unwrap().len(),
        800 << 10
    );
}
