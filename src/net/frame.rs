//! Frames: a length of four bytes, little-endian, and so many bytes.
//!
//! A claimed length is compared with the limit and never allocated: the buffer grows
//! with what arrives.

use crate::net::alarm::Alarm;
use crate::net::limits::Limits;
use crate::net::places::Seat;
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;

/// What frames travel over.
pub(crate) type Stream = tokio_rustls::TlsStream<tokio::net::TcpStream>;

/// The bytes of a length.
const HEAD_BYTES: usize = 4;

/// The most that is read at once: what one TLS record holds.
const READ_BYTES: usize = 16 << 10;

/// Smaller frames are gathered to writes of about so many bytes.
const WRITE_BYTES: usize = 64 << 10;

/// Why no more frames come.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// D1
    #[error("a frame claims {claimed} bytes, and the limit is {limit}")]
    TooLarge {
        /// What its head says.
        claimed: usize,
        /// What the sender may send.
        limit: usize,
    },
    /// The stream ended in the middle of a frame.
    #[error("the connection ended within a frame")]
    Half,
    /// A frame began and did not end in time.
    #[error("a frame did not end in time: the other side or the network is too slow")]
    Slow,
    /// Nothing came for too long.
    #[error("nothing was heard for too long: the other side is down, paused, or cut off")]
    Silent,
    /// X5
    #[error("a newer connection of the same replica has taken its place")]
    Replaced,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// Takes whole frames out of a stream.
pub struct FrameReader<R = ReadHalf<Stream>> {
    stream: R,
    /// Where bytes are read to. It is made of zeros once, and not before each read.
    landing: Box<[u8]>,
    buffer: BytesMut,
    limit: usize,
    limits: Limits,
    silence: Option<Duration>,
    /// Since when the end of a begun frame is waited for.
    begun: Option<Instant>,
    /// Since when anything at all is waited for.
    waiting: Option<Instant>,
    alarm: Alarm,
    seat: Option<Arc<Seat>>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Takes frames of at most so many bytes out of this stream.
    pub fn new(stream: R, limit: usize, limits: Limits) -> FrameReader<R> {
        FrameReader {
            stream,
            landing: vec![0; READ_BYTES].into(),
            buffer: BytesMut::new(),
            limit,
            limits,
            silence: None,
            begun: None,
            waiting: None,
            alarm: Alarm::default(),
            seat: None,
        }
    }

    /// From now on, frames may be so large, and nothing may be silent for so long.
    pub(crate) fn admit(
        &mut self,
        limit: usize,
        silence: Option<Duration>,
        seat: Option<Arc<Seat>>,
    ) {
        self.limit = limit;
        self.silence = silence;
        self.seat = seat;
    }

    /// The next frame; nothing if the other side has ended the connection. May be
    /// dropped while it waits and called again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            if self.read().await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(FrameError::Half),
                };
            }
        }
    }

    /// A frame that has already arrived as a whole, without waiting.
    pub fn buffered(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let claimed = u32::from_le_bytes(*head);
        let claimed = usize::try_from(claimed).unwrap_or(usize::MAX);
        if claimed > self.limit {
            return Err(FrameError::TooLarge { claimed, limit: self.limit });
        }
        if self.buffer.len() - HEAD_BYTES < claimed {
            return Ok(None);
        }
        self.begun = None;
        self.buffer.advance(HEAD_BYTES);
        Ok(Some(self.buffer.split_to(claimed).freeze()))
    }

    /// How many bytes are allocated.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.landing.len() + self.buffer.capacity()
    }

    /// Reads once, within the time that the state of things allows.
    async fn read(&mut self) -> Result<usize, FrameError> {
        let now = Instant::now();
        let (deadline, late) = match self.buffer.is_empty() {
            true => {
                let since = *self.waiting.get_or_insert(now);
                (self.silence.map(|silence| since + silence), FrameError::Silent)
            }
            false => {
                let since = *self.begun.get_or_insert(now);
                (Some(since + self.limits.time_for(self.buffer.len())), FrameError::Slow)
            }
        };
        let seat = self.seat.clone();
        let replaced = async {
            match &seat {
                Some(seat) => seat.replaced().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = replaced => Err(FrameError::Replaced),
            read = self.stream.read(&mut self.landing) => {
                self.waiting = None;
                let bytes = match read {
                    // Frames are whole or not there: an end is an end, announced or not.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                    other => other?,
                };
                self.buffer.extend_from_slice(&self.landing[..bytes]);
                Ok(bytes)
            }
            () = self.alarm.until(deadline) => Err(late),
        }
    }
}

/// Puts whole frames into a stream.
pub struct FrameWriter<W = WriteHalf<Stream>> {
    stream: W,
    gathered: Vec<u8>,
    limits: Limits,
    is_broken: bool,
    _seat: Option<Arc<Seat>>,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(crate) fn new(stream: W, limits: Limits) -> FrameWriter<W> {
        FrameWriter { stream, gathered: Vec::new(), limits, is_broken: false, _seat: None }
    }

    pub(crate) fn admit(&mut self, seat: Option<Arc<Seat>>) {
        self._seat = seat;
    }

    /// Writes these frames, in as few pieces as is sensible, within the time that so
    /// many bytes may take. After an error, or if it was dropped while it waited, the
    /// connection is of no more use, and every further write says so.
    pub async fn write(&mut self, frames: &[Bytes]) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "an earlier write to this connection was not finished",
            ));
        }
        let bytes = frames.iter().map(|frame| frame.len() + HEAD_BYTES).sum();
        self.is_broken = true;
        match tokio::time::timeout(self.limits.time_for(bytes), self.write_all(frames)).await {
            Ok(written) => written?,
            Err(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the other side did not take what was written in time",
                ));
            }
        }
        self.is_broken = false;
        Ok(())
    }

    async fn write_all(&mut self, frames: &[Bytes]) -> io::Result<()> {
        self.gathered.clear();
        for frame in frames {
            let length = u32::try_from(frame.len())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a frame over 4 GiB"))?;
            self.gathered.extend_from_slice(&length.to_le_bytes());
            if frame.len() >= WRITE_BYTES {
                self.stream.write_all(&self.gathered).await?;
                self.gathered.clear();
                self.stream.write_all(frame).await?;
                continue;
            }
            self.gathered.extend_from_slice(frame);
            if self.gathered.len() >= WRITE_BYTES {
                self.stream.write_all(&self.gathered).await?;
                self.gathered.clear();
            }
        }
        self.stream.write_all(&self.gathered).await?;
        self.stream.flush().await
    }

    /// Ends the connection in order, within the time that a write may take.
    pub async fn close(&mut self) -> io::Result<()> {
        match tokio::time::timeout(self.limits.progress, self.stream.shutdown()).await {
            Ok(ended) => ended,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
