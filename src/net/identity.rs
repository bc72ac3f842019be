//! Who we are in TLS: our key, and the certificates made of it.
//!
//! Certificates are made in memory when a node starts, and again every day; nobody
//! issues or distributes any. What counts is the key in them, which is listed.

use crate::crypto::{PublicKey, SecretKey};
use crate::net::directory::Party;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Clocks may be behind ours by this much.
const VALID_BEFORE: Duration = DAY.saturating_mul(2);

/// Clocks may be ahead of ours by this much, less a day.
const VALID_AFTER: Duration = DAY.saturating_mul(8);

/// A party and its TLS key.
pub struct Identity {
    /// Whose key it is.
    pub party: Party,
    secret: SecretKey,
}

impl Identity {
    /// This party with this key.
    pub fn new(party: Party, tls_secret: SecretKey) -> Identity {
        Identity { party, secret: tls_secret }
    }

    /// The key that others see.
    pub fn public(&self) -> PublicKey {
        self.secret.public()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Identity({}, {})", self.party, self.public())
    }
}

/// What a certificate says besides the key.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub from: SystemTime,
    pub until: SystemTime,
    pub purposes: Vec<ExtendedKeyUsagePurpose>,
}

impl Terms {
    /// What a certificate that is made now says.
    pub fn at(now: SystemTime) -> Terms {
        Terms {
            from: now - VALID_BEFORE,
            until: now + VALID_AFTER,
            purposes: vec![
                ExtendedKeyUsagePurpose::ClientAuth,
                ExtendedKeyUsagePurpose::ServerAuth,
            ],
        }
    }
}

/// Our key as the TLS library wants it, and no certificate could be made of it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no certificate can be made of the TLS key ({0}): generate a new one")]
pub struct NoCertificateMade(String);

/// Makes certificates of one identity, and keeps the latest.
pub(crate) struct Certificates {
    party: Party,
    maker: rcgen::KeyPair,
    key: Arc<dyn SigningKey>,
    latest: Mutex<(SystemTime, Arc<CertifiedKey>)>,
}

impl Certificates {
    pub fn new(identity: &Identity) -> Result<Certificates, NoCertificateMade> {
        let der = identity.secret.to_der();
        let der = PrivatePkcs8KeyDer::from(der.as_slice());
        let maker = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ED25519)
            .map_err(|error| NoCertificateMade(error.to_string()))?;
        let key = rustls::crypto::aws_lc_rs::sign::any_eddsa_type(&der)
            .map_err(|error| NoCertificateMade(error.to_string()))?;
        let now = SystemTime::now();
        let first = make(identity.party, &maker, &key, &Terms::at(now))?;
        Ok(Certificates { party: identity.party, maker, key, latest: Mutex::new((now, first)) })
    }

    /// A certificate that was made within a day of `now`.
    pub fn at(&self, now: SystemTime) -> Arc<CertifiedKey> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = match now.duration_since(latest.0) {
            Ok(age) => age < DAY,
            Err(_) => latest.0.duration_since(now).is_ok_and(|ahead| ahead < DAY),
        };
        if !is_fresh && let Ok(made) = make(self.party, &self.maker, &self.key, &Terms::at(now)) {
            *latest = (now, made);
        }
        Arc::clone(&latest.1)
    }
}

/// A self-signed certificate on these terms.
fn make(
    party: Party,
    maker: &rcgen::KeyPair,
    key: &Arc<dyn SigningKey>,
    terms: &Terms,
) -> Result<Arc<CertifiedKey>, NoCertificateMade> {
    let certificate = certificate(party, maker, terms)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate], Arc::clone(key))))
}

pub(crate) fn certificate(
    party: Party,
    maker: &rcgen::KeyPair,
    terms: &Terms,
) -> Result<CertificateDer<'static>, NoCertificateMade> {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, party.to_string());
    params.distinguished_name = name;
    params.extended_key_usages.clone_from(&terms.purposes);
    let since_epoch = |time: SystemTime| {
        rcgen::date_time_ymd(1970, 1, 1)
            + time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    };
    params.not_before = since_epoch(terms.from);
    params.not_after = since_epoch(terms.until);
    let made = params.self_signed(maker).map_err(|error| NoCertificateMade(error.to_string()))?;
    Ok(made.der().clone())
}

impl fmt::Debug for Certificates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Certificates(of {})", self.party)
    }
}

impl rustls::server::ResolvesServerCert for Certificates {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.at(SystemTime::now()))
    }
}

impl rustls::client::ResolvesClientCert for Certificates {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.at(SystemTime::now()))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
