//! HTTP/1.1 over rustls: https only outside loopback, no redirects, no cookies, one connection kept
//! alive per host, time limits on every single read and write. How long a whole body may take is
//! for [`crate::io::limited_body`] to say, and for the patience of a request.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustls::CipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls_native_certs::{load_certs_from_paths, load_native_certs};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    ConnectProxyConnector, Connector, RustlsConnector, SocksConnector, Transport,
};
use ureq::{Agent, SendBody};

use crate::config::regular_file::{CA_FILE_BYTES_MAX, Links, read_regular};
use crate::config::{Config, ConfigError};
use crate::io::addresses::AddressByAddress;
use crate::io::env::env;
use crate::io::http::{Body, Endpoint, Http, HttpError, Request, Response};
use crate::io::interrupt;
use crate::io::interruptible::{Interruptible, Stop};
use crate::io::proxy::{self, ChosenProxy};
use crate::timestamp::full_text;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Buffers per connection, in bytes: as fast as the default of 128 KiB, which costs 0.4 MiB more.
const BUFFER_BYTES: usize = 16 * 1024;
/// Longest wait for an answer that comes when something happens: 480 seconds, up to 90 that Dropbox
/// adds (`files.stone`), and a little more.
const PATIENCE: Duration = Duration::from_secs(600);
/// What a TLS record holds at most, in bytes (RFC 8446, 5.1).
const RECORD_BYTES: usize = 16 * 1024;
/// A TLS record and what it is wrapped in (RFC 8446, 5.2), so that it leaves in one call.
const OUTPUT_BYTES: usize = 16 * 1024 + 256;

/// The network itself.
pub struct RealHttp {
    agent: Agent,
    /// For what is waited for minutes.
    interruptible: Option<Agent>,
    /// The proxy as people know it, and what names it.
    proxy: Option<(String, String)>,
    api: String,
    content: String,
    notify: String,
    tls: Option<TlsGround>,
}

/// What TLS is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsGround {
    /// Roots in the store of the system; those that are built in count where it has none.
    pub system_roots: usize,
    /// Roots in `network.ca_file`.
    pub own_roots: usize,
    /// AES is asked for first; where the CPU has no instructions for it, ChaCha20 is.
    pub has_aes: bool,
}

impl RealHttp {
    /// A client for the endpoints, proxy and CA file of the configuration.
    ///
    /// # Errors
    /// A [`ConfigError`] when the CA file or the proxy cannot be used.
    pub fn new(config: &Config) -> Result<RealHttp, ConfigError> {
        RealHttp::with(config, None, AddressByAddress::new())
    }

    /// The same, which leaves nothing on this machine of what it finds out.
    ///
    /// # Errors
    /// As [`RealHttp::new`].
    pub fn unkept(config: &Config) -> Result<RealHttp, ConfigError> {
        RealHttp::with(config, None, AddressByAddress::unkept())
    }

    /// What TLS is done with, unless all hosts are asked without it.
    pub fn tls(&self) -> Option<TlsGround> {
        self.tls
    }

    /// The same, able to wait for an answer of [`Endpoint::Notify`] for minutes, until `stop`
    /// says so.
    ///
    /// # Errors
    /// As [`RealHttp::new`].
    pub fn interruptible(config: &Config, stop: Stop) -> Result<RealHttp, ConfigError> {
        RealHttp::with(config, Some(stop), AddressByAddress::new())
    }

    fn with(
        config: &Config,
        stop: Option<Stop>,
        addresses: AddressByAddress,
    ) -> Result<RealHttp, ConfigError> {
        let idle = Duration::from_secs(config.network.timeout_s);
        let endpoints = &config.endpoints;
        let uses_tls = [&endpoints.api, &endpoints.content, &endpoints.notify]
            .iter()
            .any(|url| url.starts_with("https:"));
        let proxy = chosen_proxy(config)?;
        let (tls, ground) = uses_tls.then(|| tls(config)).transpose()?.unzip();
        let settings = |answer: Duration| {
            let settings = Agent::config_builder()
                .http_status_as_error(false)
                .https_only(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .proxy(proxy.as_ref().map(|chosen| chosen.proxy.clone()))
                .user_agent(concat!("ferrybox/", env!("CARGO_PKG_VERSION")))
                .accept("")
                .timeout_connect(Some(CONNECT_TIMEOUT))
                .timeout_recv_response(Some(answer))
                .timeout_per_read(Some(answer))
                .timeout_per_write(Some(idle))
                .input_buffer_size(BUFFER_BYTES)
                .output_buffer_size(OUTPUT_BYTES)
                .max_idle_connections_per_host(1)
                .max_idle_connections(3);
            match &tls {
                Some(tls) => settings.tls_config(tls.clone()).build(),
                None => settings.build(),
            }
        };
        let interruptible = stop.map(|stop| {
            let connector = connector(addresses.clone()).chain(Interruptible(Some(stop)));
            let settings = settings(idle.max(PATIENCE));
            Agent::with_parts(settings, connector, DefaultResolver::default())
        });
        let connector = connector(addresses).chain(Interruptible::by_ctrl_c());
        let resolver = DefaultResolver::default();
        Ok(RealHttp {
            agent: Agent::with_parts(settings(idle), connector, resolver),
            proxy: proxy.map(|chosen| (chosen.shown, chosen.by)),
            interruptible,
            api: endpoints.api.clone(),
            content: endpoints.content.clone(),
            notify: endpoints.notify.clone(),
            tls: ground,
        })
    }
}

impl Http for RealHttp {
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let (host, agent) = match request.endpoint {
            Endpoint::Api => (&self.api, &self.agent),
            Endpoint::Content => (&self.content, &self.agent),
            Endpoint::Notify => (
                &self.notify,
                self.interruptible.as_ref().unwrap_or(&self.agent),
            ),
        };
        let mut builder = ureq::http::Request::post(format!("{host}{}", request.path));
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let hopeless = |error: ureq::http::Error| HttpError::Permanent(error.to_string());
        let patient = |asked: ureq::http::Request<&[u8]>| match request.patience {
            None => agent.run(asked),
            left => agent.run(agent.configure_request(asked).timeout_global(left).build()),
        };
        interrupt::set_connecting(true);
        let answer = match request.body {
            Body::Empty => patient(builder.body(&[][..]).map_err(hopeless)?),
            Body::Bytes(bytes) => patient(builder.body(bytes).map_err(hopeless)?),
            Body::Stream { len, reader } => {
                let mut exact = Records(reader.take(len));
                let body = SendBody::from_reader(&mut exact);
                let builder = builder.header("content-length", len);
                agent.run(builder.body(body).map_err(hopeless)?)
            }
        };
        interrupt::set_connecting(false);
        let answer = answer.map_err(|error| self.classify(&error, host))?;
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.as_str().to_owned(), value.into_owned())
            })
            .collect();
        let status = answer.status().as_u16();
        Ok(Response {
            status,
            headers,
            body: Box::new(answer.into_body().into_reader()),
        })
    }
}

/// Reads no more than a TLS record holds.
struct Records<R>(R);

impl<R: Read> Read for Records<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = out.len().min(RECORD_BYTES);
        self.0.read(&mut out[..len])
    }
}

/// The proxy that is used, if one is.
fn chosen_proxy(config: &Config) -> Result<Option<ChosenProxy>, ConfigError> {
    match proxy::chosen(config) {
        None => Ok(None),
        Some(Ok(chosen)) => Ok(Some(chosen)),
        Some(Err(unusable)) if config.network.proxy.is_none() => {
            log::warn!(
                "{} is no proxy that can be used (http, socks5 or socks5h): going without",
                unusable.by
            );
            Ok(None)
        }
        Some(Err(unusable)) => Err(ConfigError {
            file: config.path.clone(),
            line: None,
            key: Some(unusable.by),
            what: "this is not a proxy address".to_owned(),
            remedy: "write it as \"http://host:port\"".to_owned(),
            next: None,
        }),
    }
}

/// Plain connections, through a proxy where there is one, and TLS on them.
fn connector(addresses: AddressByAddress) -> impl Connector<(), Out = impl Transport> {
    ().chain(SocksConnector::default())
        .chain(ConnectProxyConnector::default())
        .chain(addresses)
        .chain(RustlsConnector::default())
}

impl RealHttp {
    fn classify(&self, error: &ureq::Error, host: &str) -> HttpError {
        let way = match &self.proxy {
            Some((shown, by)) => format!(" through the proxy {shown} ({by})"),
            None => String::new(),
        };
        let text = format!("{host}{way}: {error}");
        let tls = match error {
            ureq::Error::Rustls(error) => Some(error),
            ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
            _ => None,
        };
        match (tls, error, &self.proxy) {
            (Some(rustls::Error::InvalidCertificate(reason)), ..) => {
                let remedy = remedy(reason, self.proxy.as_ref());
                HttpError::Permanent(format!("{host}{way}: {error}; {remedy}"))
            }
            (_, ureq::Error::ConnectProxyFailed(reason), Some((shown, by))) => {
                refused_by_proxy(host, reason, shown, by)
            }
            (
                _,
                ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl,
                _,
            ) => HttpError::Permanent(text),
            _ if is_unmade(error) => HttpError::Unreachable(text),
            _ => HttpError::Broken(text),
        }
    }
}

/// Whether there was no connection at all.
fn is_unmade(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable,
    };
    use ureq::Timeout::{Connect, Resolve};
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Timeout(Connect | Resolve) => true,
        ureq::Error::Io(error) => matches!(
            error.kind(),
            AddrNotAvailable
                | ConnectionRefused
                | HostUnreachable
                | NetworkDown
                | NetworkUnreachable
        ),
        _ => false,
    }
}

/// What a proxy says that does not let a connection through.
fn refused_by_proxy(host: &str, reason: &str, shown: &str, by: &str) -> HttpError {
    // "proxy server responded 407/407"
    let status = reason.rsplit('/').next().unwrap_or_default();
    let from = format!("the proxy {shown} ({by})");
    match status {
        "407" => HttpError::Permanent(format!(
            "{from} wants a user and a password, or other ones (407): write USER:PASSWORD@ before \
             its host in {by}, with chmod 600 where that is the configuration"
        )),
        "403" | "405" => HttpError::Permanent(format!(
            "{from} does not let connections to {host} through ({status}): ask who runs it to \
             allow api.dropboxapi.com, content.dropboxapi.com and notify.dropboxapi.com, port 443, \
             or go without it"
        )),
        _ => HttpError::Unreachable(format!("{from} makes no connection to {host}: {reason}")),
    }
}

/// What may be wrong when a certificate is refused.
fn remedy(reason: &rustls::CertificateError, proxy: Option<&(String, String)>) -> String {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    let now = full_text(Timestamp::now(), &TimeZone::UTC);
    match reason {
        NotValidYet | NotValidYetContext { .. } | Expired | ExpiredContext { .. } => format!(
            "is this machine's clock right? It says {now}; set it, or see that it gets the time \
             from the network (as with timedatectl)"
        ),
        UnknownIssuer => match proxy {
            Some((shown, _)) => format!(
                "the proxy {shown} may open TLS: name its CA, a PEM file, in network.ca_file"
            ),
            None => "nobody known has signed it: is the system's CA store up to date (package \
                     ca-certificates)? Where a proxy or a filter opens TLS, name its CA, a PEM \
                     file, in network.ca_file"
                .to_owned(),
        },
        _ => "this is not the host it should be: something on the way answered instead".to_owned(),
    }
}

/// Longest time that somebody is told something.
const NOTICE_TIME: Duration = Duration::from_secs(10);

/// Tells somebody who is not Dropbox: one POST, through the same proxy and with the same
/// certificates.
///
/// # Errors
/// Why it did not arrive, without the address.
pub fn post_notice(
    config: &Config,
    url: &str,
    content_type: &str,
    body: &[u8],
) -> Result<(), String> {
    let shown = |text: String| text.replace(url, "the address");
    let proxy = chosen_proxy(config).map_err(|error| error.to_string())?;
    let settings = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy.map(|chosen| chosen.proxy))
        .user_agent(concat!("ferrybox/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(NOTICE_TIME))
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES);
    let settings = match url.starts_with("https:") {
        true => {
            let tls = TlsConfig::builder()
                .root_certs(roots(config).map_err(|error| error.to_string())?.0)
                .unversioned_rustls_crypto_provider(Arc::new(provider(has_aes())));
            settings.tls_config(tls.build()).build()
        }
        false => settings.build(),
    };
    let connector = connector(AddressByAddress::new()).chain(Interruptible::by_ctrl_c());
    let agent = Agent::with_parts(settings, connector, DefaultResolver::default());
    let request = agent.post(url).header("content-type", content_type);
    match request.send(body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("the answer is {}", answer.status())),
        Err(error) => Err(shown(error.to_string())),
    }
}

/// Where systems keep all their roots in one file: Debian, Alpine and Arch; Fedora; openSUSE.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// The system's store, once: beside the one file that holds all of it there often is a directory
/// with each of them again. The environment (`SSL_CERT_FILE`, `SSL_CERT_DIR`) goes first.
fn system_roots() -> Vec<CertificateDer<'static>> {
    let is_named = env("SSL_CERT_FILE").is_some() || env("SSL_CERT_DIR").is_some();
    let bundles = BUNDLES.iter().map(Path::new).filter(|_| !is_named);
    bundles
        .map(|file| load_certs_from_paths(Some(file), None).certs)
        .find(|roots| !roots.is_empty())
        .unwrap_or_else(|| load_native_certs().certs)
}

/// How TLS is done with this configuration.
fn tls(config: &Config) -> Result<(TlsConfig, TlsGround), ConfigError> {
    let has_aes = has_aes();
    let (roots, system_roots, own_roots) = roots(config)?;
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(provider(has_aes)))
        .build();
    let ground = TlsGround {
        system_roots,
        own_roots,
        has_aes,
    };
    Ok((tls, ground))
}

/// The system's store, or Mozilla's list where there is none, and the configured CA file; how many
/// there are of the first and of the last.
fn roots(config: &Config) -> Result<(RootCerts, usize, usize), ConfigError> {
    let mut roots: Vec<_> = system_roots()
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    let of_system = roots.len();
    if let Some(file) = &config.network.ca_file {
        roots.extend(ca_file(file).map_err(|what| ConfigError {
            file: config.path.clone(),
            line: None,
            key: Some("network.ca_file".to_owned()),
            what,
            remedy: "name a readable PEM file with at least one certificate".to_owned(),
            next: None,
        })?);
    }
    let own = roots.len() - of_system;
    let roots = match roots.is_empty() {
        true => RootCerts::WebPki,
        false => RootCerts::Specific(Arc::new(roots)),
    };
    Ok((roots, of_system, own))
}

fn ca_file(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let pem = read_regular(path, CA_FILE_BYTES_MAX, Links::Followed)
        .map_err(|error| error.to_string())?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(format!("{} holds no PEM certificate", path.display()));
    }
    Ok(certificates)
}

/// Ring's cipher suites, ChaCha20-Poly1305 first where the CPU has no AES instructions: that is 8
/// times less work per byte on ARMv6 and 2.6 times less on ARMv7.
fn provider(has_aes: bool) -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    if !has_aes {
        provider.cipher_suites.sort_by_key(|suite| {
            !matches!(
                suite.suite(),
                CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
                    | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                    | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            )
        });
    }
    provider
}

/// Whether this CPU computes AES in hardware; no 32-bit ARM is taken to.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B9.
    #[test]
    fn b9_a_certificate_that_is_refused_for_its_dates_tells_what_the_clock_says() {
        use rustls::CertificateError::{Expired, NotValidYet};
        let year = Timestamp::now().to_string()[..4].to_owned();
        for reason in [Expired, NotValidYet] {
            let text = remedy(&reason, None);
            assert!(
                text.contains("clock right? It says") && text.contains(&year),
                "{text}"
            );
        }
        let text = remedy(&rustls::CertificateError::UnknownIssuer, None);
        assert!(
            text.contains("ca-certificates") && text.contains("network.ca_file"),
            "{text}"
        );
    }

    /// R2: only where there was no connection this is being offline.
    #[test]
    fn r2_a_connection_that_was_not_made_is_told_from_a_slow_answer() {
        use std::io::ErrorKind;
        use ureq::{Error, Timeout};
        let io = |kind: ErrorKind| Error::Io(kind.into());
        for unmade in [
            Error::HostNotFound,
            Error::ConnectionFailed,
            Error::Timeout(Timeout::Connect),
            Error::Timeout(Timeout::Resolve),
            io(ErrorKind::ConnectionRefused),
            io(ErrorKind::NetworkUnreachable),
        ] {
            assert!(is_unmade(&unmade), "{unmade}");
        }
        for made in [
            Error::Timeout(Timeout::RecvResponse),
            Error::Timeout(Timeout::RecvBody),
            io(ErrorKind::ConnectionReset),
            io(ErrorKind::UnexpectedEof),
        ] {
            assert!(!is_unmade(&made), "{made}");
        }
    }

    #[test]
    fn chacha20_comes_first_only_without_aes_instructions() {
        let first = |aes| provider(aes).cipher_suites[0].suite();
        assert_eq!(first(false), CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
        assert_eq!(first(true), CipherSuite::TLS13_AES_256_GCM_SHA384);
        assert_eq!(
            provider(false).cipher_suites.len(),
            provider(true).cipher_suites.len()
        );
    }
}
