//! Sockets alone: a thread for each connection, which waits in a read, finds the end of a check
//! among the frames, and writes an answer that was put together once.
//!
//! It does not serve HTTP/2: it reads no header, window or error. It shows what the system takes for
//! waking a thread and for moving a check's bytes there and back, which no server can avoid.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::Result;
use prost::Message;

use super::hyper_framed::framed;
use crate::frames::{
    self, DATA, END_HEADERS, END_STREAM, HEADERS, MORE_WINDOW, PREFACE, SETTINGS, WINDOW_UPDATE,
};

const BUFFER: usize = 64 << 10;

/// Serves connections until there are no more.
pub(super) fn serve(listener: &TcpListener) -> Result<()> {
    let answer = framed(&super::allow().encode_to_vec())?;
    for stream in listener.incoming() {
        let (stream, answer) = (stream?, answer.clone());
        stream.set_nodelay(true)?;
        thread::spawn(move || {
            // A connection that breaks shows in the load's failed requests.
            let _ = answer_checks(&stream, &answer);
            // A thread that ends takes its CPU time with it.
            loop {
                thread::park();
            }
        });
    }
    Ok(())
}

fn answer_checks(mut stream: &TcpStream, answer: &[u8]) -> io::Result<()> {
    let mut beginning = Vec::new();
    frames::write((SETTINGS, 0, 0, &[]), &mut beginning);
    let window = MORE_WINDOW.to_be_bytes();
    frames::write((WINDOW_UPDATE, 0, 0, &window), &mut beginning);
    stream.write_all(&beginning)?;
    stream.read_exact(&mut [0; PREFACE.len()])?;
    let (mut buffer, mut held, mut out) = (vec![0; BUFFER], 0, Vec::new());
    loop {
        let read = stream.read(buffer.get_mut(held..).unwrap_or_default())?;
        if read == 0 {
            return Ok(());
        }
        held += read;
        let mut rest = buffer.get(..held).unwrap_or_default();
        while let Some((kind, flags, stream, _)) = frames::next(&mut rest) {
            if kind == DATA && flags & END_STREAM != 0 {
                write_answer(stream, answer, &mut out);
            }
        }
        let begun = held - rest.len();
        buffer.copy_within(begun..held, 0);
        held -= begun;
        stream.write_all(&out)?;
        out.clear();
    }
}

fn write_answer(stream: u32, answer: &[u8], out: &mut Vec<u8>) {
    // `:status: 200` of the static table, and `content-type` with its name from there.
    let mut head = vec![0x88, 0x0f, 0x10];
    frames::text("application/grpc", &mut head);
    frames::write((HEADERS, END_HEADERS, stream, &head), out);
    frames::write((DATA, 0, stream, answer), out);
    let mut trailers = vec![0x00];
    frames::text("grpc-status", &mut trailers);
    frames::text("0", &mut trailers);
    frames::write((HEADERS, END_HEADERS | END_STREAM, stream, &trailers), out);
}
