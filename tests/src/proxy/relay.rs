//! One client connection: counts each request and forwards it or applies a fault.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::sleep;

use super::fault::{Fault, Point, What};
use super::message::{Framing, Head, pass, whole};
use super::plan::{Seen, Shared};
use super::script::{PAUSE, Response, Step, script};

/// The write size for endless answers.
const PIECE: usize = 64 << 10;

struct Client {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

/// Serves a connection until it closes.
pub async fn serve(stream: TcpStream, upstream: SocketAddr, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (from, to) = stream.into_split();
    let mut client = Client { from: BufReader::new(from), to };
    while let Some(request) = Head::read(&mut client.from).await? {
        let seen = Seen { method: request.word(0).to_owned(), path: request.word(1).to_owned() };
        let goes_on = match shared.arrived(seen) {
            None => forward(&mut client, request, upstream).await?,
            Some(fault) => spoil(&mut client, request, upstream, &fault, shared).await?,
        };
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Forwards the request to the server and the answer to the client. Returns whether the connection can be reused.
async fn forward(client: &mut Client, request: Head, upstream: SocketAddr) -> io::Result<bool> {
    let framing = request.framing(Framing::Length(0));
    let (mut from, mut to) = ask(request, upstream).await?;
    let sending = pass(&mut client.from, &mut to, framing, u64::MAX);
    let answering = async {
        let Some(mut answer) = Head::read(&mut from).await? else { return Ok(false) };
        let framing = answer_framing(&answer);
        answer.remove("connection");
        client.to.write_all(&answer.bytes()).await?;
        pass(&mut from, &mut client.to, framing, u64::MAX).await
    };
    tokio::pin!(sending);
    tokio::pin!(answering);
    // A server may answer before it has read the whole request.
    let (mut sent, mut answered) = (None, None);
    while answered.is_none() {
        tokio::select! {
            biased;
            result = &mut sending, if sent.is_none() => sent = Some(result.unwrap_or(false)),
            result = &mut answering => answered = Some::<io::Result<bool>>(result),
        }
    }
    Ok(sent == Some(true) && answered.unwrap_or(Ok(false))?)
}

async fn ask(
    mut request: Head,
    upstream: SocketAddr,
) -> io::Result<(BufReader<OwnedReadHalf>, OwnedWriteHalf)> {
    let server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    let (from, mut to) = server.into_split();
    request.set("connection", "close");
    to.write_all(&request.bytes()).await?;
    Ok((BufReader::new(from), to))
}

fn answer_framing(answer: &Head) -> Framing {
    match answer.word(1) {
        "204" | "304" => Framing::Length(0),
        _ => answer.framing(Framing::Close),
    }
}

async fn spoil(
    client: &mut Client,
    request: Head,
    upstream: SocketAddr,
    fault: &Fault,
    shared: &Shared,
) -> io::Result<bool> {
    let framing = request.framing(Framing::Length(0));
    let mut answer = None;
    match fault.what {
        What::CutRequest(point) => {
            let length = if let Framing::Length(length) = framing { length } else { 1 };
            let (_from, mut to) = ask(request, upstream).await?;
            pass(&mut client.from, &mut to, framing, part(length, point)).await?;
        }
        What::Refuse => drop(shared.refusing.send_replace(true)),
        _ if fault.forwarded => {
            let (mut from, mut to) = ask(request, upstream).await?;
            pass(&mut client.from, &mut to, framing, u64::MAX).await?;
            let head = Head::read(&mut from).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let body = whole(&mut from, answer_framing(&head)).await?;
            answer = Some(Response { head, body });
        }
        // Reads the whole request before the answer.
        _ => drop(pass(&mut client.from, &mut tokio::io::sink(), framing, u64::MAX).await?),
    }
    for step in script(fault, answer.as_ref(), &shared.trap.url()) {
        match step {
            Step::Send(bytes) => client.to.write_all(&bytes).await?,
            Step::Pause => sleep(PAUSE).await,
            Step::Zeros(number) => zeros(&mut client.to, number).await?,
            Step::Chunks => loop {
                client.to.write_all(format!("{PIECE:x}\r\n").as_bytes()).await?;
                zeros(&mut client.to, PIECE as u64).await?;
                client.to.write_all(b"\r\n").await?;
            },
            Step::Silence => {
                let mut rest = [0; 64];
                while client.from.read(&mut rest).await? > 0 {}
                return Ok(false);
            }
            Step::Reset => {
                client.to.as_ref().set_zero_linger()?;
                return Ok(false);
            }
            Step::Close => {
                client.to.shutdown().await?;
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn zeros(to: &mut OwnedWriteHalf, number: u64) -> io::Result<()> {
    let piece = vec![0; PIECE];
    let mut left = number;
    while left > 0 {
        let length = left.min(PIECE as u64);
        to.write_all(&piece[..usize::try_from(length).unwrap_or(PIECE)]).await?;
        left -= length;
    }
    Ok(())
}

/// The number of bytes of a body up to this point.
fn part(length: u64, point: Point) -> u64 {
    match point {
        Point::Nothing | Point::Head => 0,
        Point::FirstByte => length.min(1),
        Point::Half => length / 2,
        Point::LastByte => length.saturating_sub(1),
    }
}
