//! `customs.audit.v1.AuditService`: one stream for each subscriber, read from the ring at the
//! subscriber's own pace.
//!
//! It binds nothing and renders nothing except records of kind `lag`. The rules:
//!
//! - A subscription continues after the record that it names, or first reports what is gone.
//! - A record of kind `lag` is sent whatever the filter: it is not part of the stream and has
//!   neither number nor chain.
//! - The number of subscribers is bounded, and each holds one place in the ring and no record. Who
//!   serves the connection can ask which subscribers do not read ([`SubscriptionWatch`]).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};

use super::filter::RecordFilter;
use super::proto::audit_service_server::AuditService;
use super::ring::{Next, Ring};
use super::subscription_watch::{SubscriptionWatch, UnreadSince};
use customs_record::binary;
use customs_record::clock::now;
use customs_record::proto::{Record, TailRequest, TailResponse};
use customs_record::{Entry, LagEntry};

/// The most subscribers at the same time.
pub const MAX_SUBSCRIBERS: usize = 64;

/// How many records are examined in one poll without a match; then other tasks may run.
const LOOKS: usize = 512;

/// The service of one tail.
#[derive(Clone, Debug)]
pub struct Service {
    ring: Arc<Ring>,
    places: Arc<Semaphore>,
}

impl Service {
    /// Creates a service that reads this ring.
    pub fn new(ring: Arc<Ring>) -> Service {
        Service {
            ring,
            places: Arc::new(Semaphore::new(MAX_SUBSCRIBERS)),
        }
    }

    /// Begins a subscription.
    ///
    /// # Errors
    /// If the request cannot be served, or there are too many subscribers.
    pub fn subscribe(&self, request: TailRequest) -> Result<Subscriber, Status> {
        let TailRequest {
            filter,
            stream,
            after_sequence,
            from_start,
        } = request;
        let filter =
            RecordFilter::new(filter).map_err(|why| Status::invalid_argument(why.to_string()))?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "there are {MAX_SUBSCRIBERS} subscribers, which is the limit; try again later"
            ))
        })?;
        // Before the ring's extent is read, so that a record which arrives afterwards is not
        // missed.
        let changes = WatchStream::new(self.ring.changes());
        let extent = self.ring.extent();
        let wanted = if !stream.is_empty() && stream == extent.stream {
            if after_sequence >= extent.next {
                let last = extent.next - 1;
                let why = format!(
                    "after_sequence: stream {stream} has {last} records, and no record {after_sequence}"
                );
                return Err(Status::invalid_argument(why));
            }
            after_sequence + 1
        } else if !stream.is_empty() {
            // The stream of another process: everything of this one is new, and what is gone is
            // reported.
            1
        } else if after_sequence > 0 {
            return Err(Status::invalid_argument(
                "after_sequence: a number needs its stream; set `stream`",
            ));
        } else if from_start {
            extent.first
        } else {
            extent.next
        };
        Ok(Subscriber {
            ring: self.ring.clone(),
            filter,
            wanted,
            changes,
            unread: Arc::default(),
            _place: place,
        })
    }
}

#[tonic::async_trait]
impl AuditService for Service {
    type TailStream = Subscriber;

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Subscriber>, Status> {
        let watch = request.extensions().get::<SubscriptionWatch>().cloned();
        let subscriber = self.subscribe(request.into_inner())?;
        if let Some(watch) = watch {
            watch.add(&subscriber.unread);
        }
        Ok(Response::new(subscriber))
    }
}

/// The stream of one subscriber.
pub struct Subscriber {
    ring: Arc<Ring>,
    filter: RecordFilter,
    /// The number of the next record.
    wanted: u64,
    changes: WatchStream<()>,
    unread: Arc<UnreadSince>,
    _place: OwnedSemaphorePermit,
}

impl Stream for Subscriber {
    type Item = Result<TailResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // It is asked for the next record once the one before is on its way to the client.
        let polled = self.poll_record(context);
        self.unread.set(polled.is_ready());
        polled
    }
}

impl Subscriber {
    fn poll_record(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<TailResponse, Status>>> {
        for _ in 0..LOOKS {
            match self.ring.next(self.wanted) {
                Next::Record(kept) => {
                    self.wanted += 1;
                    if self.filter.selects(&kept.head) {
                        return Poll::Ready(Some(response(kept.head.sequence, &kept.message)));
                    }
                }
                Next::Missed(to) => {
                    let lag = lag(&self.ring.extent().stream, self.wanted, to);
                    self.wanted = to + 1;
                    return Poll::Ready(Some(lag));
                }
                Next::Wait => {
                    if ready!(Pin::new(&mut self.changes).poll_next(context)).is_none() {
                        return Poll::Ready(None);
                    }
                }
                Next::End => return Poll::Ready(None),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

fn response(sequence: u64, message: &[u8]) -> Result<TailResponse, Status> {
    let record = Record::decode(message);
    let record = record
        .map_err(|why| Status::internal(format!("record {sequence} cannot be read: {why}")))?;
    Ok(TailResponse {
        record: Some(record),
    })
}

/// Makes the record about records that a subscriber missed. It has no number: it is not part of the
/// stream.
fn lag(stream: &str, missed_from: u64, missed_to: u64) -> Result<TailResponse, Status> {
    let entry = Entry::Lag(
        LagEntry {
            time: now(),
            missed_from,
            missed_to,
        }
        .into(),
    );
    let mut message = Vec::new();
    binary::open(&entry, stream, 0, &mut message);
    response(0, &message)
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;
    use tonic::Code;

    use super::super::ring::tests::{delimited, numbered};
    use super::*;
    use customs_record::proto::Filter;

    const KEPT: usize = 5;

    /// A service whose ring keeps five records of stream `s`, and got `count` of them.
    fn service(count: u64) -> Service {
        let service = Service::new(Arc::new(Ring::with_limits(KEPT, usize::MAX)));
        push(&service, 1..=count);
        service
    }

    fn push(service: &Service, numbers: impl IntoIterator<Item = u64>) {
        let record = |number| {
            let host = if number % 2 == 0 {
                "even.example"
            } else {
                "odd.example"
            };
            Record {
                host: host.into(),
                ..numbered(number)
            }
        };
        service
            .ring
            .push_delimited(&delimited(numbers.into_iter().map(record)));
    }

    fn after(stream: &str, after_sequence: u64) -> TailRequest {
        TailRequest {
            stream: stream.into(),
            after_sequence,
            ..TailRequest::default()
        }
    }

    fn from_start() -> TailRequest {
        TailRequest {
            from_start: true,
            ..TailRequest::default()
        }
    }

    fn shown(response: Result<TailResponse, Status>) -> String {
        let record = response.unwrap().record.unwrap();
        match record.kind.as_str() {
            "lag" => {
                assert_eq!(
                    (
                        record.stream.as_str(),
                        record.sequence,
                        record.chain.as_str()
                    ),
                    ("s", 0, "")
                );
                format!("missed {}-{}", record.missed_from, record.missed_to)
            }
            _ => record.sequence.to_string(),
        }
    }

    /// Everything that a subscriber gets by the time the ring is closed.
    async fn all(service: &Service, request: TailRequest) -> Vec<String> {
        let subscriber = service.subscribe(request).unwrap();
        service.ring.close();
        subscriber.map(shown).collect().await
    }

    #[tokio::test]
    async fn a_subscription_begins_where_it_asks_to() {
        for (count, request, expected) in [
            (0, from_start(), &[][..]),
            (3, TailRequest::default(), &[]),
            (3, from_start(), &["1", "2", "3"]),
            (7, from_start(), &["3", "4", "5", "6", "7"]),
            (3, after("s", 0), &["1", "2", "3"]),
            (3, after("s", 2), &["3"]),
            (3, after("s", 3), &[]),
            (7, after("s", 2), &["3", "4", "5", "6", "7"]),
            (7, after("s", 1), &["missed 2-2", "3", "4", "5", "6", "7"]),
            (9, after("s", 0), &["missed 1-4", "5", "6", "7", "8", "9"]),
            (3, after("older", 1000), &["1", "2", "3"]),
            (
                7,
                after("older", 1000),
                &["missed 1-2", "3", "4", "5", "6", "7"],
            ),
        ] {
            assert_eq!(
                all(&service(count), request.clone()).await,
                expected,
                "{count} {request:?}"
            );
        }
    }

    #[tokio::test]
    async fn later_records_are_sent_as_they_come() {
        let service = service(2);
        let mut subscriber = service.subscribe(TailRequest::default()).unwrap();
        let reader = tokio::spawn(async move {
            let mut received = Vec::new();
            while let Some(response) = subscriber.next().await {
                received.push(shown(response));
            }
            received
        });
        for number in 3..=6 {
            tokio::task::yield_now().await;
            push(&service, [number]);
        }
        tokio::task::yield_now().await;
        service.ring.close();
        assert_eq!(reader.await.unwrap(), ["3", "4", "5", "6"]);
    }

    #[tokio::test]
    async fn a_slow_subscriber_gets_what_it_missed_reported_and_continues() {
        let service = service(1);
        let mut subscriber = service.subscribe(from_start()).unwrap();
        assert_eq!(shown(subscriber.next().await.unwrap()), "1");
        push(&service, 2..=10);
        assert_eq!(shown(subscriber.next().await.unwrap()), "missed 2-5");
        assert_eq!(shown(subscriber.next().await.unwrap()), "6");
        push(&service, 11..=12);
        service.ring.close();
        let rest: Vec<String> = subscriber.map(shown).collect().await;
        assert_eq!(rest, ["missed 7-7", "8", "9", "10", "11", "12"]);
    }

    #[tokio::test]
    async fn the_filter_selects_and_what_was_missed_is_reported_all_the_same() {
        let filter = Filter {
            hosts: vec!["even.example".into()],
            ..Filter::default()
        };
        let request = TailRequest {
            filter: Some(filter),
            ..after("s", 0)
        };
        assert_eq!(all(&service(9), request).await, ["missed 1-4", "6", "8"]);
    }

    #[tokio::test]
    async fn a_filter_that_nothing_passes_lets_others_run() {
        let service = Service::new(Arc::new(Ring::default()));
        push(&service, 1..=5000);
        let filter = Filter {
            hosts: vec!["none.example".into()],
            ..Filter::default()
        };
        let mut subscriber = service
            .subscribe(TailRequest {
                filter: Some(filter),
                ..from_start()
            })
            .unwrap();
        let mut looks = 0;
        std::future::poll_fn(|context| {
            looks += 1;
            let polled = Pin::new(&mut subscriber).poll_next(context);
            assert!(polled.is_pending());
            if subscriber.wanted == 5001 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        assert!(looks >= 5000 / LOOKS, "{looks}");
    }

    #[tokio::test]
    async fn requests_that_cannot_be_served_are_refused() {
        let service = service(3);
        let bad_effect = Filter {
            effect: "none".into(),
            ..Filter::default()
        };
        for (request, expected) in [
            (after("s", 4), "stream s has 3 records"),
            (after("s", u64::MAX), "stream s has 3 records"),
            (after("", 1), "set `stream`"),
            (
                TailRequest {
                    filter: Some(bad_effect),
                    ..from_start()
                },
                "invalid effect `none`",
            ),
        ] {
            let status = service.subscribe(request.clone()).err().unwrap();
            assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
            assert!(status.message().contains(expected), "{status:?}");
        }
    }

    #[tokio::test]
    async fn subscribers_are_bounded_and_a_place_becomes_free() {
        let service = service(1);
        let mut subscribers: Vec<_> = (0..MAX_SUBSCRIBERS)
            .map(|_| service.subscribe(from_start()).unwrap())
            .collect();
        let status = service.subscribe(from_start()).err().unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        subscribers.pop();
        assert!(service.subscribe(from_start()).is_ok());
    }
}
