//! Addresses as people write them, and what is bound for them.

use tokio::net::TcpStream;

use super::*;

#[test]
fn addresses_are_tcp_or_unix() {
    for (text, shown) in [
        ("127.0.0.1:9191", "127.0.0.1:9191"),
        ("[::1]:0", "[::1]:0"),
        ("localhost:9191", "localhost:9191"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("unix:///run/x.sock", "unix:/run/x.sock"),
        ("unix:x.sock", "unix:x.sock"),
        ("unix:/run/x.sock?mode=0600&peers=5", "unix:/run/x.sock"),
    ] {
        assert_eq!(
            text.parse::<Address>().map(|a| a.to_string()),
            Ok(shown.to_owned())
        );
    }
    for text in [
        "",
        "9191",
        ":9191",
        "localhost",
        "localhost:http",
        "localhost:70000",
        "unix:",
        "unix:/x?mode=x",
    ] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let unix = Address::Unix(UnixAddress::at(dir.path().join("c.sock")));
    for address in [
        Address::Tcp("127.0.0.1:0".into()),
        Address::Tcp("localhost:0".into()),
        unix,
    ] {
        let reserved = address.reserve().await.unwrap();
        let local: Address = reserved.local().parse().unwrap();
        let connects = async || match &local {
            Address::Tcp(local) => TcpStream::connect(local).await.map(drop),
            Address::Unix(unix) => UnixStream::connect(&unix.path).await.map(drop),
        };
        assert_eq!(
            connects().await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused,
            "{local}"
        );
        let listener = reserved.open().unwrap();
        assert_eq!(listener.local(), local.to_string());
        connects().await.unwrap();
        assert!(
            matches!(local.bind().await, Err(BindError::InUse { .. })),
            "{local}"
        );
    }
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.sock");
    let address = Address::Unix(UnixAddress::at(&path));
    let live = address.bind().await.unwrap();
    assert!(matches!(address.bind().await, Err(BindError::InUse { .. })));
    drop(live);
    assert!(!path.exists());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    address.bind().await.unwrap();
    std::fs::write(&path, "x").unwrap();
    assert!(matches!(
        address.bind().await,
        Err(BindError::NotASocket { .. })
    ));
}

#[tokio::test]
async fn a_socket_has_its_mode_before_anything_can_connect() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o660, 0o666, 0o777] {
        let path = dir.path().join(format!("{mode:o}.sock"));
        let text = format!("unix:{}?mode={mode:04o}", path.display());
        let reserved = text.parse::<Address>().unwrap().reserve().await.unwrap();
        let found = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, mode, "whatever the umask is");
        let refused = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let _listener = reserved.open().unwrap();
        UnixStream::connect(&path).await.unwrap();
    }
}

#[tokio::test]
async fn a_socket_gets_its_owner_or_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.sock");
    let text = format!("unix:{}?owner=4242:4243&mode=0660", path.display());
    let bound = text.parse::<Address>().unwrap().bind().await;
    if rustix::process::geteuid().is_root() {
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4242, 4243));
    } else {
        assert!(matches!(bound, Err(BindError::Protect { .. })));
        assert!(!path.exists(), "what cannot be protected is removed");
    }
}
