//! A certificate authority and a leaf for 127.0.0.1, as files: what a service over https needs in a test.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test without a certificate has nothing to test")]

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Files in a folder that is removed when dropped. The leaf is no authority itself: rustls takes no other.
#[derive(Debug)]
pub(crate) struct Certificate {
    folder: tempfile::TempDir,
    /// The leaf's certificate and key in DER.
    pub(crate) leaf_der: Vec<u8>,
    pub(crate) key_der: Vec<u8>,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let authority_key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_pem = authority.self_signed(&authority_key).expect("a certificate").pem();

        let key = KeyPair::generate().expect("a key");
        let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        leaf.is_ca = IsCa::ExplicitNoCa;
        let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key)).expect("a certificate");

        let folder = tempfile::tempdir().expect("a folder");
        let files = [("ca.pem", authority_pem), ("leaf.pem", leaf.pem()), ("key.pem", key.serialize_pem())];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a written file");
        }
        Self { leaf_der: leaf.der().to_vec(), key_der: key.serialize_der(), folder }
    }

    /// What a client has to trust: for `SSL_CERT_FILE`.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn leaf(&self) -> PathBuf {
        self.folder.path().join("leaf.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}
