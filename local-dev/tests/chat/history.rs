//! Reading what was said.

use serde_json::{Value, json};

use crate::{Needs, support::World};

crate::stories! {
    Needs::Nothing;
    pages_lead_through_the_whole_history,
    an_empty_history_is_an_empty_array,
    texts_are_kept_exactly,
}

fn ids(page: &Value) -> Vec<i64> {
    page.as_array().unwrap().iter().map(|message| message["id"].as_i64().unwrap()).collect()
}

/// The target of the link with this relation.
fn link(header: Option<&str>, rel: &str) -> Option<String> {
    let links = header?.split(", ");
    links
        .filter_map(|link| link.split_once("; "))
        .find(|(_, parameter)| *parameter == format!("rel=\"{rel}\""))
        .map(|(target, _)| target.trim_matches(['<', '>']).to_owned())
}

async fn pages_lead_through_the_whole_history(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    for number in 1..=53 {
        socket.say(&format!("message {number}"), &number.to_string()).await;
        assert_eq!(socket.next_frame().await["id"], number);
    }
    let get =
        async |query: &str| world.http.get(&format!("/auth/messages{query}"), &alice.access).await;
    for (query, expected) in [
        ("", 4..54),
        ("?limit=5", 49..54),
        ("?limit=5&before=10", 5..10),
        ("?before=3", 1..3),
        ("?limit=5&after=10", 11..16),
        ("?after=51", 52..54),
        ("?after=53", 54..54),
        ("?before=1", 1..1),
        ("?limit=2&before=1000", 52..54),
    ] {
        assert_eq!(ids(&get(query).await.body), expected.collect::<Vec<_>>(), "{query}");
    }

    // Backwards by `prev`, then forwards by `next`, and every message comes by once.
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
        assert_eq!(seen, (1..=53).collect::<Vec<_>>(), "{rel}");
    }
    let newest = get("?limit=5").await;
    assert_eq!(link(newest.header("link"), "next"), None);
}

async fn an_empty_history_is_an_empty_array(world: World) {
    let alice = world.user("alice").await;
    for query in ["", "?before=5", "?after=0"] {
        let page = world.http.get(&format!("/auth/messages{query}"), &alice.access).await;
        assert_eq!(page.body, json!([]));
        assert_eq!(page.header("link"), None);
    }
}

async fn texts_are_kept_exactly(world: World) {
    let alice = world.user("alice").await;
    let mut json_socket = world.connect(&alice).await;
    let mut plain_socket = world.connect_plain(&alice).await;
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
        assert_eq!(plain_socket.next_text().await, format!("alice: {text}"));
        let history = world.history(&alice).await;
        assert_eq!(history.last().unwrap()["text"], text);
    }
    plain_socket.send("{\"action\":\"ping\"}").await;
    assert_eq!(json_socket.next_frame().await["text"], "{\"action\":\"ping\"}");
}
