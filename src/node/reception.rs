//! The door of the admin address: so many visitors at a time, each for so long.
//!
//! A visitor asks once and is answered once, and the time from coming in to the last byte
//! of the answer is limited: one that sends its question a byte a minute, or never reads
//! the answer, is shown out. When all places are taken, the next visitor gets the place of
//! the one who has had his for longest: whoever takes all places in turn keeps nobody out
//! who asks and listens.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::serve::Listener;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Sleep;

/// How much visitors may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Courtesy {
    /// The most who are there at a time.
    pub(super) places: usize,
    /// How long each may stay.
    pub(super) stay: Duration,
}

impl Courtesy {
    /// As much as operators and their tools need, and no more.
    pub(super) const USUAL: Courtesy = Courtesy { places: 64, stay: Duration::from_secs(10) };
}

/// Answers at this address for as long as it is there.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    courtesy: Courtesy,
) -> io::Result<()> {
    let reception = Reception { listener, courtesy, places: VecDeque::new() };
    axum::serve(reception, router.layer(map_response(once))).await
}

/// No second question is waited for.
async fn once(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Lets visitors in.
struct Reception {
    listener: TcpListener,
    courtesy: Courtesy,
    /// Those who are there, the first one first. A place that is dropped is taken away.
    places: VecDeque<oneshot::Sender<()>>,
}

impl Reception {
    fn place(&mut self) -> oneshot::Receiver<()> {
        self.places.retain(|place| !place.is_closed());
        while self.places.len() >= self.courtesy.places {
            self.places.pop_front();
        }
        let (place, kept) = oneshot::channel();
        self.places.push_back(place);
        kept
    }
}

impl Listener for Reception {
    type Io = Visitor;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visitor, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let end = Box::pin(tokio::time::sleep(self.courtesy.stay));
        (Visitor { stream, place: self.place(), end }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its time is over or its place is taken.
struct Visitor {
    stream: TcpStream,
    place: oneshot::Receiver<()>,
    end: Pin<Box<Sleep>>,
}

impl Visitor {
    /// The stream, as long as the visitor may stay.
    fn stream(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        let is_over = self.end.as_mut().poll(context).is_ready();
        let is_taken = Pin::new(&mut self.place).poll(context).is_ready();
        match is_over || is_taken {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().stream(context)?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream(context)?.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream(context)?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const FOR_EVER: Duration = Duration::from_secs(1 << 20);

    /// As much as no socket's buffers take.
    const MUCH: usize = 64 << 20;

    async fn open(courtesy: Courtesy) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        let router = Router::new()
            .route("/little", get(async || "little"))
            .route("/much", get(async || "m".repeat(MUCH)));
        tokio::spawn(serve(listener, router, courtesy));
        address
    }

    async fn visit(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.expect("somebody listens")
    }

    async fn ask(visitor: &mut TcpStream, page: &str) {
        let question = format!("GET {page} HTTP/1.1\r\nHost: here\r\n\r\n");
        visitor.write_all(question.as_bytes()).await.expect("it is taken");
    }

    async fn answer(visitor: &mut TcpStream) -> Vec<u8> {
        let mut answer = Vec::new();
        // One who is shown out may see that as an error.
        let _ = visitor.read_to_end(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn whoever_asks_is_answered_once() {
        let address = open(Courtesy { places: 1, stay: FOR_EVER }).await;
        let mut visitor = visit(address).await;
        ask(&mut visitor, "/little").await;
        let answer = String::from_utf8(answer(&mut visitor).await).expect("text");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("little"), "{answer}");
    }

    /// X1
    #[tokio::test]
    async fn whoever_never_finishes_the_question_is_shown_out() {
        let address = open(Courtesy { places: 1, stay: Duration::from_millis(50) }).await;
        let mut visitor = visit(address).await;
        visitor.write_all(b"GET /little HTT").await.expect("it is taken");
        assert!(answer(&mut visitor).await.is_empty());
    }

    /// X6
    #[tokio::test]
    async fn whoever_never_reads_the_answer_keeps_nobody_out() {
        let address = open(Courtesy { places: 1, stay: FOR_EVER }).await;
        let mut idle = visit(address).await;
        ask(&mut idle, "/much").await;
        idle.peek(&mut [0]).await.expect("the answer has begun");
        let mut late = visit(address).await;
        ask(&mut late, "/little").await;
        assert!(answer(&mut late).await.ends_with(b"little"));
        assert!(answer(&mut idle).await.len() < MUCH);
    }

    /// X1
    #[tokio::test]
    async fn one_too_many_gets_the_place_of_the_one_who_came_first() {
        let address = open(Courtesy { places: 3, stay: FOR_EVER }).await;
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let mut visitor = visit(address).await;
            visitor.write_all(b"GET /lit").await.expect("it is taken");
            waiting.push(visitor);
        }
        let mut late = visit(address).await;
        ask(&mut late, "/little").await;
        assert!(answer(&mut late).await.ends_with(b"little"));
        let mut first = waiting.remove(0);
        assert!(answer(&mut first).await.is_empty());
        let mut second = waiting.remove(0);
        second.write_all(b"tle HTTP/1.1\r\nHost: here\r\n\r\n").await.expect("it is taken");
        assert!(answer(&mut second).await.ends_with(b"little"));
    }
}
