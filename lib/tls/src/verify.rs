//! How a server's certificate is checked: signed by the CA, whatever name it has; or, while no CA is known,
//! by the CA that the server shows with it.

use crate::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

type Checked<T> = std::result::Result<T, rustls::Error>;

/// Signed by one of these, whatever its name.
#[derive(Debug)]
pub(crate) struct SignedByCa {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl SignedByCa {
    pub(crate) fn new(roots: RootCertStore, provider: Arc<CryptoProvider>) -> SignedByCa {
        SignedByCa { roots, provider }
    }
}

fn check(
    roots: &RootCertStore,
    provider: &CryptoProvider,
    end: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    now: UnixTime,
) -> Checked<ServerCertVerified> {
    let end = ParsedCertificate::try_from(end)?;
    let algorithms = provider.signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&end, roots, others, now, algorithms)?;
    Ok(ServerCertVerified::assertion())
}

/// The CA is not known yet.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    path: PathBuf,
    provider: Arc<CryptoProvider>,
    /// What the server showed, after it was found to have signed the server's certificate.
    learnt: Mutex<Option<CertificateDer<'static>>>,
}

impl Bootstrap {
    pub(crate) fn new(path: &Path, provider: Arc<CryptoProvider>) -> Bootstrap {
        Bootstrap {
            path: path.to_owned(),
            provider,
            learnt: Mutex::default(),
        }
    }
    /// Writes the learnt CA to its file. One that is there by now stays, and has to be the same: who came with
    /// another is not to be trusted.
    pub(crate) fn store(&self) -> Result<()> {
        let mut learnt = self.learnt.lock().unwrap_or_else(|held| held.into_inner());
        let Some(certificate) = learnt.take() else {
            return Ok(());
        };
        match self.write_new(&certificate) {
            Ok(()) => {
                tracing::info!(file = %self.path.display(), "the CA's certificate was learnt from the peer");
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let stored = CertificateDer::pem_file_iter(&self.path);
                let mut stored = stored.into_iter().flatten().flatten();
                match stored.any(|stored| stored == certificate) {
                    true => Ok(()),
                    false => Err(self.fault("another one was learnt meanwhile")),
                }
            }
            Err(error) => Err(self.fault(error)),
        }
    }

    fn fault(&self, why: impl ToString) -> Error {
        Error::File {
            what: "CA certificate",
            path: self.path.clone(),
            why: why.to_string(),
        }
    }

    fn write_new(&self, certificate: &CertificateDer<'_>) -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o644);
        let mut file = options.open(&self.path)?;
        file.write_all(pem(certificate).as_bytes())?;
        file.sync_all()
    }
}

/// Base64 in lines of 64 (RFC 7468 section 3).
fn pem(certificate: &CertificateDer<'_>) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, three) in certificate.chunks(3).enumerate() {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= three.len() {
                char::from(digit)
            } else {
                '='
            });
        }
        if index % 16 == 15 {
            out.push('\n');
        }
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out + "-----END CERTIFICATE-----\n"
}

impl ServerCertVerifier for SignedByCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Checked<ServerCertVerified> {
        check(&self.roots, &self.provider, end_entity, intermediates, now)
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked<HandshakeSignatureValid> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked<HandshakeSignatureValid> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ServerCertVerifier for Bootstrap {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Checked<ServerCertVerified> {
        // The server has to send its CA's certificate behind its own.
        let last = intermediates.last();
        let ca = last.ok_or(CertificateError::UnknownIssuer)?.clone();
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let checked = check(&roots, &self.provider, end_entity, intermediates, now)?;
        let mut learnt = self.learnt.lock().unwrap_or_else(|held| held.into_inner());
        *learnt = Some(ca.into_owned());
        Ok(checked)
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked<HandshakeSignatureValid> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked<HandshakeSignatureValid> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_is_read_as_it_was() {
        for size in [0, 1, 2, 3, 47, 48, 49, 1000] {
            let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let text = pem(&CertificateDer::from(bytes.clone()));
            assert!(text.lines().all(|line| line.len() <= 64));
            let read = CertificateDer::from_pem_slice(text.as_bytes()).expect("is PEM");
            assert_eq!(read.as_ref(), bytes);
        }
    }

    fn learnt(path: &Path, certificate: &[u8]) -> Bootstrap {
        let bootstrap = Bootstrap::new(path, crate::provider());
        let certificate = CertificateDer::from(certificate.to_vec());
        *bootstrap.learnt.lock().unwrap() = Some(certificate);
        bootstrap
    }

    #[test]
    fn only_one_ca_is_learnt() {
        let path = std::env::temp_dir().join(format!("tls-learnt-{}", std::process::id()));
        // Both handshakes began when there was no file yet.
        let (first, again, other) = (
            learnt(&path, b"one"),
            learnt(&path, b"one"),
            learnt(&path, b"two"),
        );
        assert!(first.store().is_ok() && again.store().is_ok());
        let error = other.store().expect_err("another CA").to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(
            error.ends_with("another one was learnt meanwhile"),
            "{error}"
        );
    }
}
