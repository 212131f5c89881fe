//! Makes the loss of a remote device an error of this program.
//!
//! burn's client panics where its server vanishes, on whichever thread waits for an answer, and
//! waits for ever where the server hangs. Nothing that was going to be computed can be saved then,
//! and files are whole or not there, so the program says which device was lost and ends.

use std::{
    panic::{self, PanicHookInfo},
    process,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::Duration,
};

use super::address::{Address, PATIENCE};

/// Between two questions whether the servers are there.
const INTERVAL: Duration = Duration::from_secs(5);

/// After a panic: a server's port may close a moment after its connections.
const CLOSING: Duration = Duration::from_millis(300);

/// Servers whose devices are in use, and what to do when one is lost.
struct Watched {
    servers: Vec<Address>,
    after: &'static str,
}

static WATCHED: Mutex<Watched> =
    Mutex::new(Watched { servers: Vec::new(), after: "start the same command again" });

fn watched() -> MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says what a user can do after a device was lost, in words that follow "once it is back, ".
pub fn after_a_loss(words: &'static str) {
    watched().after = words;
}

/// Ends the program, with an error, when the server is lost.
pub(super) fn watch(server: &Address) {
    static STARTED: Once = Once::new();
    {
        let mut watched = watched();
        if !watched.servers.contains(server) {
            watched.servers.push(server.clone());
        }
    }
    STARTED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            end_if_lost();
            thread::sleep(CLOSING);
            end_if_lost();
            if is_of_burn(info) {
                let message = info.payload_as_str().unwrap_or("it gave no reason");
                let servers = list(&watched().servers);
                end(&format!("work on {servers} failed: {message}"));
            }
            before(info);
        }));
        thread::spawn(|| {
            loop {
                thread::sleep(INTERVAL);
                end_if_lost();
            }
        });
    });
}

/// Whether a panic comes from burn, which then says that a server refused what it was sent.
fn is_of_burn(info: &PanicHookInfo<'_>) -> bool {
    let file = info.location().map(|location| location.file()).unwrap_or_default();
    file.split(['/', '\\']).any(|part| part.starts_with("burn-"))
}

/// Ends the program where a server is lost, before an error is shown that would only follow from it.
pub fn end_if_lost() {
    let servers = watched().servers.clone();
    if let Some((server, reason)) = first_lost(&servers, PATIENCE) {
        let after = watched().after;
        end(&format!("lost the device remote:{server}: {reason}; once it is back, {after}"));
    }
}

/// The first server that does not answer, and why.
fn first_lost(servers: &[Address], patience: Duration) -> Option<(&Address, String)> {
    servers.iter().find_map(|server| Some((server, server.ask(patience).err()?)))
}

fn list(servers: &[Address]) -> String {
    servers.iter().map(|server| format!("remote:{server}")).collect::<Vec<_>>().join(", ")
}

/// Says it once, whichever threads notice, and ends the program.
fn end(message: &str) -> ! {
    static ENDING: Mutex<()> = Mutex::new(());
    // Never let go: a second thread waits here until the first has ended the program.
    let _ending = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
    eprintln!("error: {message}");
    process::exit(2)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_first_server_that_is_gone_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let gone = Address::from(listener.local_addr().expect("it is bound"));
        drop(listener);
        let lost = first_lost(std::slice::from_ref(&gone), PATIENCE);
        assert_eq!(lost, Some((&gone, "connection refused".to_owned())));
        assert_eq!(first_lost(&[], PATIENCE), None);
    }
}
