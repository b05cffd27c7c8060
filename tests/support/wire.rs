//! One HTTP/1.1 request on a connection of its own, for a proxy and for looking at a service behind the tested program's back.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(clippy::expect_used, reason = "a test without its service has nothing to test")]

use std::io;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap<HeaderValue>,
    pub(crate) body: Bytes,
}

impl Reply {
    /// A header's text, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request whose target is path and query, headers as given.
pub(crate) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> io::Result<Reply> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    connection.abort();
    Ok(Reply { status: head.status, headers: head.headers, body })
}

/// The same from a test that is no async function.
pub(crate) fn send_blocking(address: SocketAddr, request: Request<Full<Bytes>>) -> io::Result<Reply> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(send(address, request))
}
