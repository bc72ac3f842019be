//! The one encoding, and its bounded, canonical decoding.
//!
//! Every value has one encoding and every encoding at most one value: fixed-width
//! little-endian integers, lengths as `u64`, no maps, no floats, nothing of size zero.
//! Signatures and digests are taken over these bytes, so what decodes must be what was
//! signed.
//!
//! Decoding never trusts a length that it reads: a [`List`] or [`Blob`] grows with the
//! elements that are really there, and a claimed length larger than the bytes that
//! remain is refused before anything is allocated for it. Trailing bytes are refused.
//!
//! The encoding is done by bincode, and by this module alone, so that a successor with
//! the same bytes can take its place.

use bincode::de::read::Reader;
use bincode::de::{BorrowDecode, BorrowDecoder, Decode, Decoder};
use bincode::enc::write::SizeWriter;
use bincode::enc::{Encode, Encoder, EncoderImpl};
use bincode::error::{DecodeError, EncodeError};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The most bytes that any one encoded value may have. Frames are limited by class
/// before they get here; this is the limit that no class exceeds.
pub const MOST_BYTES: usize = 64 << 20;

const CONFIGURATION: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Fixint,
> = bincode::config::legacy();

/// What has an encoding.
pub trait Wire: Encode + Decode<()> {}
impl<T: Encode + Decode<()>> Wire for T {}

/// Why bytes are not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More bytes than the limit of this kind of message.
    #[error("{bytes} bytes, and the limit is {limit}")]
    TooLarge {
        /// The bytes that came.
        bytes: usize,
        /// The bytes allowed.
        limit: usize,
    },
    /// A value, and then more.
    #[error("{extra} bytes follow after the value's end")]
    Trailing {
        /// How many bytes are left over.
        extra: usize,
    },
    /// Not an encoding of this type.
    #[error("not an encoding of what was expected: {0}")]
    Unreadable(String),
}

/// The canonical bytes of a value.
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, CONFIGURATION)
        .expect("our types have no encoding that can fail, and memory does not")
}

/// Appends the canonical bytes of a value.
pub fn encode_into<T: Encode>(value: &T, out: &mut Vec<u8>) {
    bincode::encode_into_std_write(value, out, CONFIGURATION)
        .expect("our types have no encoding that can fail, and a vector takes all");
}

/// How many bytes the encoding has, without making it.
pub fn size<T: Encode>(value: &T) -> usize {
    let mut encoder = EncoderImpl::new(SizeWriter::default(), CONFIGURATION);
    value
        .encode(&mut encoder)
        .expect("our types have no encoding that can fail, and nothing is written");
    encoder.into_writer().bytes_written
}

/// The value whose canonical bytes these are, all of them.
pub fn decode<T: Decode<()>>(bytes: &[u8], limit: usize) -> Result<T, Malformed> {
    if bytes.len() > limit.min(MOST_BYTES) {
        return Err(Malformed::TooLarge { bytes: bytes.len(), limit: limit.min(MOST_BYTES) });
    }
    let (value, read) = bincode::decode_from_slice(bytes, CONFIGURATION)
        .map_err(|error| Malformed::Unreadable(error.to_string()))?;
    match bytes.len() - read {
        0 => Ok(value),
        extra => Err(Malformed::Trailing { extra }),
    }
}

/// Reads a length and refuses one that the remaining bytes cannot hold, given that
/// every element takes at least one byte. Decoding is from slices only (`peek_read`
/// sees what remains), which [`decode`] ensures.
fn claimed_length<D: Decoder>(decoder: &mut D) -> Result<usize, DecodeError> {
    let claimed = u64::decode(decoder)?;
    let claimed = usize::try_from(claimed)
        .map_err(|_| DecodeError::Other("a length larger than this machine's memory"))?;
    if decoder.reader().peek_read(claimed).is_none() {
        return Err(DecodeError::Other("a length larger than what follows"));
    }
    Ok(claimed)
}

/// A list as it travels. It is allocated as its elements are decoded, never ahead on
/// the word of its length.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        List(items.into_iter().collect())
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        List(items)
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl<T: Encode> Encode for List<T> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.0.len() as u64).encode(encoder)?;
        self.0.iter().try_for_each(|item| item.encode(encoder))
    }
}

impl<C, T: Decode<C>> Decode<C> for List<T> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        const { assert!(size_of::<T>() > 0, "an element of size zero takes no bytes") };
        let claimed = claimed_length(decoder)?;
        // An element takes at least a byte on the wire and `size_of` in memory; begin
        // with what can't be exceeded by much, and grow with what is really there.
        let mut items = Vec::with_capacity(claimed.min(64));
        for _ in 0..claimed {
            items.push(T::decode(decoder)?);
        }
        Ok(List(items))
    }
}

impl<'de, C, T: Decode<C>> BorrowDecode<'de, C> for List<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// Bytes without meaning to whoever carries them: keys, values, operations, results.
/// Cheap to clone, so that one body serves log, peers and execution.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob(Arc<[u8]>);

impl Default for Blob {
    fn default() -> Self {
        Blob(Arc::from([]))
    }
}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::borrow::Borrow<[u8]> for Blob {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Blob(bytes.into())
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Blob(bytes.into())
    }
}

impl From<&str> for Blob {
    fn from(text: &str) -> Self {
        Blob(text.as_bytes().into())
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\"", self.0.escape_ascii())
    }
}

impl Encode for Blob {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        use bincode::enc::write::Writer;
        (self.0.len() as u64).encode(encoder)?;
        encoder.writer().write(&self.0)
    }
}

impl<C> Decode<C> for Blob {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let claimed = claimed_length(decoder)?;
        let reader = decoder.reader();
        let bytes = reader
            .peek_read(claimed)
            .ok_or(DecodeError::Other("a length larger than what follows"))?;
        let blob = Blob(bytes.into());
        reader.consume(claimed);
        Ok(blob)
    }
}

bincode::impl_borrow_decode!(Blob);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    #[test]
    fn lists_and_blobs_come_back_as_they_went() {
        let value: (List<Blob>, u16) = (List(vec![Blob::from("a"), Blob::default()]), 7);
        let bytes = encode(&value);
        assert_eq!(bytes.len(), 8 + 8 + 1 + 8 + 2);
        assert_eq!(size(&value), bytes.len());
        assert_eq!(decode::<(List<Blob>, u16)>(&bytes, LIMIT).expect("it was encoded"), value);
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&7u64);
        bytes.push(0);
        assert_eq!(decode::<u64>(&bytes, LIMIT), Err(Malformed::Trailing { extra: 1 }));
    }

    #[test]
    fn a_truncated_value_is_refused_at_every_length() {
        let bytes = encode(&List(vec![Blob::from("abc"), Blob::from("d")]));
        for length in 0..bytes.len() {
            assert!(decode::<List<Blob>>(&bytes[..length], LIMIT).is_err(), "{length}");
        }
    }

    /// D1
    #[test]
    fn a_length_bomb_is_refused_before_anything_is_allocated() {
        for claimed in [9u64, 1 << 32, 1 << 40, u64::MAX] {
            let mut bytes = encode(&claimed);
            bytes.extend([0; 8]);
            assert!(decode::<Blob>(&bytes, LIMIT).is_err(), "{claimed}");
            assert!(decode::<List<u64>>(&bytes, LIMIT).is_err(), "{claimed}");
            assert!(decode::<List<List<u64>>>(&bytes, LIMIT).is_err(), "{claimed}");
        }
    }

    #[test]
    fn more_bytes_than_the_limit_are_refused_unread() {
        let bytes = encode(&List(vec![0u8; 100]));
        assert_eq!(
            decode::<List<u8>>(&bytes, 50),
            Err(Malformed::TooLarge { bytes: 108, limit: 50 })
        );
    }

    /// D2
    #[test]
    fn tags_out_of_range_are_refused() {
        assert!(decode::<bool>(&[2], LIMIT).is_err());
        assert!(decode::<Option<u8>>(&[2, 0], LIMIT).is_err());
        assert!(decode::<Option<u8>>(&[1], LIMIT).is_err());
    }
}
