//! D1, X6: frames that are too large, half, slow, or never taken.

use super::support::*;
use crate::net::frame::{FrameReader, FrameWriter};
use crate::net::{FrameError, Limits};
use crate::wire;
use bytes::Bytes;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

fn reader(limit: usize) -> (DuplexStream, FrameReader<DuplexStream>) {
    let (near, far) = duplex(1 << 16);
    (near, FrameReader::new(far, limit, Limits::default()))
}

#[tokio::test]
async fn frames_come_out_as_they_went_in_however_they_are_cut() {
    let bytes: Vec<u8> = [framed(b"one"), framed(b""), framed(&[7; 1000])].concat();
    for piece in [1, 2, 3, 5, 7, 100, 5000] {
        let (mut near, mut reader) = reader(1000);
        let written = async {
            for piece in bytes.chunks(piece) {
                near.write_all(piece).await.expect("room");
                tokio::task::yield_now().await;
            }
            drop(near);
        };
        let read = async {
            assert_eq!(reader.next().await.expect("whole"), Some(Bytes::from("one")));
            assert_eq!(reader.next().await.expect("whole"), Some(Bytes::new()));
            assert_eq!(reader.next().await.expect("whole"), Some(Bytes::from(vec![7; 1000])));
            assert_eq!(reader.next().await.expect("the end"), None);
        };
        tokio::join!(written, read);
    }
}

#[tokio::test]
async fn a_frame_that_is_cut_off_is_an_error_at_every_length() {
    let bytes = framed(b"some bytes");
    for length in 1..bytes.len() {
        let (mut near, mut reader) = reader(1000);
        near.write_all(&bytes[..length]).await.expect("room");
        drop(near);
        assert!(matches!(reader.next().await, Err(FrameError::Half)), "{length}");
    }
}

/// D1
#[tokio::test]
async fn a_claimed_length_is_refused_over_the_limit_and_never_allocated_below() {
    for claimed in [1001, 1 << 20, u32::MAX] {
        let (mut near, mut reader) = reader(1000);
        near.write_all(&claimed.to_le_bytes()).await.expect("room");
        let next = reader.next().await;
        assert!(matches!(next, Err(FrameError::TooLarge { claimed: found, limit: 1000 })
                     if found == claimed as usize));
    }
    let (mut near, mut reader) = reader(wire::MOST_BYTES);
    let claimed = u32::try_from(wire::MOST_BYTES).expect("it fits");
    near.write_all(&claimed.to_le_bytes()).await.expect("room");
    near.write_all(&[0; 1000]).await.expect("room");
    tokio::select! {
        biased;
        next = reader.next() => panic!("{next:?}"),
        () = tokio::task::yield_now() => (),
    }
    assert!(reader.capacity() < 1 << 17, "{} bytes for 1004", reader.capacity());
}

/// Short times, for what has to be given up.
fn impatient() -> Limits {
    Limits { progress: Duration::from_millis(100), ..Limits::default() }
}

#[tokio::test]
async fn a_frame_that_comes_a_byte_at_a_time_is_given_up() {
    let (mut near, far) = duplex(1 << 16);
    let mut reader = FrameReader::new(far, 60_000, impatient());
    near.write_all(&60_000u32.to_le_bytes()).await.expect("room");
    let dripping = async {
        while near.write_all(&[9]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let frame = async {
        let next = reader.next().await;
        drop(reader);
        next
    };
    let (next, ()) = tokio::join!(frame, dripping);
    assert!(matches!(next, Err(FrameError::Slow)), "{next:?}");
}

/// However often the wait is given up and begun again: a frame's time is one.
#[tokio::test]
async fn giving_up_the_wait_for_a_frame_gives_it_no_more_time() {
    let (mut near, far) = duplex(1 << 16);
    let mut reader = FrameReader::new(far, 1000, impatient());
    near.write_all(&[9, 0]).await.expect("room");
    let given_up = async {
        loop {
            let next = tokio::time::timeout(Duration::from_millis(10), reader.next());
            if let Ok(next) = next.await {
                break next;
            }
        }
    };
    let next = tokio::time::timeout(LONG, given_up).await.expect("it is given up");
    assert!(matches!(next, Err(FrameError::Slow)), "{next:?}");
}

#[tokio::test]
async fn silence_is_noticed_where_it_says_something() {
    let (mut near, mut reader) = reader(1000);
    reader.admit(1000, Some(Duration::from_millis(100)), None);
    near.write_all(&framed(b"still here")).await.expect("room");
    assert_eq!(reader.next().await.expect("whole"), Some(Bytes::from("still here")));
    assert!(matches!(reader.next().await, Err(FrameError::Silent)));
    // Whoever may be silent is waited for; and waiting may be given up and begun again.
    let (mut near, mut reader) = self::reader(1000);
    assert!(tokio::time::timeout(Duration::from_millis(200), reader.next()).await.is_err());
    near.write_all(&framed(b"at last")).await.expect("room");
    assert_eq!(reader.next().await.expect("whole"), Some(Bytes::from("at last")));
}

/// X6
#[tokio::test]
async fn a_peer_that_stops_reading_is_given_up_and_not_written_to_again() {
    let (near, _far) = duplex(1000);
    let mut writer = FrameWriter::new(near, impatient());
    writer.write(&[Bytes::from("taken")]).await.expect("there is room");
    let error = writer.write(&[Bytes::from(vec![0; 2000])]).await.expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    // Half of a frame is out: anything more would be read as the rest of it.
    let error = writer.write(&[Bytes::from("more")]).await.expect_err("half of a frame is out");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_write_that_is_given_up_ends_the_connection() {
    let (near, _far) = duplex(1000);
    let mut writer = FrameWriter::new(near, Limits::default());
    let large = [Bytes::from(vec![0; 2000])];
    tokio::select! {
        biased;
        written = writer.write(&large) => panic!("{written:?}"),
        () = tokio::task::yield_now() => (),
    }
    assert!(writer.write(&[]).await.is_err());
}

/// What a client may send is what a request may have, and not what a replica may send.
#[tokio::test]
async fn a_clients_frames_have_a_limit_of_their_own() {
    let mut plan = Plan::default();
    let (_, mut acceptor) = plan.listen().await;
    let (mut dialed, mut accepted) = joined(&plan.endpoint(client(0)), &mut acceptor).await;
    let bundle = plan.parameters.bundle_bytes as usize;
    let large = Bytes::from(vec![1; bundle + 1000]);
    let both = async {
        dialed.writer.write(std::slice::from_ref(&large)).await.expect("the connection holds");
        let over = Bytes::from(vec![1; 2 * bundle]);
        // The other side ends the connection on seeing the length.
        let _ = dialed.writer.write(&[over]).await;
    };
    let read = async {
        assert!(next(&mut accepted).await == large);
        let next = accepted.reader.next().await;
        assert!(matches!(next, Err(FrameError::TooLarge { .. })), "{next:?}");
        drop(accepted);
    };
    tokio::join!(both, read);
}
