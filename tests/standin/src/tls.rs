//! Certificates for Dropbox's names from a CA that lives as long as the listeners.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::traffic::Counted;

/// The names a client may look for.
const NAMES: [&str; 6] = [
    "api.dropboxapi.com",
    "content.dropboxapi.com",
    "notify.dropboxapi.com",
    "www.dropboxapi.com",
    "www.dropbox.com",
    "localhost",
];

/// What the listener needs, and the CA in PEM for clients to trust.
pub(crate) fn identity() -> io::Result<(Arc<ServerConfig>, String)> {
    let (ca, ca_key) = authority().map_err(io::Error::other)?;
    let ca_pem = ca.self_signed(&ca_key).map_err(io::Error::other)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    let (leaf, key) = leaf(&issuer).map_err(io::Error::other)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_no_client_auth();
            builder.with_single_cert(vec![leaf.der().clone()], key)
        });
    Ok((Arc::new(config.map_err(io::Error::other)?), ca_pem))
}

fn authority() -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let mut params = valid_until_2045(&[])?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Dropbox stand-in CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params, KeyPair::generate()?))
}

fn leaf(issuer: &Issuer<'_, KeyPair>) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = valid_until_2045(&NAMES)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Dropbox stand-in");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?, key))
}

fn valid_until_2045(names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2045, 1, 1);
    Ok(params)
}

/// A connection, encrypted or not.
pub(crate) trait Wire: Read + Write {
    /// Says to the other side that nothing more comes.
    fn end(&mut self) {}

    /// The cipher suite, once there is one.
    fn cipher_suite(&self) -> Option<&'static str> {
        None
    }
}

impl Wire for Counted<'_> {}

impl Wire for StreamOwned<ServerConnection, Counted<'_>> {
    fn end(&mut self) {
        self.conn.send_close_notify();
        // The client may be gone already.
        let _ = self.flush();
    }

    fn cipher_suite(&self) -> Option<&'static str> {
        self.conn.negotiated_cipher_suite()?.suite().as_str()
    }
}
