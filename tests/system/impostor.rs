//! Somebody in the place of Dropbox or of its proxy: what a pass hears from him ends, costs no
//! memory and moves nothing, and he learns no token.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use crate::gateway::{Ended, Gateway};
use crate::needs;
use crate::peak;

const MIB: usize = 1 << 20;
/// What a pass may have resident, whatever it hears, in KiB. The binary itself has about half.
const MEMORY_KIB: u64 = 24 << 10;

/// A gateway that looks for all of Dropbox at this address.
fn gateway_at(url: &str, network: &str) -> Gateway {
    let gateway = Gateway::new();
    gateway.put("f", "f");
    let file = gateway.home.join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let lines = text
        .lines()
        .map(|line| match line.split_once(" = \"http://127.0.0.1") {
            Some((endpoint, _)) => format!("{endpoint} = \"{url}\"\n"),
            None if line == "[network]" => format!("[network]\n{network}\n"),
            None => format!("{line}\n"),
        });
    fs::write(file, lines.collect::<String>()).unwrap();
    gateway
}

fn token(gateway: &Gateway) -> String {
    gateway.dropbox.personal_access_token()
}

/// A pass of a few seconds, which ends by itself, and what it had resident at most.
#[track_caller]
fn pass(gateway: &Gateway) -> (Ended, u64) {
    let mut command = gateway.command(&[], &["sync", "-vv", "--max-time", "3s"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id();
    let (ended, peak) = std::thread::scope(|scope| {
        let watcher = scope.spawn(move || peak::watch(id).1);
        let output = wait(child, Duration::from_secs(60));
        (output, watcher.join().unwrap())
    });
    assert!(!ended.was_killed, "{ended:?}");
    (ended, peak)
}

/// Waits for a child, and kills it when that takes too long.
fn wait(child: Child, at_most: Duration) -> Ended {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let is_over = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let began = std::time::Instant::now();
            while is_over.load(Ordering::Relaxed) == 0 {
                if began.elapsed() > at_most {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let output = child.wait_with_output().unwrap();
        is_over.store(1, Ordering::Relaxed);
        output.into()
    })
}

/// Answers every connection to a port of its own, for as long as the test runs.
fn serve(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            stream
                .set_write_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

// Certificates.

/// A CA that the gateway trusts, as a network that opens TLS has one.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let mut params = dated(&[], 2020, 2045);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Authority { issuer, pem }
    }
}

fn dated(names: &[&str], from: i32, until: i32) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// A server with this certificate, that counts what it can read.
fn tls_server(
    params: &CertificateParams,
    issuer: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> (SocketAddr, Arc<AtomicUsize>) {
    let key = KeyPair::generate().unwrap();
    let leaf = match issuer {
        Some(authority) => params.signed_by(&key, &authority.issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let read = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&read);
    let address = serve(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut buffer = [0; 4096];
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 {
                return;
            }
            seen.fetch_add(count, Ordering::SeqCst);
            let _ = stream.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.flush();
        }
    });
    (address, read)
}

/// A gateway that trusts this CA, and finds a server on localhost.
fn trusting(pem: &str, port: u16) -> Gateway {
    let gateway = gateway_at(&format!("https://localhost:{port}"), "CA");
    let file = gateway.home.join("ca.pem");
    fs::write(&file, pem).unwrap();
    let config = gateway.home.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let line = format!("ca_file = \"{}\"", file.display());
    fs::write(config, text.replace("\nCA\n", &format!("\n{line}\n"))).unwrap();
    gateway
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

#[test]
fn a_server_whose_certificate_is_not_dropboxs_gets_no_request() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let good = dated(&["localhost"], 2020, 2045);
    let mut for_clients = dated(&["localhost"], 2020, 2045);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut other_address = dated(&[], 2020, 2045);
    let address = std::net::IpAddr::from([127, 0, 0, 2]);
    other_address.subject_alt_names = vec![SanType::IpAddress(address)];
    let cases = [
        (
            "another host",
            dated(&["localhost.example"], 2020, 2045),
            Some(&authority),
        ),
        ("no name", dated(&[], 2020, 2045), Some(&authority)),
        ("any host", dated(&["*"], 2020, 2045), Some(&authority)),
        ("another address", other_address, Some(&authority)),
        ("self-signed", good.clone(), None),
        ("an unknown CA", good.clone(), Some(&stranger)),
        (
            "expired",
            dated(&["localhost"], 2020, 2021),
            Some(&authority),
        ),
        (
            "not yet valid",
            dated(&["localhost"], 2044, 2045),
            Some(&authority),
        ),
        ("for clients", for_clients, Some(&authority)),
    ];
    for (what, params, issuer) in &cases {
        let (address, read) = tls_server(params, *issuer, BOTH);
        let gateway = trusting(&authority.pem, address.port());
        let (ended, _) = pass(&gateway);
        assert_eq!(ended.code, Some(7), "{what}: {ended:?}");
        assert_eq!(read.load(Ordering::SeqCst), 0, "{what}: {ended:?}");
        assert!(ended.err.contains("certificate"), "{what}: {ended:?}");
    }
    // The same gateway asks a server that is what it says, in either version.
    for versions in [&BOTH[..1], &BOTH[1..]] {
        let (address, read) = tls_server(&good, Some(&authority), versions);
        let (ended, _) = pass(&trusting(&authority.pem, address.port()));
        assert!(read.load(Ordering::SeqCst) > 0, "{versions:?}: {ended:?}");
    }
}

/// `openssl s_server`, stopped when dropped; what it could read is on its standard output.
struct OldServer(Option<Child>, u16);

impl OldServer {
    fn new(dir: &Path, key: &str, digest: &str, args: &[&str]) -> OldServer {
        let (pem, key_pem) = (dir.join("old.pem"), dir.join("old.key"));
        let (pem, key_pem) = (pem.to_str().unwrap(), key_pem.to_str().unwrap());
        let made = Command::new("openssl")
            .env("OPENSSL_CONF", "/dev/null")
            .args([
                "req",
                "-x509",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/CN=localhost",
            ])
            .args([
                "-addext",
                "subjectAltName=DNS:localhost",
                "-newkey",
                key,
                digest,
            ])
            .args(["-addext", "basicConstraints=CA:FALSE"])
            .args(["-keyout", key_pem, "-out", pem])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let child = Command::new("openssl")
            .env("OPENSSL_CONF", "/dev/null")
            .args(["s_server", "-accept", &port.to_string(), "-quiet"])
            .args(["-cert", pem, "-key", key_pem])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        OldServer(Some(child), port)
    }

    /// What came out of TLS.
    fn read(mut self) -> String {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
        }
    }
}

#[test]
fn old_tls_and_weak_keys_get_no_request() {
    let found = Command::new("openssl").arg("version").output();
    let need = found.map(drop).map_err(|error| format!("openssl: {error}"));
    if !needs::has("old TLS", &need) {
        return;
    }
    let weak = "ALL:@SECLEVEL=0";
    let cases: [(&str, &str, &str, &[&str]); 6] = [
        (
            "TLS 1.0",
            "rsa:2048",
            "-sha256",
            &["-tls1", "-cipher", weak],
        ),
        (
            "TLS 1.1",
            "rsa:2048",
            "-sha256",
            &["-tls1_1", "-cipher", weak],
        ),
        (
            "CBC with RSA key exchange",
            "rsa:2048",
            "-sha256",
            &["-tls1_2", "-cipher", "AES128-SHA"],
        ),
        (
            "RSA of 1024 bits",
            "rsa:1024",
            "-sha256",
            &["-cipher", weak],
        ),
        ("SHA-1", "rsa:1024", "-sha1", &["-cipher", weak]),
        ("as it should be", "rsa:2048", "-sha256", &[]),
    ];
    for (what, key, digest, args) in cases {
        let scratch = crate::gateway::Scratch::new();
        let server = OldServer::new(&scratch.join(""), key, digest, args);
        // The certificate itself is trusted: what is refused is how it is used, or that it is.
        let pem = fs::read_to_string(scratch.join("old.pem")).unwrap();
        let gateway = trusting(&pem, server.1);
        let (ended, _) = pass(&gateway);
        let read = server.read();
        if what == "as it should be" {
            assert!(read.contains("POST /2/"), "{what}: {read} {ended:?}");
        } else {
            assert_eq!(ended.code, Some(7), "{what}: {ended:?}");
            assert_eq!(read, "", "{what}: {ended:?}");
        }
    }
}

#[test]
fn a_plain_server_on_an_https_port_hears_no_word() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&heard);
    let address = serve(move |mut stream| {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap_or(0);
        all.lock().unwrap().extend(&buffer[..count]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    });
    let gateway = trusting(&Authority::new().pem, address.port());
    let (ended, _) = pass(&gateway);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    let heard = heard.lock().unwrap();
    assert_eq!(heard.first(), Some(&0x16), "a TLS handshake");
    is_not_told(&heard, &token(&gateway), "the server");
}

#[track_caller]
fn is_not_told(heard: &[u8], token: &str, who: &str) {
    let text = String::from_utf8_lossy(heard);
    for word in [token, "Bearer", "POST /2"] {
        assert!(!text.contains(word), "{who} heard {word:?}");
    }
}

// Proxies.

#[test]
fn a_hostile_proxy_hears_no_token_and_its_password_is_not_shown() {
    let page = "<html>sign in</html>";
    let length = page.len();
    let big = "x".repeat(3 * MIB);
    let answers = [
        (
            "then plain http",
            "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
        ),
        (
            "elsewhere",
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\n\r\n".to_owned(),
        ),
        (
            "a page",
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{page}"),
        ),
        (
            "a long header",
            format!("HTTP/1.1 200 OK\r\nx: {big}\r\n\r\n"),
        ),
        (
            "a password, in colours",
            "HTTP/1.1 407 \u{1b}[2J\r\nproxy-authenticate: Basic realm=\"\u{1b}]0;x\u{7}\"\r\n\r\n"
                .to_owned(),
        ),
        ("nothing", String::new()),
    ];
    for (what, answer) in answers {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        let address = serve(move |mut stream| {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap_or(0);
            all.lock().unwrap().extend(&buffer[..count]);
            let _ = stream.write_all(answer.as_bytes());
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                all.lock().unwrap().extend(&buffer[..count]);
            }
        });
        let gateway = gateway_at(
            "https://api.dropboxapi.com",
            &format!("proxy = \"http://u:hush@{address}\""),
        );
        let (ended, peak) = pass(&gateway);
        assert_eq!(ended.code, Some(7), "{what}: {ended:?}");
        assert!(!ended.err.contains("hush"), "{what}: {ended:?}");
        assert!(
            !ended.err.contains(['\u{1b}', '\u{7}']),
            "{what}: {ended:?}"
        );
        assert!(peak < MEMORY_KIB, "{what}: {peak} KiB");
        let heard = heard.lock().unwrap();
        assert!(
            heard.starts_with(b"CONNECT api.dropboxapi.com:443"),
            "{what}: {ended:?}"
        );
        is_not_told(&heard, &token(&gateway), what);
    }
}

// Answers.

/// The bytes of an answer, sent piece by piece until the other side has had enough.
type Pieces = Box<dyn Fn(&mut dyn FnMut(&[u8]) -> bool) + Send + Sync>;

fn repeated(head: &'static str, piece: Vec<u8>, times: usize) -> Pieces {
    Box::new(move |send| {
        let _ = send(head.as_bytes()) && (0..times).all(|_| send(&piece));
    })
}

fn whole(text: String) -> Pieces {
    Box::new(move |send| {
        send(text.as_bytes());
    })
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const TO_THE_END: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
const IN_A_TEXT: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"entries\":\"";
const IN_A_LIST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"unknown\":[1";
const GZIP: &str = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";

/// Answers whose length is said in a way that two readers would understand differently.
fn framed_oddly() -> Vec<(&'static str, Pieces)> {
    let empty = "{\"entries\":[],\"cursor\":\"c\",\"has_more\":false}";
    let length = empty.len();
    vec![
        (
            "two lengths",
            whole(format!(
                "{OK}content-length: {length}\r\ncontent-length: 2\r\n\r\n{empty}"
            )),
        ),
        (
            "a length and chunks",
            whole(format!(
                "{OK}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
            )),
        ),
        (
            "a chunk of no number",
            whole(format!("{CHUNKED}zz\r\n{empty}\r\n0\r\n\r\n")),
        ),
        (
            "a chunk below nothing",
            whole(format!("{CHUNKED}-1\r\n{empty}\r\n0\r\n\r\n")),
        ),
        (
            "a chunk beyond 64 bits",
            whole(format!(
                "{CHUNKED}fffffffffffffffff\r\n{empty}\r\n0\r\n\r\n"
            )),
        ),
        (
            "a chunk with a long name",
            repeated(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;",
                vec![b'a'; MIB],
                8,
            ),
        ),
    ]
}

/// Answers that have no end, or much too late a one, and some that are none.
fn without_end() -> Vec<(&'static str, Pieces)> {
    let line = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            "3 MB of headers",
            repeated(OK, line("x-a: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), 100_000),
        ),
        (
            "a header of 20 MB",
            repeated("HTTP/1.1 200 OK\r\nx: ", vec![b'a'; MIB], 20),
        ),
        (
            "a status line without end",
            repeated("HTTP/1.1 200 ", vec![b'a'; MIB], 20),
        ),
        (
            "20,000 times go on",
            repeated("", line("HTTP/1.1 100 Continue\r\n\r\n"), 20_000),
        ),
        (
            "an unasked gzip",
            repeated(GZIP, vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0], 100_000),
        ),
        (
            "100,000 deep",
            repeated(TO_THE_END, line("[[[[[[[[[["), 10_000),
        ),
        (
            "a text of 100 MB",
            repeated(IN_A_TEXT, vec![b'a'; MIB], 100),
        ),
        (
            "300 MB of blanks",
            repeated(TO_THE_END, vec![b' '; MIB], 300),
        ),
        (
            "a list of 200 MB",
            repeated(IN_A_LIST, b",1".repeat(MIB / 2), 200),
        ),
        ("no end", repeated(TO_THE_END, vec![b'{'; MIB], 2_000)),
        (
            "garbage",
            whole("\u{0}\u{1}\u{2} this is not HTTP\r\n\r\n".to_owned()),
        ),
        ("nothing", whole(String::new())),
    ]
}

/// Reads one request, head and body.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MIB || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.extend(byte);
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(text)
}

#[test]
fn whatever_is_answered_a_pass_ends_in_little_memory_and_moves_nothing() {
    for (what, pieces) in framed_oddly().into_iter().chain(without_end()) {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let address = serve(move |mut stream| {
            while read_request(&mut stream).is_some() {
                let mut goes_on = true;
                pieces(&mut |bytes| {
                    goes_on = stream.write_all(bytes).is_ok();
                    count.fetch_add(bytes.len(), Ordering::Relaxed);
                    goes_on
                });
                let _ = stream.shutdown(std::net::Shutdown::Write);
            }
        });
        let gateway = gateway_at(&format!("http://{address}"), "");
        let before = gateway.local_tree();
        let (ended, peak) = pass(&gateway);
        assert!(matches!(ended.code, Some(1 | 7)), "{what}: {ended:?}");
        assert!(peak < MEMORY_KIB, "{what}: {peak} KiB");
        assert!(gateway.local_tree() == before, "{what}");
        assert!(
            ended.err.len() < 20_000,
            "{what}: {} bytes",
            ended.err.len()
        );
        let heard = sent.load(Ordering::Relaxed);
        crate::gateway::say(&format!("impostor: {what}: {heard} bytes, {peak} KiB"));
    }
}

#[test]
fn nobody_is_followed_to_another_server() {
    let heard = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&heard);
    let elsewhere = serve(move |mut stream| {
        asked.fetch_add(1, Ordering::SeqCst);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    });
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let address = serve(move |mut stream| {
            while read_request(&mut stream).is_some() {
                let answer = format!(
                    "HTTP/1.1 {status}\r\nlocation: http://{elsewhere}/2/files/list_folder\r\n\
                     content-length: 0\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let gateway = gateway_at(&format!("http://{address}"), "");
        let (ended, _) = pass(&gateway);
        assert!(matches!(ended.code, Some(1 | 7)), "{status}: {ended:?}");
        assert_eq!(heard.load(Ordering::SeqCst), 0, "{status}: {ended:?}");
    }
}
