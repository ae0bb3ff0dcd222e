//! A relay between guest and host that can cut what passes through it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread;

pub(crate) struct Proxy {
    pub(crate) address: String,
    /// Connections that were made through it.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Bytes that may still pass before connections are cut; without end where negative.
    pub(crate) left: Arc<AtomicI64>,
    /// Whether the next bytes from the host are swallowed, and their connection is cut.
    pub(crate) cut_reply: Arc<AtomicBool>,
}

impl Proxy {
    /// A relay to `host` (`tcp:<host>:<port>`).
    pub(crate) fn new(host: &str) -> Self {
        let host = host.trim_start_matches("tcp:").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp:{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let left = Arc::new(AtomicI64::new(-1));
        let cut_reply = Arc::new(AtomicBool::new(false));
        let never = Arc::new(AtomicBool::new(false));
        let (count, limit) = (Arc::clone(&connections), Arc::clone(&left));
        let cut = Arc::clone(&cut_reply);
        let accept = move || {
            for guest in listener.incoming() {
                // The host may have ended before the relay.
                let Ok(host) = TcpStream::connect(&host) else {
                    continue;
                };
                let guest = guest.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let (near, far) = (guest.try_clone().unwrap(), host.try_clone().unwrap());
                relay(near, far, &limit, &never);
                relay(host, guest, &limit, &cut);
            }
        };
        named("relay-accept", accept);
        Self {
            address,
            connections,
            left,
            cut_reply,
        }
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, left: &Arc<AtomicI64>, cut: &Arc<AtomicBool>) {
    let (left, cut) = (Arc::clone(left), Arc::clone(cut));
    let carry = move || {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut bytes).unwrap_or(0);
            let before = left.load(Ordering::Relaxed);
            let is_cut = before >= 0 && {
                let spent = left.fetch_sub(read as i64, Ordering::Relaxed);
                // Once the bytes are spent, further connections pass.
                spent <= read as i64
            };
            let is_cut = is_cut || (read > 0 && cut.swap(false, Ordering::Relaxed));
            if is_cut {
                left.store(-1, Ordering::Relaxed);
            }
            if read == 0 || is_cut || to.write_all(&bytes[..read]).is_err() {
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    };
    named("relay", carry);
}

/// A thread of its own, which ends with what it carries.
fn named(name: &str, run: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name(name.to_owned());
    drop(thread.spawn(run).unwrap());
}
