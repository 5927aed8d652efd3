//! Whatever bytes a client sends as a check, customs answers with a gRPC error or with a whole
//! answer. It never sends a message without a status, which Envoy would take for an allow.

use customs_test_support::audited_server::{Server, check};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use prost::Message;

use crate::connection::{Connection, Outcome};

/// How many messages are sent.
const MESSAGES: u64 = 3000;

/// A source of numbers that is the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// Changes a message: bits, bytes, its end, or parts that come twice.
fn mutated(message: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..=numbers.below(2) {
        let at = numbers.below(bytes.len());
        match numbers.below(16) {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_within(at..),
            2 => bytes.insert(at, u8::try_from(numbers.below(256)).unwrap()),
            3 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ if !bytes.is_empty() => bytes[at] ^= 1 << numbers.below(8),
            _ => {}
        }
    }
    bytes
}

#[test]
fn every_answer_has_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--audit=off"]);
    let mut connection = Connection::open(server.port).unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let originals = ["api.example", "www.aliyun.com"].map(|host| check(host).encode_to_vec());
    let (mut allows, mut denials, mut errors) = (0, 0, 0);
    for number in 0..MESSAGES {
        let original = &originals[usize::from(number % 2 == 0)];
        let bytes = match number {
            0 => Vec::new(),
            _ => mutated(original, &mut numbers),
        };
        match connection.call(&bytes).unwrap() {
            Outcome::Refused(_) => errors += 1,
            Outcome::Answered(response) => {
                let code = response.status.as_ref().expect("a status").code;
                match (code, &response.http_response) {
                    (0, Some(HttpResponse::OkResponse(_))) => allows += 1,
                    (7, Some(HttpResponse::DeniedResponse(denied))) => {
                        let status = denied.status.as_ref().expect("an HTTP status").code;
                        assert!((400..=599).contains(&status), "{bytes:?}: {response:?}");
                        denials += 1;
                    }
                    _ => panic!("{bytes:?}: {response:?}"),
                }
            }
        }
    }
    println!("{allows} allows, {denials} denials, {errors} errors");
    assert!(
        allows > 50 && denials > 50 && errors > 50,
        "all of them are tried"
    );
    assert_eq!(
        server.metric("customs_decisions_total", ""),
        allows + denials
    );
    drop(connection);
    assert_eq!(server.stop(), Some(0));
}
