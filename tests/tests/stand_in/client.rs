//! A client that shows the raw exchange: it follows no redirects and hides no headers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use e2e::qdrant_stand_in::StandIn;
use serde_json::Value;

/// A response, with its body as far as it arrived.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body was complete.
    pub complete: bool,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn result(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["result"].clone()
    }
}

pub fn get(stand_in: &StandIn, path: &str) -> Response {
    send(stand_in, "GET", path, &[], b"").unwrap()
}

pub fn post(stand_in: &StandIn, path: &str, json: &str) -> Response {
    send(stand_in, "POST", path, &[("content-type", "application/json")], json.as_bytes()).unwrap()
}

pub fn put(stand_in: &StandIn, path: &str, json: &Value) -> Response {
    let body = json.to_string();
    send(stand_in, "PUT", path, &[("content-type", "application/json")], body.as_bytes()).unwrap()
}

pub fn count(stand_in: &StandIn, collection: &str) -> Response {
    post(stand_in, &format!("/collections/{collection}/points/count"), r#"{"exact":true}"#)
}

/// Every point with its payload and vectors.
pub fn points(stand_in: &StandIn, collection: &str) -> Value {
    let body = r#"{"limit":10000,"with_vector":true,"with_payload":true}"#;
    post(stand_in, &format!("/collections/{collection}/points/scroll"), body).result()["points"].clone()
}

/// `(shard, peer, state)` of all replicas according to this node, sorted.
pub fn replicas(stand_in: &StandIn, collection: &str) -> Vec<(u64, u64, String)> {
    let cluster = get(stand_in, &format!("/collections/{collection}/cluster")).result();
    let mut replicas = Vec::new();
    for list in ["local_shards", "remote_shards"] {
        for shard in cluster[list].as_array().unwrap() {
            let peer = shard.get("peer_id").unwrap_or(&cluster["peer_id"]).as_u64().unwrap();
            let state = shard["state"].as_str().unwrap().to_owned();
            replicas.push((shard["shard_id"].as_u64().unwrap(), peer, state));
        }
    }
    replicas.sort();
    replicas
}

pub fn upload(stand_in: &StandIn, path: &str, file_name: &str, content: &[u8]) -> Response {
    let (content_type, body) = multipart(file_name, content);
    send(stand_in, "POST", path, &[("content-type", &content_type)], &body).unwrap()
}

/// A multipart body in curl's format.
pub fn multipart(file_name: &str, content: &[u8]) -> (String, Vec<u8>) {
    let boundary = "------------------------5b1b0f9cd2a4ae1c";
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"snapshot\"; filename=\"{file_name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

/// Sends one request on a new connection. An error if there was no answer.
pub fn send(
    stand_in: &StandIn,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let mut stream = TcpStream::connect(stand_in.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len())?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    read_response(&mut BufReader::new(stream))
}

fn read_response(reader: &mut impl BufRead) -> io::Result<Response> {
    let status_line = read_line(reader)?;
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status line: {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut response = Response { status, headers, body: Vec::new(), complete: false };
    response.complete = match response.header("content-length") {
        Some(length) => {
            let length: u64 = length.parse().map_err(io::Error::other)?;
            reader.take(length).read_to_end(&mut response.body).ok();
            response.body.len() as u64 == length
        }
        None => read_chunks(reader, &mut response.body).is_ok(),
    };
    Ok(response)
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let length = u64::from_str_radix(&read_line(reader)?, 16).map_err(io::Error::other)?;
        if reader.take(length).read_to_end(body)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read_line(reader)?;
        if length == 0 {
            return Ok(());
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
