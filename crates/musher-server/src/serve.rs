//! Listening: the owner's socket, and TCP for whoever shows the token.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::middleware;
use axum::serve::Listener;
use musher_engine::{Engine, Passes};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::app::{About, App};
use crate::http::Door;
use crate::hub::Hub;
use crate::rejected::Rejected;
use crate::sink::Sinks;
use crate::webhook::Webhooks;
use crate::{api, caller, routes, sys, tools};

/// How long the end waits for callers to take their answers.
const GRACE: Duration = Duration::from_secs(3);

/// Why nobody can be listened to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another daemon answers there.
    #[error("another daemon listens on `{}`", socket.display())]
    InUse {
        /// The socket.
        socket: PathBuf,
    },
    /// Something that is no socket has its name.
    #[error("`{}` is there and is no socket", socket.display())]
    NoSocket {
        /// What is in the way.
        socket: PathBuf,
    },
    /// The socket could not be made.
    #[error("`{}` cannot be listened on", socket.display())]
    Socket {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address could not be listened on.
    #[error("`{address}` cannot be listened on")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The token could not be read or made.
    #[error("the token in `{}` cannot be used", file.display())]
    Token {
        /// Its file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ServeError {
    /// How to fix it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "`musher down` stops it",
            Self::NoSocket { .. } => "move it away",
            Self::Socket { .. } => "make its folder writable for this user",
            Self::Address { .. } => "choose another with `--listen`, or none at all",
            Self::Token { .. } => "remove the file, and a new token is made; it must be readable by its owner only",
        }
    }

    /// Why, where what could not be done is said already.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Address { source, .. } => source.to_string(),
            Self::Socket { source, .. } | Self::Token { source, .. } => format!("{self}: {source}"),
            Self::InUse { .. } | Self::NoSocket { .. } => self.to_string(),
        }
    }
}

/// The API of one engine, on as many listeners as are asked for.
pub struct Server {
    app: App,
    listening: JoinSet<()>,
    sockets: Vec<Socket>,
    /// What opens the tools, once they are served.
    passes: Option<Passes>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("sockets", &self.sockets).finish_non_exhaustive()
    }
}

impl Server {
    /// Nothing listens yet.
    pub fn new(engine: Engine, about: About) -> Self {
        Self { app: App::new(engine, about), listening: JoinSet::new(), sockets: Vec::new(), passes: None }
    }

    /// The sinks of the engine; none is at work until they are set.
    pub fn sinks(&self) -> Sinks {
        self.app.sinks().clone()
    }

    /// The door for webhooks of the forge; it is closed until their secret is set.
    pub fn webhooks(&self) -> Webhooks {
        self.app.webhooks().clone()
    }

    /// What is wrong with the configuration; nothing until it is set.
    pub fn rejected(&self) -> Rejected {
        self.app.rejected().clone()
    }

    /// The door of a hub; it is closed until its tokens are set.
    pub fn hub(&self) -> Hub {
        self.app.hub().clone()
    }

    /// Trims transcripts past their retention, now and as time passes, until the daemon stops.
    pub fn keep_retention(&mut self) {
        self.listening.spawn(crate::retention::watch(self.app.clone()));
    }

    /// Listens on a socket for its owner only. A socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// [`ServeError::InUse`] when someone does.
    pub async fn serve_socket(&mut self, path: &Path) -> Result<(), ServeError> {
        let (listener, socket) = bind(path).await?;
        let runs = self.app.engine().paths().runs();
        let router = routes::router(self.app.clone()).merge(routes::doors(self.app.clone()));
        let router = router.layer(middleware::from_fn(caller::of_socket));
        let service = router.into_make_service_with_connect_info::<caller::Peer>();
        let serving = axum::serve(Guarded { listener, runs }, service).with_graceful_shutdown(closed(&self.app));
        self.listening.spawn(async move { ended(serving.await) });
        info!(socket = %path.display(), "listening");
        self.sockets.push(socket);
        Ok(())
    }

    /// Listens on an address for whoever shows the token in the file, which is made when there is none.
    ///
    /// Whoever shows it is an operator, but for the agents of this machine: they may read and nothing else, as at the
    /// socket. (Where the system does not tell whose a connection is, an agent that can read the token is an operator.)
    pub async fn serve_tcp(&mut self, address: SocketAddr, token_file: &Path) -> Result<SocketAddr, ServeError> {
        let opened = self.door(address, token_file).open().await?;
        let bound = opened.address;
        self.listening.spawn(opened.serve());
        Ok(bound)
    }

    /// The same, but whatever is in the way may go: the address is tried again, after 1 s and at most every 30 s, until it can
    /// be listened on or the server ends. [`Server::http`] says how it stands.
    pub async fn keep_serving_tcp(&mut self, address: SocketAddr, token_file: &Path) {
        let door = self.door(address, token_file);
        match door.open().await {
            Ok(opened) => self.listening.spawn(opened.serve()),
            Err(error) => {
                warn!(error = error.reason(), %address, "not listening on TCP; it is tried again");
                self.listening.spawn(door.keep_open())
            }
        };
    }

    fn door(&self, address: SocketAddr, token_file: &Path) -> Door {
        Door { app: self.app.clone(), passes: self.passes.clone(), address, token_file: token_file.to_owned() }
    }

    /// Where it listens over TCP, or why it does not; nothing when it is not to.
    pub fn http(&self) -> Option<api::Http> {
        self.app.http().get()
    }

    /// Listens on a socket for the agents of running runs; what they may do there are musher's tools. Their path over TCP
    /// is there as well from then on.
    ///
    /// # Errors
    /// [`ServeError::InUse`] when someone does.
    pub async fn serve_tools(&mut self, path: &Path, passes: Passes) -> Result<(), ServeError> {
        let (listener, socket) = bind(path).await?;
        let runs = self.app.engine().paths().runs();
        let of_pass = middleware::from_fn_with_state(passes.clone(), tools::of_socket);
        let service =
            tools::router(self.app.clone()).layer(of_pass).into_make_service_with_connect_info::<caller::Peer>();
        let serving = axum::serve(Guarded { listener, runs }, service).with_graceful_shutdown(closed(&self.app));
        self.listening.spawn(async move { ended(serving.await) });
        self.sockets.push(socket);
        self.passes = Some(passes);
        Ok(())
    }

    /// Waits until a caller has asked for the end of the daemon.
    pub async fn stop_wished(&self) {
        // The sender lives as long as `self`.
        let _ = self.app.wished().wait_for(|wished| *wished).await;
    }

    /// Takes no new requests, ends the streams and the sinks, answers what was asked, and removes the socket.
    pub async fn stop(mut self) {
        self.app.close();
        let sinks = self.app.sinks().clone();
        let all = async { while self.listening.join_next().await.is_some() {} };
        let (in_time, ()) = tokio::join!(tokio::time::timeout(GRACE, all), sinks.stop());
        if in_time.is_err() {
            // Someone does not read their answer; what they asked for is on disk.
            self.listening.shutdown().await;
        }
        self.app.readers().close();
    }
}

/// Ends when the server is to end.
pub(crate) fn closed(app: &App) -> impl Future<Output = ()> + Send + 'static {
    let mut closing = app.closing();
    async move {
        let _ = closing.wait_for(|closing| *closing).await;
    }
}

pub(crate) fn ended(served: io::Result<()>) {
    if let Err(error) = served {
        warn!(%error, "a listener failed");
    }
}

/// A listener that tells every connection which runs there are.
pub(crate) struct Guarded {
    listener: UnixListener,
    runs: PathBuf,
}

/// Where a connection comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The folder of run folders.
    pub(crate) runs: PathBuf,
}

impl Listener for Guarded {
    type Io = UnixStream;
    type Addr = Origin;

    async fn accept(&mut self) -> (UnixStream, Origin) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        (stream, Origin { runs: self.runs.clone() })
    }

    fn local_addr(&self) -> io::Result<Origin> {
        Ok(Origin { runs: self.runs.clone() })
    }
}

/// A listener whose answers go out at once, however small: someone waits for each.
pub(crate) struct Tcp(pub(crate) TcpListener);

impl Listener for Tcp {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true);
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A socket of ours in the file system; it goes when we go.
#[derive(Debug)]
struct Socket {
    path: PathBuf,
    file: (u64, u64),
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Only our own: someone else's may have taken its place.
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Binds a socket that only its owner can open, at no moment anyone else, and puts it in its place in one step.
async fn bind(path: &Path) -> Result<(UnixListener, Socket), ServeError> {
    make_room(path).await?;
    let failed = |source| ServeError::Socket { socket: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    let mut draft = name.to_owned();
    draft.push(format!(".{}", std::process::id()));
    let folder = path.with_file_name(draft);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
    let bound = bind_in(&folder, path);
    let _ = std::fs::remove_dir_all(&folder);
    bound.map_err(failed)
}

fn bind_in(folder: &Path, path: &Path) -> io::Result<(UnixListener, Socket)> {
    let draft = folder.join("s");
    let (address, _open) = sys::socket_address(&draft)?;
    let listener = UnixListener::bind(address)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))?;
    let file = identity(&draft)?;
    std::fs::rename(&draft, path)?;
    Ok((listener, Socket { path: path.to_owned(), file }))
}

/// Whatever has the socket's name must be a socket that nobody listens on.
async fn make_room(path: &Path) -> Result<(), ServeError> {
    let socket = path.to_owned();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ServeError::Socket { socket, source }),
        Ok(file) if !std::os::unix::fs::FileTypeExt::is_socket(&file.file_type()) => {
            return Err(ServeError::NoSocket { socket });
        }
        Ok(_) => {}
    }
    let (address, _open) = match sys::socket_address(path) {
        Ok(found) => found,
        Err(source) => return Err(ServeError::Socket { socket, source }),
    };
    match UnixStream::connect(address).await {
        Ok(_) => Err(ServeError::InUse { socket }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(ServeError::Socket { socket, source }),
    }
}
