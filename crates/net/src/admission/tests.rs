//! Calls that arrive on the connections of one thread. Each test has a thread of its own, and so a
//! queue of its own.

use super::*;

const MOST: u32 = 1000;

fn connection() -> ConnectionQueue {
    ConnectionQueue::new(MOST)
}

/// Lets calls arrive until one is refused, and returns how many were admitted.
fn fill(connection: &ConnectionQueue) -> u32 {
    let admitted = (0..10 * MOST).take_while(|_| connection.admit()).count();
    u32::try_from(admitted).unwrap()
}

/// As if the last refusal was long ago.
fn calm_down() {
    THREAD.with(|thread| thread.shedding_until.set(None));
}

fn waiting() -> (u32, u32) {
    THREAD.with(|thread| (thread.waiting.get(), thread.connections.get()))
}

#[test]
fn a_burst_may_wait_up_to_the_bound() {
    let connection = connection();
    assert_eq!(fill(&connection), MOST);
    assert!(!connection.admit());
}

#[test]
fn while_calls_are_refused_few_may_wait() {
    let connection = connection();
    assert_eq!(fill(&connection), MOST);
    connection.settle(0);
    assert_eq!(fill(&connection), WHILE_SHEDDING, "a refusal was just now");
    connection.settle(100);
    assert_eq!(fill(&connection), WHILE_SHEDDING - 100);
    connection.settle(0);
    calm_down();
    assert_eq!(fill(&connection), MOST, "a refusal was long ago");
}

#[test]
fn the_last_refusal_counts() {
    let connection = connection();
    assert_eq!(fill(&connection), MOST);
    let first = THREAD.with(|thread| thread.shedding_until.get()).unwrap();
    std::thread::sleep(Duration::from_millis(2));
    assert!(!connection.admit());
    let second = THREAD.with(|thread| thread.shedding_until.get()).unwrap();
    assert!(second > first);
}

#[test]
fn a_connection_with_few_calls_has_its_place_beside_one_with_many() {
    let (flood, other, third) = (connection(), connection(), connection());
    assert_eq!(fill(&flood), MOST);
    assert_eq!(fill(&other), WHILE_SHEDDING / 2 / 2);
    assert_eq!(fill(&third), WHILE_SHEDDING / 2 / 3);
    assert!(!flood.admit() && !other.admit() && !third.admit());
}

#[test]
fn each_of_very_many_connections_may_have_some_until_it_is_refused_one() {
    let connections: Vec<ConnectionQueue> = (0..1000).map(|_| connection()).collect();
    let flood = connection();
    fill(&flood);
    for (number, connection) in connections.iter().enumerate() {
        let admitted = fill(connection);
        assert!(
            admitted == UNPRESSED || number < 4 && admitted > UNPRESSED,
            "{number}: {admitted}"
        );
    }
    let pressed = connections.last().unwrap();
    for turn in 0..3 {
        pressed.settle(0);
        assert_eq!(fill(pressed), 1, "it was refused one in turn {turn}");
    }
    pressed.settle(0);
    assert!(pressed.admit());
    pressed.settle(0);
    assert_eq!(fill(pressed), UNPRESSED, "a turn passed without a refusal");
}

#[test]
fn the_thread_counts_what_its_connections_count() {
    let (first, second) = (connection(), connection());
    assert!(first.admit() && first.admit() && second.admit());
    assert_eq!(waiting(), (3, 2));
    first.settle(1);
    assert_eq!(waiting(), (2, 2));
    second.settle(0);
    second.settle(0);
    assert_eq!(waiting(), (1, 1));
    first.settle(0);
    assert_eq!(waiting(), (0, 0));
}

#[test]
fn a_small_bound_holds_while_calls_are_refused_too() {
    let connection = ConnectionQueue::new(5);
    assert_eq!(fill(&connection), 5);
    connection.settle(0);
    assert_eq!(fill(&connection), 5);
}

#[test]
fn without_a_bound_everything_is_admitted_and_nothing_is_counted() {
    let connection = ConnectionQueue::default();
    assert!((0..10 * MOST).all(|_| connection.admit()));
    connection.settle(7);
    assert_eq!(waiting(), (0, 0));
}
