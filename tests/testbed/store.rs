//! A store of objects for one test: versitygw on this machine, which speaks S3 and keeps each object as a file.
//!
//! ```text
//!   folder/buckets/<bucket>/<key>    the objects: read and changed by tests behind the server's back
//!          meta/                     what the server notes of them
//!          log                       what it says
//! ```
//! It goes, with all that it holds, when it is dropped; what a killed test left, the next store removes.

mod bucket;
#[cfg(test)]
mod client;
pub(crate) mod leftovers;
#[cfg(test)]
mod tests;

use crate::progress::Progress;
use crate::toolchain::{GATEWAY, short_hex};
use anyhow::{Context, Result, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, OnceCell};

pub use bucket::Bucket;

/// It needs a tenth of a second; a machine under load may need far more.
const START: Duration = Duration::from_secs(20);

/// A running store; killed when dropped, and by the kernel when the test process dies.
#[derive(Debug)]
pub struct Store {
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    pub keys: Keys,
    authority: Option<String>,
    server: Mutex<Option<Child>>,
}

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub access: String,
    pub secret: String,
}

/// How it is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    Plain,
    /// With a certificate by an authority of its own.
    Encrypted,
}

impl Store {
    /// Starts one at an address of this machine: [`HOST_IP`](crate::layout::HOST_IP) is the one that pods of the testbed reach. Its
    /// program is built if nobody has: two minutes, once a machine.
    ///
    /// # Errors
    /// When it cannot be built, or does not start.
    pub async fn start(ip: IpAddr, traffic: Traffic) -> Result<Self> {
        let program = Self::build().await?;
        leftovers::sweep();
        let folder = tempfile::Builder::new().prefix(&leftovers::prefix()?).tempdir()?;
        for part in ["buckets", "meta"] {
            fs::create_dir(folder.path().join(part))?;
        }
        let authority = match traffic {
            Traffic::Plain => None,
            Traffic::Encrypted => Some(certify(folder.path(), ip)?),
        };
        let keys = Keys { access: draw()?, secret: draw()? + &draw()? };
        let address = SocketAddr::new(ip, free_port(ip)?);
        let store = Self { program, folder, address, keys, authority, server: Mutex::default() };
        store.come_back().await?;
        Ok(store)
    }

    async fn build() -> Result<PathBuf> {
        static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
        let build =
            || async { tokio::task::spawn_blocking(|| GATEWAY.ready(&Progress::start().follow(GATEWAY.name))).await? };
        Ok(BUILT.get_or_try_init(build).await?.join("versitygw"))
    }

    /// Where it is, as a URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Certificate of the authority that its own is by, as PEM; none where its traffic is plain.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// A bucket, made if there is none.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        Bucket::in_folder(self.folder.path().join("buckets").join(name))
    }

    /// Stops it at once: who asks it is refused a connection. What it holds stays.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub async fn go_away(&self) -> Result<()> {
        let mut server = self.server.lock().await.take().context("the store is away")?;
        ensure!(server.try_wait()?.is_none(), "the store had ended by itself:\n{}", self.log());
        Ok(server.kill().await?)
    }

    /// Starts it again as it was.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn come_back(&self) -> Result<()> {
        let mut server = self.server.lock().await;
        ensure!(server.is_none(), "the store is not away");
        let mut child = self.spawn()?;
        self.answers(&mut child).await?;
        *server = Some(child);
        Ok(())
    }

    fn spawn(&self) -> Result<Child> {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
        command.arg(self.folder.path()).arg(self.address.to_string());
        if self.authority.is_some() {
            command.args(["tls.crt", "tls.key"].map(|file| self.folder.path().join(file)));
        }
        command.env_clear().envs([("STORE_ACCESS_KEY", &self.keys.access), ("STORE_SECRET_KEY", &self.keys.secret)]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        command.spawn().with_context(|| format!("start {}", self.program.display()))
    }

    async fn answers(&self, child: &mut Child) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("the store ended ({status}):\n{}", self.log());
            }
            ensure!(started.elapsed() < START, "the store does not answer at {}:\n{}", self.address, self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Writes a certificate for this address and its key, and returns the certificate of their authority.
fn certify(folder: &Path, ip: IpAddr) -> Result<String> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let root = params.self_signed(&key)?.pem();
    let authority = Issuer::new(params, key);
    let mut leaf = CertificateParams::new([ip.to_string()])?;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    fs::write(folder.join("tls.crt"), leaf.signed_by(&key, &authority)?.pem())?;
    fs::write(folder.join("tls.key"), key.serialize_pem())?;
    Ok(root)
}

/// A port that nobody has now. Somebody could take it before the store does; then it says so and ends.
fn free_port(ip: IpAddr) -> Result<u16> {
    let listener = TcpListener::bind((ip, 0)).with_context(|| format!("listen at {ip}"))?;
    Ok(listener.local_addr()?.port())
}

/// Sixteen hexadecimal digits at random.
fn draw() -> Result<String> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).ok().context("draw random bytes")?;
    Ok(short_hex(&bytes))
}
