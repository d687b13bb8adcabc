//! The end of a connection, as its client sees it.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    probe::{Stop, check, probes, same},
    socket::{Closed, Frame, Opening, PING, TEXT},
    target::{Session, Target},
};

probes! {
    "ws.close.client" Assumed RFC_6455
        "a client's close is answered with its code" => close_is_answered;
    "ws.close.client-no-code" Assumed RFC_6455
        "a client's close without a code is answered" => bare_close_is_answered;
    "ws.close.delete-1000" Captured BOTO3_3789
        "DELETE closes with 1000" => delete_closes;
    "ws.close.delete-after-posts" Assumed UNKNOWN
        "what was posted before DELETE comes before the close" => posts_come_before_the_close;
    "ws.close.idle-1001" Documented WS_OVERVIEW
        "an idle socket is closed with 1001 Going away" => idle_is_closed;
    "ws.close.idle-message" Captured HOTSOCK
        "a post keeps a socket from being idle" => post_is_traffic;
    "ws.close.idle-ping" Assumed UNKNOWN
        "pings do not keep a socket from being idle" => ping_is_no_traffic;
    "ws.close.duration-1001" Documented WS_OVERVIEW
        "a socket of the longest duration is closed with 1001 Going away" => old_is_closed;
}

async fn close_is_answered(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, .. } = target.session().await?;
    socket.close(Some(4001), "bye").await?;
    same("the code", socket.closed().await?.code, Some(4001))
}

async fn bare_close_is_answered(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, .. } = target.session().await?;
    socket.close(None, "").await?;
    socket.closed().await.map(drop)
}

async fn delete_closes(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, id } = target.session().await?;
    same("the status", target.manage("DELETE", &id, "").await?.status, 204)?;
    same("the code", socket.closed().await?.code, Some(1000))
}

async fn posts_come_before_the_close(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, id } = target.session().await?;
    target.post(&id, "last words").await?;
    same("the status", target.manage("DELETE", &id, "").await?.status, 204)?;
    same("the message", socket.message().await?, "last words")
}

/// What is added to the target's times before it is too late, as AWS itself takes some seconds.
const SLACK: Duration = Duration::from_secs(10);

fn idle_timeout(target: &Target) -> Result<Duration, Stop> {
    target.idle_timeout.ok_or_else(|| Stop::skipped("needs --idle-timeout"))
}

fn going_away() -> Closed {
    Closed { code: Some(1001), reason: "Going away".to_owned() }
}

async fn idle_is_closed(target: &Target) -> Result<(), Stop> {
    let idle_timeout = idle_timeout(target)?;
    let mut socket = target.socket(&Opening::default()).await?;
    let start = Instant::now();
    same("the close", socket.closed_within(idle_timeout + SLACK).await?, going_away())?;
    let after = start.elapsed();
    // The target's clock began a little before this one.
    check(after > idle_timeout.mul_f64(0.8), || format!("it came after {after:?}"))
}

async fn post_is_traffic(target: &Target) -> Result<(), Stop> {
    let idle_timeout = idle_timeout(target)?;
    let Session { mut socket, id } = target.session().await?;
    let start = Instant::now();
    while start.elapsed() < idle_timeout.mul_f64(1.5) {
        tokio::time::sleep(idle_timeout / 4).await;
        target.post(&id, "still there?").await?;
        same("the message", socket.message().await?, "still there?")?;
    }
    Ok(())
}

async fn ping_is_no_traffic(target: &Target) -> Result<(), Stop> {
    let idle_timeout = idle_timeout(target)?;
    let mut socket = target.socket(&Opening::default()).await?;
    let start = Instant::now();
    while start.elapsed() < idle_timeout + SLACK {
        // A write may fail when the target has closed; what it said is read first.
        let pause = timeout(idle_timeout / 4, socket.closed_within(idle_timeout + SLACK));
        if let Ok(closed) = pause.await {
            return same("the close", closed?, going_away());
        }
        socket.send(Frame::new(PING, "")).await?;
    }
    Err(Stop::differs("it stays open"))
}

async fn old_is_closed(target: &Target) -> Result<(), Stop> {
    let max = target.max_duration.ok_or_else(|| Stop::skipped("needs --max-duration"))?;
    let mut socket = target.socket(&Opening::default()).await?;
    let pause = target.idle_timeout.map_or(Duration::from_mins(5), |idle_timeout| idle_timeout / 4);
    let start = Instant::now();
    while start.elapsed() < max + SLACK {
        // It is busy all the time.
        if let Ok(closed) = timeout(pause, socket.closed_within(max + SLACK)).await {
            same("the close", closed?, going_away())?;
            let after = start.elapsed();
            return check(after > max.mul_f64(0.8), || format!("it came after {after:?}"));
        }
        socket.send(Frame::new(TEXT, r#"{"script":{}}"#)).await?;
    }
    Err(Stop::differs("it stays open"))
}
