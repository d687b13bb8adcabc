//! Reading what was said.

use serde_json::{Value, json};

use crate::{
    Needs,
    support::{World, room::Room},
};

crate::anywhere! {
    Needs::Nothing;
    pages_lead_through_the_whole_history,
    texts_are_kept_exactly,
}

crate::stories! {
    Needs::Nothing;
    a_short_history_is_walked_to_its_ends,
    an_empty_history_is_an_empty_array,
}

fn ids(page: &Value) -> Vec<i64> {
    page.as_array().unwrap().iter().map(|message| message["id"].as_i64().unwrap()).collect()
}

/// The target of the link with this relation.
pub fn link(header: Option<&str>, rel: &str) -> Option<String> {
    let links = header?.split(", ");
    links
        .filter_map(|link| link.split_once("; "))
        .find(|(_, parameter)| *parameter == format!("rel=\"{rel}\""))
        .map(|(target, _)| target.trim_matches(['<', '>']).to_owned())
}

async fn pages_lead_through_the_whole_history(room: Room) {
    let (alice, bob) = (room.user("alice").await, room.user("bob").await);
    let mut sockets = [room.connect(&alice).await, room.connect(&bob).await];
    let mark = room.last_id(&alice).await;
    // More than one of them might say in ten seconds.
    for number in 0..53 {
        let [alice, bob] = &mut sockets;
        let (speaks, listens) = if number % 2 == 0 { (alice, bob) } else { (bob, alice) };
        speaks.say(&format!("message {number}"), &number.to_string()).await;
        assert_eq!(speaks.next_frame().await, listens.next_frame().await);
    }
    // Somebody else may have said something, too.
    let all = room.pages_after(&alice, mark).await;
    let all: Vec<i64> = all.iter().map(|message| message["id"].as_i64().unwrap()).collect();
    let (first, last) = (all[0], all[all.len() - 1]);
    assert_eq!(all, (mark + 1..=last).collect::<Vec<_>>());
    assert!(last - mark >= 53, "{last} comes 53 messages after {mark}");

    let get =
        async |query: &str| room.http.get(&format!("/auth/messages{query}"), &alice.access).await;
    for (query, expected) in [
        (format!("?limit=5&before={}", first + 9), first + 4..first + 9),
        (format!("?limit=5&after={}", first + 9), first + 10..first + 15),
        (format!("?limit=2&after={}", last - 2), last - 1..last + 1),
        (format!("?limit=2&before={}", first + 2), first..first + 2),
        ("?before=1".to_owned(), 1..1),
    ] {
        assert_eq!(ids(&get(&query).await.body), expected.collect::<Vec<_>>(), "{query}");
    }
    for (query, count) in [("", 50), ("?limit=5", 5), ("?limit=2&before=9007199254740991", 2)] {
        let page = get(query).await;
        let newest = ids(&page.body);
        let end = newest[newest.len() - 1];
        assert!(end >= last, "{query}: {newest:?} ends before {last}");
        assert_eq!(newest, (end + 1 - count..=end).collect::<Vec<_>>(), "{query}");
        assert_eq!(link(page.header("link"), "next"), None, "{query}");
    }
    assert!(!ids(&get("?limit=1&after=0").await.body).is_empty());

    // Backwards by `prev`, then forwards by `next`, and every message comes by once.
    for (start, rel) in [
        (format!("/auth/messages?limit=7&before={}", last + 1), "prev"),
        (format!("/auth/messages?limit=7&after={mark}"), "next"),
    ] {
        let mut seen = Vec::new();
        let mut next = Some(start);
        while let Some(path) = next.filter(|_| seen.len() < all.len()) {
            let page = room.http.get(&path, &alice.access).await;
            seen.extend(ids(&page.body));
            next = link(page.header("link"), rel);
        }
        // Pages of seven don't end where this story began, nor where it ended.
        seen.retain(|id| all.contains(id));
        seen.sort_unstable();
        assert_eq!(seen, all, "{rel}");
    }
}

async fn a_short_history_is_walked_to_its_ends(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    for number in 1..=16 {
        socket.say(&format!("message {number}"), &number.to_string()).await;
        assert_eq!(socket.next_frame().await["id"], number);
    }
    for (query, expected) in [
        ("", 1..17),
        ("?before=3", 1..3),
        ("?after=14", 15..17),
        ("?after=16", 17..17),
        ("?before=1", 1..1),
        ("?limit=2&before=1000", 15..17),
    ] {
        let page = world.http.get(&format!("/auth/messages{query}"), &alice.access).await;
        assert_eq!(ids(&page.body), expected.collect::<Vec<_>>(), "{query}");
    }
    for (start, rel) in
        [("/auth/messages?limit=7", "prev"), ("/auth/messages?limit=7&after=0", "next")]
    {
        let mut seen = Vec::new();
        let mut next = Some(start.to_owned());
        while let Some(path) = next {
            let page = world.http.get(&path, &alice.access).await;
            seen.extend(ids(&page.body));
            next = link(page.header("link"), rel);
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=16).collect::<Vec<_>>(), "{rel}");
    }
}

async fn an_empty_history_is_an_empty_array(world: World) {
    let alice = world.user("alice").await;
    for query in ["", "?before=5", "?after=0"] {
        let page = world.http.get(&format!("/auth/messages{query}"), &alice.access).await;
        assert_eq!(page.body, json!([]));
        assert_eq!(page.header("link"), None);
    }
}

async fn texts_are_kept_exactly(room: Room) {
    let alice = room.user("alice").await;
    let mut json_socket = room.connect(&alice).await;
    let mut plain_socket = room.connect_plain(&alice).await;
    let longest = "🦀".repeat(4096);
    for text in [
        "  leading and trailing  ",
        "two\nlines\r\nand a\ttab",
        "<script>alert(1)</script> & \"quotes\" \\ / '",
        "{\"action\":\"ping\"}",
        "\u{202E}right to left\u{202C} \u{200B}zero width\u{FEFF}",
        "e\u{0301} is not é",
        "null",
        longest.as_str(),
    ] {
        json_socket.say(text, &format!("key {}", text.len())).await;
        assert_eq!(json_socket.next_frame().await["text"], text);
        assert_eq!(plain_socket.next_text().await, format!("{}: {text}", alice.username));
        let history = room.history(&alice).await;
        assert_eq!(history.last().unwrap()["text"], text);
    }
    plain_socket.send("{\"action\":\"ping\"}").await;
    assert_eq!(json_socket.next_frame().await["text"], "{\"action\":\"ping\"}");
}
