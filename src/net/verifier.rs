//! Which certificate is taken: one whose key is listed, which is valid now, made for
//! this purpose, and signed by that key itself.
//!
//! Names in certificates mean nothing here, and there are no authorities: the cluster's
//! file is the only root of trust.

use crate::crypto::PublicKey;
use crate::net::directory::{Directory, Party};
use crate::net::refusal::Refusal;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, PeerIncompatible,
    SignatureScheme,
};
use std::sync::Arc;

/// Ed25519 and nothing else, in certificates as in handshakes.
static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::aws_lc_rs::ED25519],
    mapping: &[(SignatureScheme::ED25519, &[webpki::aws_lc_rs::ED25519])],
};

/// `id-kp-serverAuth` and `id-kp-clientAuth`, as object identifiers are encoded.
const SERVER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// What stands before the 32 bytes of an Ed25519 key where a certificate carries one.
const KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The key that a certificate carries.
pub(crate) fn key_in(certificate: &CertificateDer<'_>) -> Result<PublicKey, Refusal> {
    let parsed = webpki::EndEntityCert::try_from(certificate)
        .map_err(|error| Refusal::BadCertificate(error.to_string()))?;
    let info = parsed.subject_public_key_info();
    let bytes = info.strip_prefix(&KEY_PREFIX).and_then(|rest| rest.try_into().ok());
    bytes.map(PublicKey).ok_or_else(|| Refusal::BadCertificate("its key is not Ed25519".into()))
}

/// Judges what a dialed replica shows, or whoever dials us.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub directory: Arc<Directory>,
    pub ours: Party,
    /// Exactly this one, where we dialed.
    pub expected: Option<Party>,
}

impl Verifier {
    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        purpose: &'static [u8],
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let key = key_in(certificate)?;
        let found = self.directory.party_of(&key).ok_or(Refusal::NotListed(key))?;
        match self.expected {
            Some(expected) if found != expected => {
                return Err(Refusal::OtherParty { expected, found });
            }
            None if found == self.ours => return Err(Refusal::Ourselves(found)),
            Some(_) | None => {}
        }
        is_sound(certificate, purpose, now)
    }
}

/// Whether the certificate is valid now, for this purpose, and signed by its own key.
fn is_sound(
    certificate: &CertificateDer<'_>,
    purpose: &'static [u8],
    now: UnixTime,
) -> Result<(), Refusal> {
    let bad = |error: webpki::Error| Refusal::BadCertificate(error.to_string());
    let parsed = webpki::EndEntityCert::try_from(certificate).map_err(bad)?;
    // That the certificate is its own anchor says only that its key signed it. Trust
    // comes from the key's being listed.
    let anchors = [webpki::anchor_from_trusted_cert(certificate).map_err(bad)?];
    let usage = webpki::KeyUsage::required(purpose);
    match parsed.verify_for_usage(ALGORITHMS.all, &anchors, &[], now, usage, None, None) {
        Ok(_) => Ok(()),
        Err(webpki::Error::CertExpired { .. }) => Err(Refusal::Expired),
        Err(webpki::Error::CertNotValidYet { .. }) => Err(Refusal::NotYetValid),
        Err(webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension) => {
            Err(Refusal::WrongPurpose)
        }
        Err(error) => Err(bad(error)),
    }
}

/// The refusal as the TLS library takes it. It tells the other side the alert that fits
/// best, so that a clock that is wrong can be seen from both sides.
fn as_tls(refusal: Refusal) -> rustls::Error {
    rustls::Error::InvalidCertificate(match refusal {
        Refusal::Expired => CertificateError::Expired,
        Refusal::NotYetValid => CertificateError::NotValidYet,
        Refusal::WrongPurpose => CertificateError::InvalidPurpose,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}

/// What a failed handshake means.
pub(crate) fn refusal_of(error: &std::io::Error) -> Refusal {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(tls) = tls else { return Refusal::Broken(error.to_string()) };
    match tls {
        rustls::Error::InvalidCertificate(CertificateError::Expired) => Refusal::Expired,
        rustls::Error::InvalidCertificate(CertificateError::NotValidYet) => Refusal::NotYetValid,
        rustls::Error::InvalidCertificate(CertificateError::InvalidPurpose) => {
            Refusal::WrongPurpose
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            match other.downcast_ref::<Refusal>() {
                Some(refusal) => refusal.clone(),
                None => Refusal::BadCertificate(other.to_string()),
            }
        }
        rustls::Error::InvalidCertificate(other) => Refusal::BadCertificate(format!("{other:?}")),
        rustls::Error::NoCertificatesPresented => Refusal::NoCertificate,
        rustls::Error::NoApplicationProtocol => Refusal::OtherProtocol,
        rustls::Error::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Refusal::OldTls,
        rustls::Error::AlertReceived(alert) => Refusal::Told(alert_in_words(*alert)),
        other => Refusal::Broken(other.to_string()),
    }
}

/// What the other side's alert means here.
fn alert_in_words(alert: rustls::AlertDescription) -> String {
    use rustls::AlertDescription as Alert;
    match alert {
        Alert::CertificateExpired => "by its clock our certificate is not valid now, so one of \
                                      the two clocks is wrong by days"
            .into(),
        Alert::CertificateUnknown => "our TLS key is not listed there, so its cluster file is \
                                      another than ours, or it is another replica than the \
                                      address says"
            .into(),
        Alert::CertificateRequired => "it wants a certificate and got none".into(),
        Alert::NoApplicationProtocol => "it does not speak quorate's protocol".into(),
        Alert::ProtocolVersion => "it does not speak TLS 1.3".into(),
        other => format!("alert {other:?}"),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(end_entity, SERVER, now).map_err(as_tls)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(end_entity, CLIENT, now).map_err(as_tls)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}
