//! Frames: what the WebSocket protocol asks of both sides.

use crate::{
    probe::{Stop, check, probes, same},
    socket::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT},
    target::{Session, Target},
};

probes! {
    "ws.frame.ping" Captured DART_13
        "a ping is answered with a pong, which is empty" => ping_is_answered;
    "ws.frame.ping-between-fragments" Assumed RFC_6455
        "a ping between the frames of a message is answered" => ping_between_fragments;
    "ws.frame.ping-no-event" Captured DART_13
        "no function hears of a ping" => ping_is_no_event;
    "ws.frame.pong-ignored" Assumed RFC_6455
        "a pong that nobody asked for is ignored" => pong_is_ignored;
    "ws.frame.outbound-text" Captured CAPTURED
        "what is posted comes as a text frame" => posts_are_text;
    "ws.frame.outbound-plain" Assumed RFC_6455
        "frames to the client are not masked and have no reserved bits" => posts_are_plain;
    "ws.frame.unmasked-1002" Assumed RFC_6455
        "a frame that is not masked closes with 1002"
        => async |target| closes(target, vec![Frame { is_masked: false, ..Frame::new(TEXT, "a") }], 1002).await;
    "ws.frame.reserved-bits-1002" Assumed RFC_6455
        "a frame with a reserved bit that was not negotiated closes with 1002"
        => async |target| closes(target, vec![Frame { reserved: 2, ..Frame::new(TEXT, "a") }], 1002).await;
    "ws.frame.unknown-opcode-1002" Assumed RFC_6455
        "a frame with an unknown opcode closes with 1002"
        => async |target| closes(target, vec![Frame::new(0x3, "a")], 1002).await;
    "ws.frame.lone-continuation-1002" Assumed RFC_6455
        "a continuation of nothing closes with 1002"
        => async |target| closes(target, vec![Frame::new(CONTINUATION, "a")], 1002).await;
    "ws.frame.interrupted-message-1002" Assumed RFC_6455
        "a message that begins within another closes with 1002"
        => async |target| closes(target, vec![Frame::begin(TEXT, "a"), Frame::new(TEXT, "b")], 1002).await;
    "ws.frame.fragmented-ping-1002" Assumed RFC_6455
        "a ping in fragments closes with 1002"
        => async |target| closes(target, vec![Frame::begin(PING, "a")], 1002).await;
    "ws.frame.long-ping-1002" Assumed RFC_6455
        "a ping of more than 125 bytes closes with 1002"
        => async |target| closes(target, vec![Frame::new(PING, vec![b'x'; 126])], 1002).await;
    "ws.frame.not-utf8-1007" Assumed RFC_6455
        "text that is not UTF-8 closes with 1007"
        => async |target| closes(target, vec![Frame::new(TEXT, *b"\xff")], 1007).await;
    "ws.frame.short-close-1002" Assumed RFC_6455
        "a close frame with half a code closes with 1002"
        => async |target| closes(target, vec![Frame::new(CLOSE, [3])], 1002).await;
    "ws.close.binary-1003" Documented WS_BINARY
        "a binary frame closes with 1003"
        => async |target| closes(target, vec![Frame::new(BINARY, "a")], 1003).await;
    "ws.close.frame-1009" Documented WS_QUOTAS
        "a frame of more than 32 KB closes with 1009"
        => async |target| closes(target, vec![Frame::new(TEXT, vec![b'x'; 32 * 1024 + 1])], 1009).await;
    "ws.close.message-1009" Documented WS_QUOTAS
        "a message of more than 128 KB closes with 1009"
        => async |target| closes(target, too_long(), 1009).await;
}

/// 128 KB in frames of 32 KB, and one byte.
fn too_long() -> Vec<Frame> {
    let mut frames = vec![Frame::begin(CONTINUATION, vec![b'x'; 32 * 1024]); 4];
    frames[0].opcode = TEXT;
    frames.push(Frame::new(CONTINUATION, "x"));
    frames
}

async fn closes(target: &Target, frames: Vec<Frame>, code: u16) -> Result<(), Stop> {
    let mut session = target.session().await?;
    session.socket.send_all(frames).await?;
    same("the code", session.socket.closed().await?.code, Some(code))
}

async fn ping_is_answered(target: &Target) -> Result<(), Stop> {
    let mut session = target.session().await?;
    session.socket.send(Frame::new(PING, "payload")).await?;
    let pong = Frame { is_masked: false, ..Frame::new(PONG, "") };
    same("the next frame", session.socket.frame().await?, pong)
}

async fn ping_between_fragments(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, .. } = target.session().await?;
    socket.send_all([Frame::begin(TEXT, "a"), Frame::new(PING, "")]).await?;
    same("the opcode", socket.frame().await?.opcode, PONG)?;
    socket.send(Frame::new(CONTINUATION, "b")).await?;
    let report = socket.message().await?;
    check(report.contains(r#""body":"ab""#), || format!("the report is {report}"))
}

async fn ping_is_no_event(target: &Target) -> Result<(), Stop> {
    let mut session = target.session().await?;
    session.socket.send(Frame::new(PING, "payload")).await?;
    same("the opcode", session.socket.frame().await?.opcode, PONG)?;
    session.barrier().await
}

async fn pong_is_ignored(target: &Target) -> Result<(), Stop> {
    let mut session = target.session().await?;
    session.socket.send(Frame::new(PONG, "payload")).await?;
    session.barrier().await
}

async fn posted(target: &Target) -> Result<Frame, Stop> {
    let Session { mut socket, id } = target.session().await?;
    target.post(&id, "caf\u{e9}").await?;
    socket.frame().await
}

async fn posts_are_text(target: &Target) -> Result<(), Stop> {
    let frame = posted(target).await?;
    same("the opcode", frame.opcode, TEXT)?;
    same("the payload", frame.payload, "caf\u{e9}".as_bytes())
}

async fn posts_are_plain(target: &Target) -> Result<(), Stop> {
    let frame = posted(target).await?;
    same("masked and reserved bits", (frame.is_masked, frame.reserved), (false, 0))
}
