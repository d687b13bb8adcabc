//! The server: a listener on one port, the gateway behind it, and an orderly end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, lookup_host},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use crate::port_holder::PortHolder;
use crate::{Gateway, Invoker, RunningGateway, http1};

/// A port that is taken, but not served yet: functions are built with the address at which they can reach the gateway.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why a port could not be taken, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The host has no address.
    #[error("the host {host:?} has no address ({source}); name another with --host")]
    UnknownHost {
        /// The host as it was given.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Another program has the port.
    #[error(
        "port {port} on {host} is {}, or choose another port with --port (0 picks a free one)",
        taken(.holder.as_ref())
    )]
    PortInUse {
        /// The host as it was given.
        host: String,
        /// The port.
        port: u16,
        /// Which program that is, if it can be known.
        holder: Option<PortHolder>,
    },
    /// The port cannot be taken for another reason.
    #[error(
        "cannot listen on port {port} of {host} ({source}); choose others with --host and --port"
    )]
    Refused {
        /// The host as it was given.
        host: String,
        /// The port.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
}

/// By whom a port is taken, and what to do about them.
fn taken(holder: Option<&PortHolder>) -> String {
    match holder {
        Some(holder) => format!("taken by {holder}; stop it"),
        None => "in use; stop the program that has it".to_owned(),
    }
}

impl Bound {
    /// Takes `port` on `host`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the host is unknown or the port cannot be taken.
    pub async fn to(host: &str, port: u16) -> Result<Self, BindError> {
        let addresses: Vec<_> = match lookup_host((host, port)).await {
            Ok(addresses) => addresses.collect(),
            Err(source) => return Err(BindError::UnknownHost { host: host.to_owned(), source }),
        };
        let refused = |source: io::Error| {
            let host = host.to_owned();
            if source.kind() == io::ErrorKind::AddrInUse {
                BindError::PortInUse { host, port, holder: PortHolder::of(&addresses) }
            } else {
                BindError::Refused { host, port, source }
            }
        };
        let listener = TcpListener::bind(&*addresses).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// Where the gateway will be.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `gateway` from now on.
    pub fn serve(self, gateway: Gateway) -> Server {
        let tls = gateway.tls.clone().map(TlsAcceptor::from);
        let gateway = RunningGateway::new(gateway);
        let stop = CancellationToken::new();
        let (working, ending) = (Arc::clone(&gateway), stop.clone());
        tokio::spawn(async move { ending.run_until_cancelled(working.courier.work()).await });
        let serving =
            tokio::spawn(http1::serve(self.listener, gateway.router(), tls, stop.clone()));
        Server { address: self.address, gateway, stop, serving }
    }
}

/// A gateway that is being served.
pub struct Server {
    address: SocketAddr,
    gateway: Arc<RunningGateway>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Server {
    /// Where the gateway is.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What invokes functions as the gateway does.
    pub fn invoker(&self) -> Invoker {
        self.gateway.invoker.clone()
    }

    /// Ends in order and within five seconds: sockets are closed with 1001 and have their `$disconnect`, other
    /// invocations end, then their answers are sent. Functions can post to connections until the last of them has ended.
    pub async fn shutdown(mut self) {
        self.gateway.close(Duration::from_millis(3500)).await;
        self.stop.cancel();
        // What is left are requests that clients have not finished sending, or answers that they do not read.
        if timeout(Duration::from_secs(1), &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}
