//! TLS, the proxy, the accounting and the latency of the listeners.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dropbox_standin::{Endpoint, Listeners, Traffic, content_hash};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::verbs::{Client, client};

type Secure = StreamOwned<ClientConnection, TcpStream>;

fn open() -> (Client, Listeners) {
    let client = client();
    let mut listeners = client.standin.listen().unwrap();
    listeners.open_tls(None).unwrap();
    (client, listeners)
}

fn proxy(listeners: &Listeners) -> SocketAddr {
    let url = listeners.proxy_url().unwrap();
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Trusts the CA of the listeners and nothing else.
fn secured(listeners: &Listeners, name: &str, stream: TcpStream) -> Secure {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(listeners.ca_pem().unwrap().as_bytes());
    roots.add(ca.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(session, stream)
}

/// The head of an answer, and its body.
fn receive(stream: &mut impl Read) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |text| text.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    (head, body)
}

fn tunnel(listeners: &Listeners, target: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(proxy(listeners)).unwrap();
    write!(
        stream,
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"
    )
    .unwrap();
    let (head, _) = receive(&mut stream);
    (stream, head)
}

fn download(client: &Client, host: &str) -> String {
    format!(
        "GET /2/files/download HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\
         Dropbox-API-Arg: {{\"path\":\"/f\"}}\r\n\r\n",
        client.token
    )
}

#[test]
fn every_name_of_dropbox_is_served_through_the_proxy() {
    let (client, listeners) = open();
    client.standin.put("/f", b"contents");
    for host in [
        "api.dropboxapi.com",
        "content.dropboxapi.com",
        "notify.dropboxapi.com",
        "www.dropboxapi.com",
        "www.dropbox.com",
    ] {
        let (stream, head) = tunnel(&listeners, &format!("{host}:443"));
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut stream = secured(&listeners, host, stream);
        for _ in 0..2 {
            stream
                .write_all(download(&client, host).as_bytes())
                .unwrap();
            let (head, body) = receive(&mut stream);
            let is_content = host.starts_with("content");
            assert_eq!(head.starts_with("HTTP/1.1 200 "), is_content, "{head}");
            assert_eq!(body == b"contents", is_content);
        }
    }
    let first = Some("TLS13_AES_256_GCM_SHA384");
    for link in listeners.links() {
        assert!(link.is_tls);
        assert_eq!(link.cipher_suite, first, "what the client likes best");
    }
    assert_eq!(listeners.traffic().connections, 5);
    assert_eq!(listeners.traffic().requests, 10);
}

#[test]
fn proxy_leads_nowhere_else() {
    let (_client, listeners) = open();
    let (_, head) = tunnel(&listeners, "example.org:443");
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    let mut stream = TcpStream::connect(proxy(&listeners)).unwrap();
    write!(stream, "GET http://api.dropboxapi.com/ HTTP/1.1\r\n\r\n").unwrap();
    assert!(receive(&mut stream).0.starts_with("HTTP/1.1 405 "));
}

#[test]
fn tls_can_be_reached_without_the_proxy() {
    let (client, listeners) = open();
    let size = 3_000_001;
    client.standin.put_seeded("/f", size, 5);
    let stream = TcpStream::connect(listeners.tls_address().unwrap()).unwrap();
    let mut stream = secured(&listeners, "content.dropboxapi.com", stream);
    let request = download(&client, "content.dropboxapi.com");
    stream.write_all(request.as_bytes()).unwrap();
    let (_, body) = receive(&mut stream);
    assert_eq!(body.len() as u64, size);
    assert_eq!(body, client.standin.read("/f").unwrap());
    assert!(listeners.traffic().bytes_out > size);
}

#[test]
fn every_connection_has_its_own_account() {
    let (client, listeners) = open();
    client.standin.put("/f", b"contents");
    let request = download(&client, "localhost");
    let fetch = |times: usize| {
        let mut stream = TcpStream::connect(listeners.address(Endpoint::Content)).unwrap();
        let mut size = 0;
        for _ in 0..times {
            stream.write_all(request.as_bytes()).unwrap();
            let (head, body) = receive(&mut stream);
            size += head.len() + body.len();
        }
        (stream, size)
    };
    let (first, size) = fetch(1);
    let (_second, _) = fetch(3);
    drop(first);
    // What has arrived here is counted there a moment later.
    let counted = || {
        listeners
            .links()
            .iter()
            .all(|link| link.traffic.bytes_out > 0)
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while !(counted() && listeners.traffic().requests == 4) && Instant::now() < deadline {
        thread::yield_now();
    }
    let links = listeners.links();
    let expected = Traffic {
        connections: 1,
        requests: 1,
        bytes_in: request.len() as u64,
        bytes_out: size as u64,
    };
    assert_eq!(links[0].traffic, expected);
    assert_eq!((links[1].traffic.requests, links[1].is_open), (3, true));
    assert!(!links[1].is_tls);
    assert_eq!(links[1].cipher_suite, None);
    let traffic = listeners.traffic();
    assert_eq!((traffic.connections, traffic.requests), (2, 4));
    assert_eq!(traffic.bytes_in, 4 * request.len() as u64);
    listeners.reset_traffic();
    assert_eq!(listeners.traffic(), Traffic::default());
}

#[test]
fn latency_counts_for_each_request_but_not_one_after_the_other() {
    let (client, listeners) = open();
    client.standin.put("/f", b"contents");
    let pause = Duration::from_millis(80);
    listeners.set_latency(pause, Duration::ZERO);
    let start = Instant::now();
    let request = download(&client, "localhost");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let address = listeners.address(Endpoint::Content);
                let mut stream = TcpStream::connect(address).unwrap();
                for _ in 0..2 {
                    stream.write_all(request.as_bytes()).unwrap();
                    receive(&mut stream);
                }
            });
        }
    });
    assert!(start.elapsed() >= 2 * pause);
    assert!(start.elapsed() < 8 * pause, "{:?}", start.elapsed());
}

#[test]
fn sink_takes_anything_and_tells_its_hash() {
    let (_client, listeners) = open();
    let bytes = vec![7; 5_000_000];
    let mut stream = TcpStream::connect(listeners.address(Endpoint::Content)).unwrap();
    let length = bytes.len();
    write!(
        stream,
        "PUT /sink/x HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&bytes).unwrap();
    let (_, body) = receive(&mut stream);
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["size"], length);
    assert_eq!(told["content_hash"], content_hash(&bytes));
}
