//! FIFO queues: order, groups, deduplication.

use queue::{DeduplicationScope, Fifo, Settings};

use crate::support::{World, attributes, bodies, fifo, giving_up, impatient, refusal};

const JOBS: &str = "jobs.fifo";

#[tokio::test]
async fn a_group_keeps_its_order_and_waits_for_what_is_in_flight() {
    let world = World::with(vec![fifo(JOBS)]).await;
    world.send_to_groups(JOBS, &["A1", "B1", "A2", "B2", "A3"]).await;
    // As many of one group as there are, then of the next.
    let two = world.receive(JOBS, 2).await;
    assert_eq!(bodies(&two), ["A1", "A2"]);
    let rest = world.receive(JOBS, 10).await;
    assert_eq!(bodies(&rest), ["B1", "B2"], "A3 waits for A1 and A2");
    world.delete(JOBS, &two[0]).await;
    assert_eq!(world.receive(JOBS, 10).await, []);
    world.delete(JOBS, &two[1]).await;
    assert_eq!(bodies(&world.receive(JOBS, 10).await), ["A3"]);
}

#[tokio::test]
async fn one_receive_goes_on_with_the_next_group() {
    let world = World::with(vec![fifo(JOBS)]).await;
    world.send_to_groups(JOBS, &["A1", "B1", "C1", "A2", "C2", "B2"]).await;
    let received = world.receive(JOBS, 5).await;
    assert_eq!(bodies(&received), ["A1", "A2", "B1", "B2", "C1"]);
    let numbers: Vec<u128> = received
        .iter()
        .map(|message| attributes(message)["SequenceNumber"].parse().unwrap())
        .collect();
    assert!(numbers[0] < numbers[2] && numbers[2] < numbers[4] && numbers[4] < numbers[1]);
    let system = attributes(&received[1]);
    assert_eq!((system["MessageGroupId"], system["MessageDeduplicationId"]), ("A", "A2"));
}

#[tokio::test]
async fn what_is_not_deleted_comes_again_before_what_follows() {
    let world = World::with(vec![impatient(fifo(JOBS), 200)]).await;
    world.send_to_groups(JOBS, &["A1", "A2"]).await;
    let first = world.receive(JOBS, 1).await;
    assert_eq!(bodies(&first), ["A1"]);
    let again = world.receive_all(JOBS, 2).await;
    assert_eq!(bodies(&again), ["A1", "A2"]);
    // A FIFO queue refuses a receipt whose time is over.
    let delete = world.client.delete_message().queue_url(world.url(JOBS));
    let delete = delete.receipt_handle(first[0].receipt_handle().unwrap());
    let (code, message, status) = refusal(&delete.send().await.unwrap_err());
    assert_eq!((code.as_str(), status), ("InvalidParameterValue", 400));
    assert!(message.ends_with("The receipt handle has expired."), "{message}");
}

#[tokio::test]
async fn a_repeated_message_is_taken_once() {
    let by_queue = Fifo { deduplication_scope: DeduplicationScope::Queue, ..Fifo::default() };
    let by_content = Fifo { content_based_deduplication: true, ..Fifo::default() };
    let queues = vec![
        fifo("groups.fifo"),
        Settings { fifo: Some(by_queue), ..Settings::new("queue.fifo") },
        Settings { fifo: Some(by_content), ..Settings::new("content.fifo") },
    ];
    let world = World::with(queues).await;
    let send = async |queue: &str, group: &str, id: Option<&str>, body: &str| {
        let send = world.client.send_message().queue_url(world.url(queue)).message_body(body);
        let send = send.message_group_id(group).set_message_deduplication_id(id.map(str::to_owned));
        let answer = send.send().await.unwrap();
        (answer.message_id.unwrap(), answer.sequence_number.unwrap())
    };
    for queue in ["groups.fifo", "queue.fifo"] {
        let first = send(queue, "A", Some("1"), "first").await;
        // Whoever repeats is told of the first.
        assert_eq!(send(queue, "A", Some("1"), "other").await, first);
        let received = world.receive(queue, 1).await;
        world.delete(queue, &received[0]).await;
        // Also when that has been handled.
        assert_eq!(send(queue, "A", Some("1"), "other").await, first);
        assert_eq!(world.counts(queue), (0, 0, 0));
        let is_same = send(queue, "B", Some("1"), "other").await == first;
        assert_eq!(is_same, queue == "queue.fifo");
    }
    let first = send("content.fifo", "A", None, "same").await;
    assert_eq!(send("content.fifo", "A", None, "same").await, first);
    assert_ne!(send("content.fifo", "A", None, "other").await, first);
}

#[tokio::test]
async fn a_group_goes_on_when_a_message_is_given_up() {
    let jobs = giving_up(impatient(fifo(JOBS), 100), "dead.fifo", 1);
    let world = World::with(vec![jobs, fifo("dead.fifo")]).await;
    world.send_to_groups(JOBS, &["A1", "A2"]).await;
    assert_eq!(bodies(&world.receive(JOBS, 1).await), ["A1"]);
    assert_eq!(bodies(&world.receive_all(JOBS, 1).await), ["A2"]);
    let dead = world.receive("dead.fifo", 1).await;
    assert_eq!(bodies(&dead), ["A1"]);
    assert_eq!(attributes(&dead[0])["MessageGroupId"], "A");
}
