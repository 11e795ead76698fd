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
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

type Checked<T> = std::result::Result<T, rustls::Error>;

/// Whose signature a server's certificate has to have.
#[derive(Debug)]
pub(crate) enum Trust {
    /// One of these.
    Ca(RootCertStore),
    /// The CA's that the server shows with it; it is learnt.
    First(Arc<Bootstrap>),
}

/// Checks servers' certificates, whatever names are in them.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) trust: Trust,
    pub(crate) provider: Arc<CryptoProvider>,
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
    /// What the server showed, after it was found to have signed the server's certificate.
    learnt: Mutex<Option<CertificateDer<'static>>>,
}

impl Bootstrap {
    pub(crate) fn new(path: &Path) -> Bootstrap {
        Bootstrap {
            path: path.to_owned(),
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

    /// The file is there whole or not at all.
    fn write_new(&self, certificate: &CertificateDer<'_>) -> std::io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let extension = format!("{}.{number}.new", std::process::id());
        let draft = self.path.with_extension(extension);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o644);
        let mut file = options.open(&draft)?;
        let written = file
            .write_all(pem(certificate).as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::hard_link(&draft, &self.path));
        std::fs::remove_file(&draft)?;
        written
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

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Checked<ServerCertVerified> {
        let bootstrap = match &self.trust {
            Trust::Ca(roots) => {
                return check(roots, &self.provider, end_entity, intermediates, now);
            }
            Trust::First(bootstrap) => bootstrap,
        };
        // The server has to send its CA's certificate behind its own.
        let last = intermediates.last();
        let ca = last.ok_or(CertificateError::UnknownIssuer)?.clone();
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let checked = check(&roots, &self.provider, end_entity, intermediates, now)?;
        let learnt = bootstrap.learnt.lock();
        *learnt.unwrap_or_else(|held| held.into_inner()) = Some(ca.into_owned());
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
        let bootstrap = Bootstrap::new(path);
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
