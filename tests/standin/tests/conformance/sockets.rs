//! The same over real sockets: connections kept, broken off and slow.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use dropbox_standin::{Effect, Endpoint, Fault, Listeners, When};
use serde_json::{Value, json};

use crate::verbs::{Client, client};

struct Link {
    stream: BufReader<TcpStream>,
}

struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

fn open() -> (Client, Listeners) {
    let client = client();
    let listeners = client.standin.listen().unwrap();
    (client, listeners)
}

fn connect(listeners: &Listeners, endpoint: Endpoint) -> Link {
    let stream = TcpStream::connect(listeners.address(endpoint)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    Link {
        stream: BufReader::new(stream),
    }
}

impl Link {
    fn send(&mut self, text: &str, body: &[u8]) {
        let stream = self.stream.get_mut();
        stream.write_all(text.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
    }

    /// The next answer; `None` if the connection ended instead.
    fn receive(&mut self) -> Option<Got> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).unwrap_or(0) == 0 {
                return None;
            }
        }
        let status = head[9..12].parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length: u64 = length.map_or(0, |text| text.parse().unwrap());
        let mut body = Vec::new();
        self.stream
            .by_ref()
            .take(length)
            .read_to_end(&mut body)
            .unwrap();
        Some(Got { status, head, body })
    }
}

fn rpc_head(client: &Client, route: &str, framing: &str) -> String {
    format!(
        "POST /2/{route} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{framing}\r\n\r\n",
        client.token
    )
}

fn upload_head(client: &Client, path: &str, framing: &str) -> String {
    format!(
        "POST /2/files/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/octet-stream\r\n\
         Dropbox-API-Arg: {{\"path\":\"{path}\"}}\r\n{framing}\r\n\r\n",
        client.token
    )
}

fn download_head(client: &Client, path: &str, more: &str) -> String {
    format!(
        "GET /2/files/download HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Dropbox-API-Arg: {{\"path\":\"{path}\"}}\r\n{more}\r\n",
        client.token
    )
}

#[test]
fn connection_is_kept_alive() {
    let (client, listeners) = open();
    let mut link = connect(&listeners, Endpoint::Api);
    for _ in 0..3 {
        link.send(
            &rpc_head(&client, "users/get_current_account", "Content-Length: 4"),
            b"null",
        );
        let got = link.receive().unwrap();
        assert_eq!(got.status, 200);
        let account: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(account["email"], "gate@example.org");
    }
    link.send(
        &rpc_head(
            &client,
            "check/user",
            "Connection: close\r\nContent-Length: 2",
        ),
        b"{}",
    );
    assert!(link.receive().unwrap().head.contains("Connection: close"));
    assert!(link.receive().is_none());
}

#[test]
fn chunked_body_is_put_together() {
    let (client, listeners) = open();
    let mut link = connect(&listeners, Endpoint::Content);
    let head = upload_head(&client, "/a", "Transfer-Encoding: chunked");
    link.send(
        &head,
        b"4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\nTrailer: x\r\n\r\n",
    );
    assert_eq!(link.receive().unwrap().status, 200);
    assert_eq!(client.standin.read("/a").unwrap(), b"wikipedia");
    link.send(&upload_head(&client, "/b", "Content-Length: 1"), b"b");
    assert_eq!(link.receive().unwrap().status, 200);
}

#[test]
fn expectation_is_met_before_the_body() {
    let (client, listeners) = open();
    let mut link = connect(&listeners, Endpoint::Content);
    link.send(
        &upload_head(&client, "/a", "Expect: 100-continue\r\nContent-Length: 2"),
        b"",
    );
    assert_eq!(link.receive().unwrap().status, 100);
    link.send("", b"ab");
    assert_eq!(link.receive().unwrap().status, 200);
    assert_eq!(client.standin.read("/a").unwrap(), b"ab");
}

#[test]
fn range_is_answered_over_a_socket() {
    let (client, listeners) = open();
    client.standin.put("/big", &vec![5; 300_000]);
    let mut link = connect(&listeners, Endpoint::Content);
    link.send(
        &download_head(&client, "/big", "Range: bytes=100000-\r\n"),
        b"",
    );
    let got = link.receive().unwrap();
    assert_eq!((got.status, got.body.len()), (206, 200_000));
    assert!(
        got.head
            .contains("Content-Range: bytes 100000-299999/300000\r\n")
    );
}

#[test]
fn truncated_answer_ends_the_connection() {
    let (client, listeners) = open();
    client.standin.put("/f", b"contents");
    client
        .standin
        .inject(Fault::new("download", When::Nth(1), Effect::Truncate(3)));
    let mut link = connect(&listeners, Endpoint::Content);
    link.send(&download_head(&client, "/f", ""), b"");
    let got = link.receive().unwrap();
    assert!(got.head.contains("Content-Length: 8\r\n"));
    assert_eq!(got.body, b"con");
    assert!(link.receive().is_none());
}

#[test]
fn lost_answer_ends_the_connection() {
    let (client, listeners) = open();
    client
        .standin
        .inject(Fault::new("upload", When::Nth(1), Effect::CutAfter));
    let mut link = connect(&listeners, Endpoint::Content);
    link.send(&upload_head(&client, "/a", "Content-Length: 1"), b"a");
    assert!(link.receive().is_none());
    assert_eq!(client.standin.read("/a").unwrap(), b"a");
}

#[test]
fn longpoll_waits_for_a_change() {
    let (client, listeners) = open();
    let (_, cursor) = client.list(json!({"path": ""}));
    let mut link = connect(&listeners, Endpoint::Notify);
    let body = json!({ "cursor": cursor }).to_string();
    let head = format!(
        "POST /2/files/list_folder/longpoll HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let standin = client.standin.clone();
    let start = Instant::now();
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        standin.put("/new", b"x");
    });
    link.send(&head, body.as_bytes());
    let got = link.receive().unwrap();
    writer.join().unwrap();
    assert_eq!(got.body, br#"{"changes":true}"#);
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[test]
fn listeners_stop_when_dropped() {
    let (client, listeners) = open();
    let (_, cursor) = client.list(json!({"path": ""}));
    let address = listeners.address(Endpoint::Api);
    let mut link = connect(&listeners, Endpoint::Notify);
    let body = json!({ "cursor": cursor }).to_string();
    let head = format!(
        "POST /2/files/list_folder/longpoll HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    link.send(&head, body.as_bytes());
    drop(listeners);
    let _ = link.receive();
    assert!(link.receive().is_none());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn failing_hook_ends_the_connection() {
    let (client, listeners) = open();
    client
        .standin
        .on_request(Box::new(|_| panic!("a test that went wrong")));
    let mut link = connect(&listeners, Endpoint::Api);
    link.send(&rpc_head(&client, "check/user", "Content-Length: 2"), b"{}");
    assert!(link.receive().is_none());
}

#[test]
fn endless_headers_are_refused() {
    let (_client, listeners) = open();
    let mut link = connect(&listeners, Endpoint::Api);
    let padding = "x".repeat(100_000);
    link.send(
        &format!("POST /2/check/user HTTP/1.1\r\nX: {padding}\r\n\r\n"),
        b"",
    );
    assert_eq!(link.receive().unwrap().status, 431);
}

#[test]
fn nonsense_is_a_bad_request() {
    let (_client, listeners) = open();
    let mut link = connect(&listeners, Endpoint::Api);
    link.send("this is not http\r\n\r\n", b"");
    assert_eq!(link.receive().unwrap().status, 400);
}

#[test]
fn archive_is_sent_in_chunks_and_a_cut_one_has_no_end() {
    let (client, listeners) = open();
    client.standin.put("/A/f", &[5; 100]);
    client
        .standin
        .inject(Fault::new("zip", When::Nth(2), Effect::Truncate(50)));
    let download = || {
        let mut link = connect(&listeners, Endpoint::Content);
        let head = download_head(&client, "/A", "Connection: close\r\n");
        link.send(&head.replace("/download", "/download_zip"), b"");
        let mut bytes = Vec::new();
        link.stream.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let whole = download();
    assert!(!String::from_utf8_lossy(&whole).contains("Content-Length"));
    assert!(whole.ends_with(b"\0\0\r\n0\r\n\r\n"));
    let cut = download();
    assert!(cut.ends_with(b"\r\n") && !cut.ends_with(b"0\r\n\r\n"));
}
