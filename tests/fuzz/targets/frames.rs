//! Frames out of a stream that is cut anywhere (D1): what comes out is what a simple
//! reading of the bytes gives, and no claimed length is allocated.
//!
//! The first two bytes say how the stream is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::net::{FrameError, FrameReader, Limits};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

const LIMIT: usize = 1_000;

/// Gives a few bytes at a time.
struct Cut<'a> {
    bytes: &'a [u8],
    pieces: [u8; 2],
}

impl AsyncRead for Cut<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.pieces.swap(0, 1);
        let piece = usize::from(self.pieces[0]).max(1);
        let (now, later) = self.bytes.split_at(piece.min(self.bytes.len()).min(out.remaining()));
        self.bytes = later;
        out.put_slice(now);
        Poll::Ready(Ok(()))
    }
}

/// What the stream holds: its frames, and whether it ends after the last.
fn expected(mut bytes: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*head) as usize;
        let Some((frame, rest)) = rest.split_at_checked(length).filter(|_| length <= LIMIT) else {
            return (frames, false);
        };
        frames.push(frame);
        bytes = rest;
    }
    (frames, bytes.is_empty())
}

fuzz_target!(|data: &[u8]| {
    let Some((pieces, bytes)) = data.split_first_chunk::<2>() else { return };
    let (frames, is_whole) = expected(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("the system gives one").block_on(async {
        let cut = Cut { bytes, pieces: *pieces };
        let mut reader = FrameReader::new(cut, LIMIT, Limits::default());
        for frame in frames {
            assert_eq!(reader.next().await.expect("it is whole").as_deref(), Some(frame));
        }
        match reader.next().await {
            Ok(None) => assert!(is_whole),
            Err(FrameError::Half | FrameError::TooLarge { .. }) => assert!(!is_whole),
            other => panic!("{other:?}"),
        }
    });
});
