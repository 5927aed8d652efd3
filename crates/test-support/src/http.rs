//! The smallest HTTP/1.1 client that can break the rules: it sends the Host header byte for byte as
//! given, which no well-behaved client would. One request per connection, no redirects.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

/// An answer as it was received.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// The whole first line, such as `HTTP/1.1 403 Forbidden`.
    pub status_line: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    /// Parses an answer that ended with the connection.
    pub fn parse(bytes: &[u8]) -> Result<Response> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text
            .split_once("\r\n\r\n")
            .with_context(|| format!("no HTTP answer but {text:?}"))?;
        let mut lines = head.lines();
        let status_line = lines.next().unwrap_or_default().to_owned();
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("no status in {status_line:?}"))?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut response = Response {
            status,
            status_line,
            headers,
            body: body.to_owned(),
        };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = whole(body).with_context(|| format!("no chunks but {body:?}"))?;
        }
        Ok(response)
    }

    /// Returns the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Joins a body that was sent in chunks.
fn whole(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..size)?);
        chunks = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// Sends `GET path` to 127.0.0.1, with exactly this Host.
pub fn get(port: u16, host: &str, path: &str) -> Result<Response> {
    get_with(port, host, path, &[])
}

/// Sends the same with more headers.
pub fn get_with(port: u16, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let mut stream = connect(port)?;
    exchange(&mut stream, host, path, headers)
        .with_context(|| format!("GET {path} with Host {host:?} on port {port}"))
}

/// Opens a connection that times out rather than hangs.
pub fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .with_context(|| format!("nothing answers on port {port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// Sends one request over an open connection, of any kind, and reads the answer to its end.
pub fn exchange(
    stream: &mut (impl Read + Write),
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Response> {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: customs-rig\r\nConnection: close\r\n"
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Response::parse(&bytes)
}
