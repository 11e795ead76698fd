//! TLS as switches and controllers use it: both sides show a certificate that one private CA has signed
//! (ovs-vsctl(8), "SSL Configuration"). Names in certificates are not compared with addresses: who has a
//! certificate of the CA is trusted. Reads key files, makes rustls configurations; does no input or output on sockets.

mod verify;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use verify::{Bootstrap, Trust, Verifier};

/// What cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// A file, by what it should hold, and why it does not.
    #[error("{what} {}: {why}", path.display())]
    File {
        /// "private key", "certificate" or "CA certificate".
        what: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The key does not belong to the certificate, or the like.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

type Result<T> = std::result::Result<T, Error>;

/// Where the key, the certificate and the CA's certificate are, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Our private key.
    pub private_key: PathBuf,
    /// Our certificate, followed by those of intermediate CAs if there are any.
    pub certificate: PathBuf,
    /// What the peer's certificate is checked against.
    pub ca_cert: PathBuf,
    /// If there is no such file yet, the first server's CA is trusted and stored there.
    pub bootstrap: bool,
}

/// What a command line says of [`Files`], option by option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--private-key`
    pub private_key: Option<PathBuf>,
    /// `--certificate`
    pub certificate: Option<PathBuf>,
    /// `--ca-cert`
    pub ca_cert: Option<PathBuf>,
    /// `--bootstrap-ca-cert`, in the place of `--ca-cert`
    pub bootstrap_ca_cert: Option<PathBuf>,
}

impl Options {
    /// The files; `None`: none is named. The error says which option is missing or one too many.
    pub fn files(&self) -> std::result::Result<Option<Files>, String> {
        if *self == Options::default() {
            return Ok(None);
        }
        let need = |file: &Option<PathBuf>, option: &str| {
            file.clone().ok_or_else(|| {
                format!("{option} is missing: TLS needs a key, a certificate and a CA")
            })
        };
        let (ca_cert, bootstrap) = match (&self.ca_cert, &self.bootstrap_ca_cert) {
            (Some(_), Some(_)) => {
                return Err("--ca-cert and --bootstrap-ca-cert exclude each other".into());
            }
            (None, Some(file)) => (file.clone(), true),
            (given, None) => (need(given, "--ca-cert")?, false),
        };
        Ok(Some(Files {
            private_key: need(&self.private_key, "--private-key")?,
            certificate: need(&self.certificate, "--certificate")?,
            ca_cert,
            bootstrap,
        }))
    }
}

/// For connections that we make.
#[derive(Clone)]
pub struct Client {
    /// For rustls.
    pub config: Arc<ClientConfig>,
    bootstrap: Option<Arc<Bootstrap>>,
}

impl Client {
    /// The name that is said to a peer whose address is all that is known.
    pub fn server_name(ip: std::net::IpAddr) -> ServerName<'static> {
        ServerName::IpAddress(ip.into())
    }
    /// To be called when a handshake has succeeded: stores a CA that was learnt by it.
    pub fn handshaken(&self) -> Result<()> {
        match &self.bootstrap {
            Some(bootstrap) => bootstrap.store(),
            None => Ok(()),
        }
    }
}

impl Files {
    /// For connections that we make.
    pub fn client(&self) -> Result<Client> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous();
        let learns = self.bootstrap && !self.ca_cert.exists();
        let bootstrap = learns.then(|| Arc::new(Bootstrap::new(&self.ca_cert)));
        let verifier = Verifier {
            trust: match &bootstrap {
                Some(bootstrap) => Trust::First(bootstrap.clone()),
                None => Trust::Ca(self.roots()?),
            },
            provider: provider(),
        };
        let builder = builder.with_custom_certificate_verifier(Arc::new(verifier));
        let config = builder.with_client_auth_cert(self.chain()?, self.key()?)?;
        Ok(Client {
            config: Arc::new(config),
            bootstrap,
        })
    }
    /// For connections that others make; they have to show a certificate of the CA.
    pub fn server(&self) -> Result<Arc<ServerConfig>> {
        let roots = Arc::new(self.roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| self.fault("CA certificate", &self.ca_cert, error))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain()?, self.key()?)?;
        Ok(Arc::new(config))
    }
    fn fault(&self, what: &'static str, path: &Path, why: impl ToString) -> Error {
        Error::File {
            what,
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
    fn key(&self) -> Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_file(&self.private_key)
            .map_err(|error| self.fault("private key", &self.private_key, text(error)))
    }
    fn chain(&self) -> Result<Vec<CertificateDer<'static>>> {
        self.certificates("certificate", &self.certificate)
    }
    fn certificates(
        &self,
        what: &'static str,
        path: &Path,
    ) -> Result<Vec<CertificateDer<'static>>> {
        let found = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
            .map_err(|error| self.fault(what, path, text(error)))?;
        if found.is_empty() {
            return Err(self.fault(what, path, "holds no certificate in PEM form"));
        }
        Ok(found)
    }
    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates("CA certificate", &self.ca_cert)? {
            roots
                .add(certificate)
                .map_err(|error| self.fault("CA certificate", &self.ca_cert, error))?;
        }
        Ok(roots)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn text(error: rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error as Pem;
    match error {
        Pem::Io(error) if error.kind() == io::ErrorKind::NotFound => "there is no such file".into(),
        Pem::Io(error) => error.to_string(),
        Pem::NoItemsFound => "holds nothing of the kind in PEM form".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_go_together() {
        let mut options = Options::default();
        assert_eq!(options.files(), Ok(None));
        options.private_key = Some("k".into());
        options.bootstrap_ca_cert = Some("b".into());
        let error = options.files().expect_err("the certificate is missing");
        assert!(error.contains("--certificate"), "{error}");
        options.certificate = Some("c".into());
        assert!(
            options
                .files()
                .is_ok_and(|f| f.is_some_and(|f| f.bootstrap))
        );
        options.ca_cert = Some("a".into());
        assert!(options.files().is_err());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let nowhere = |name: &str| PathBuf::from(format!("/nonexistent/{name}"));
        let files = Files {
            private_key: nowhere("key.pem"),
            certificate: nowhere("cert.pem"),
            ca_cert: nowhere("ca.pem"),
            bootstrap: false,
        };
        let error = files.server().expect_err("no such files").to_string();
        assert_eq!(
            error,
            "CA certificate /nonexistent/ca.pem: there is no such file"
        );
        let learning = Files {
            bootstrap: true,
            ..files
        };
        let Err(error) = learning.client() else {
            panic!("no such files");
        };
        assert_eq!(
            error.to_string(),
            "certificate /nonexistent/cert.pem: there is no such file"
        );
    }
}
