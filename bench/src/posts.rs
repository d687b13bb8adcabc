//! What one post of a fan-out costs its function: the AWS SDK as the functions use it, beside plain HTTP. `post`.

use std::{
    net::SocketAddr,
    process::{Stdio, id},
};

use clap::{Args, ValueEnum};
use futures_util::future::try_join_all;
use hyper::{Request, client::conn::http1::handshake};
use hyper_util::rt::TokioIo;
use report::Row;
use shared::{
    clock::Clock,
    management::{Delivery, Management, Post},
    settings::{Lookup, Settings},
};
use tokio::net::TcpStream;

use crate::{Failure, OF_LAMBDA, Plan, process, process::Process, program};

/// A frame of the usual length.
const FRAME: &str = r#"{"type":"message","id":17,"username":"alice","text":"A message of about the usual length, which has the number 17","sent_at":"2026-11-23T10:15:43.377Z"}"#;

/// Posts many frames to a server, and prints what one has cost in microseconds of processor time: in a process of its own, so
/// that the server's isn't in it.
#[derive(Args)]
pub(crate) struct Posts {
    way: Way,
    to: SocketAddr,
    count: usize,
}

/// How to post.
#[derive(Clone, Copy, ValueEnum)]
enum Way {
    Sdk,
    Http,
}

impl Posts {
    /// # Errors
    /// When a post fails.
    pub(crate) async fn run(&self) -> Result<(), Failure> {
        let connections = self.connections()?;
        let posts: Vec<Post> = (0..self.count)
            .map(|number| Post {
                connection_id: format!("L{number:07}AAAAAAA="),
                frame: FRAME.as_bytes().into(),
            })
            .collect();
        // The first ones open connections.
        let (first, rest) = posts.split_at(self.count / 10);
        let mut before = 0.0;
        for posts in [first, rest] {
            before = process::cpu_seconds(id())?;
            match self.way {
                Way::Sdk => {
                    let deliveries = connections.post_all(posts).await;
                    if deliveries.iter().any(|delivery| *delivery != Delivery::Sent) {
                        return Err("a post failed".into());
                    }
                }
                Way::Http => self.post_plainly(posts).await?,
            }
        }
        let used = process::cpu_seconds(id())? - before;
        crate::tell(&format!("{}", used * 1e6 / crate::to_f64(rest.len())))
    }

    fn connections(&self) -> Result<shared::management::Connections, Failure> {
        let endpoint = format!("http://{}/ws", self.to);
        let lookup = Lookup::from_fn(move |name| match name {
            "CONNECTIONS_ENDPOINT" => Some(endpoint.clone()),
            "DATABASE_URL" => Some("sqlite://unused.db".to_owned()),
            _ => {
                let of_lambda = OF_LAMBDA.into_iter().find(|(other, _)| *other == name);
                of_lambda.map(|(_, value)| value.to_owned())
            }
        });
        Ok(Settings::new(lookup, Clock::system(), 1)?.management()?.client()?)
    }

    /// As many connections as the functions have, and a request after the other in each.
    async fn post_plainly(&self, posts: &[Post]) -> Result<(), Failure> {
        let share = posts.len().div_ceil(Management::DEFAULT_CONCURRENCY);
        try_join_all(posts.chunks(share).map(async |posts| {
            let stream = TcpStream::connect(self.to).await?;
            stream.set_nodelay(true)?;
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            for Post { connection_id, frame } in posts {
                let request = Request::post(format!("/ws/@connections/{connection_id}"))
                    .header("host", "bench")
                    .body(String::from_utf8_lossy(frame).into_owned())?;
                sender.ready().await?;
                if !sender.send_request(request).await?.status().is_success() {
                    return Err("a post failed".into());
                }
            }
            Ok::<_, Failure>(())
        }))
        .await?;
        Ok(())
    }
}

/// Measures both ways in turns.
///
/// # Errors
/// When a post fails.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let (_sink, address) = Process::serve(program()?.arg("sink"))?;
    let count = plan.of(20_000, 1000).to_string();
    let micros = |way: &str| -> Result<f64, Failure> {
        let to = address.to_string();
        let output =
            program()?.args(["posts", way, &to, &count]).stderr(Stdio::inherit()).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    let (mut sdk, mut http) = (Vec::new(), Vec::new());
    for _ in 0..plan.of(5, 1) {
        http.push(micros("http")?);
        sdk.push(micros("sdk")?);
    }
    let row = Row::new("post", "processor time of a post by the AWS SDK", "µs", &sdk);
    Ok(vec![row.against("unsigned HTTP", &sdk, &http)])
}
