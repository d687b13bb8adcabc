//! The page in a real browser.

use std::time::Duration;

use serde_json::json;

use crate::{
    Needs,
    support::{
        World,
        browser::{Chromium, Window},
        process::{Launch, Process, page_for_a_cdn},
    },
};

crate::stories! {
    Needs::Chromium;
    two_windows_chat,
    an_expired_token_is_renewed_unseen,
    a_restart_loses_and_doubles_nothing;
    Needs::ChromiumAlone;
    two_windows_chat_at_320_pixels,
    a_script_tag_stays_text,
    history_scrolls_back,
    the_page_as_a_cdn_has_it_works,
}

/// Two people, each in a browser of their own.
async fn alice_and_bob(chromium: &Chromium, url: &str) -> (Window, Window) {
    let (alice, bob) = (chromium.open(url).await, chromium.open(url).await);
    alice.register("alice", World::PASSWORD).await;
    bob.register("bob", World::PASSWORD).await;
    (alice, bob)
}

/// The messages `1..=count`, each once and in order.
fn numbers(messages: &[(u64, String)]) -> Vec<u64> {
    messages.iter().map(|(id, _)| *id).collect()
}

async fn two_windows_chat(world: World) {
    let chromium = Chromium::start().await;
    let (alice, bob) = alice_and_bob(&chromium, &world.base_url()).await;
    let conversation = [
        (&alice, "Hello Bob! Can you read me?"),
        (&bob, "Loud and clear. Is this really seven Lambda functions?"),
        (&alice, "Eight, and the very same ones as in the cloud."),
        (&bob, "On a laptop, with no cloud at all."),
        (&alice, "And every message has its number: no gap, nothing twice."),
    ];
    for (number, (speaker, text)) in (1..).zip(conversation) {
        speaker.say(text).await;
        for window in [&alice, &bob] {
            let shown = window.shows(number).await;
            assert_eq!(shown.last().unwrap().1, text);
        }
    }

    // Who signs out sees the sign-in again; who signs in again sees what was said.
    alice.click("sign-out").await;
    alice.sign_in("alice", World::PASSWORD).await;
    assert_eq!(numbers(&alice.shows(5).await), [1, 2, 3, 4, 5]);
    for window in [alice, bob] {
        window.has_clean_console(false).await;
        window.close().await;
    }
}

async fn two_windows_chat_at_320_pixels(world: World) {
    let chromium = Chromium::start().await;
    let url = world.base_url();
    let (alice, bob) = (chromium.open_narrow(&url).await, chromium.open_narrow(&url).await);
    alice.register("alice", World::PASSWORD).await;
    bob.register("a-name-of-thirty-two-characters-", World::PASSWORD).await;
    alice.say(&"an-endless-word".repeat(20)).await;
    bob.shows(1).await;
    bob.say("Hello from a small screen.").await;
    alice.shows(2).await;
    for window in [alice, bob] {
        assert_eq!(window.script("return innerWidth").await, 320);
        assert_eq!(window.script("return document.scrollingElement.scrollWidth").await, 320);
        let button = "document.querySelector('[data-action=send]').getBoundingClientRect()";
        let fits = format!("return {button}.right <= innerWidth && {button}.bottom <= innerHeight");
        assert_eq!(window.script(&fits).await, true);
        window.has_clean_console(false).await;
        window.close().await;
    }
}

async fn a_script_tag_stays_text(world: World) {
    let chromium = Chromium::start().await;
    let (alice, bob) = alice_and_bob(&chromium, &world.base_url()).await;
    let texts = [
        "<script>window.harmed = true</script>",
        "<img src=x onerror=\"window.harmed = true\">",
        "&lt;b&gt; <b>bold</b>",
    ];
    for (number, text) in (1..).zip(texts) {
        alice.say(text).await;
        assert_eq!(bob.shows(number).await.last().unwrap().1, text);
    }
    bob.client.refresh().await.unwrap();
    bob.is_online().await;
    let shown: Vec<String> = bob.shows(3).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(shown, texts);
    for window in [alice, bob] {
        assert_eq!(window.script("return window.harmed ?? null").await, json!(null));
        window.has_clean_console(false).await;
        window.close().await;
    }
}

async fn an_expired_token_is_renewed_unseen(world: World) {
    let chromium = Chromium::start().await;
    let (alice, bob) = alice_and_bob(&chromium, &world.base_url()).await;
    alice.say("before").await;
    bob.shows(1).await;
    // Leaving would show as a sign-in view, however short.
    let watch = "window.leftTheChat = false; new MutationObserver(() => { \
                 if (document.querySelector('[data-view=sign-in]')) window.leftTheChat = true; \
                 }).observe(document.body, {childList: true, subtree: true});";

    world.clock.advance(Duration::from_mins(20));
    let expired = alice.script("return localStorage['lambda-chat.session']").await;
    alice.client.refresh().await.unwrap();
    alice.script(watch).await;
    alice.is_online().await;
    assert_eq!(numbers(&alice.shows(1).await), [1]);
    assert_ne!(alice.script("return localStorage['lambda-chat.session']").await, expired);
    assert_eq!(alice.script("return window.leftTheChat").await, false);
    alice.say("after").await;
    assert_eq!(numbers(&bob.shows(2).await), [1, 2]);
    for window in [alice, bob] {
        window.has_clean_console(true).await;
        window.close().await;
    }
}

async fn a_restart_loses_and_doubles_nothing(world: World) {
    let chromium = Chromium::start().await;
    let mut process = Process::start(&world, &[]).await;
    let port = process.port();
    let (alice, bob) = alice_and_bob(&chromium, &process.base_url()).await;
    let mut sent = 0;
    for in_order in [false, true] {
        for window in [&alice, &bob] {
            sent += 1;
            window.say(&format!("message {sent}")).await;
        }
        if in_order {
            process.stop().await;
        } else {
            process.kill_9().await;
        }
        // Said into a dead line.
        for window in [&alice, &bob] {
            sent += 1;
            window.say(&format!("message {sent}")).await;
        }
        process = Process::start_on(&world, port, &[]).await;
        for window in [&alice, &bob] {
            window.is_online().await;
            let messages = window.shows(sent).await;
            let mut texts: Vec<String> = messages.iter().map(|(_, text)| text.clone()).collect();
            assert_eq!(numbers(&messages), (1..=sent as u64).collect::<Vec<_>>());
            texts.sort_unstable();
            let mut expected: Vec<String> =
                (1..=sent).map(|number| format!("message {number}")).collect();
            expected.sort_unstable();
            assert_eq!(texts, expected);
        }
    }
    for window in [alice, bob] {
        window.has_clean_console(true).await;
        window.close().await;
    }
    process.stop().await;
}

async fn history_scrolls_back(world: World) {
    const MESSAGES: usize = 120;
    let speaker = world.user("speaker").await;
    let mut socket = world.connect(&speaker).await;
    for number in 1..=MESSAGES {
        socket.say(&format!("message {number}"), &number.to_string()).await;
        socket.next_frame().await;
    }
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    let newest = numbers(&alice.shows(MESSAGES).await);
    assert_eq!(newest, (71..=120).collect::<Vec<_>>());

    let scroller = "document.querySelector('[data-part=scroller]')";
    for oldest in [21, 1] {
        // What is being read stays where it is while older messages come in above it.
        let top = "document.querySelector('[data-message-id=\"75\"]').getBoundingClientRect().top";
        alice.script(&format!("{scroller}.scrollTop = 0")).await;
        let before = alice
            .script(&format!("return {scroller}.scrollHeight - {scroller}.scrollTop - {top}"))
            .await;
        alice.until(&format!("document.querySelector('[data-message-id=\"{oldest}\"]')")).await;
        let after = alice
            .script(&format!("return {scroller}.scrollHeight - {scroller}.scrollTop - {top}"))
            .await;
        let moved = (before.as_f64().unwrap() - after.as_f64().unwrap()).abs();
        assert!(moved < 3.0, "the view moved by {moved} pixels");
        assert_eq!(numbers(&alice.messages().await), (oldest..=120).collect::<Vec<_>>());
    }
    alice.has_clean_console(false).await;
    alice.close().await;
}

/// The page with hashed names, which `cargo xtask deploy` uploads.
async fn the_page_as_a_cdn_has_it_works(world: World) {
    let page = page_for_a_cdn(&world).await;
    let process = Launch::of(&world).with_page(page).start(0, &[], []).await;
    let url = process.base_url();
    let chromium = Chromium::start().await;
    let (alice, bob) = alice_and_bob(&chromium, &url).await;
    alice.say("Hello from a file that browsers keep for ever.").await;
    bob.shows(1).await;
    let loaded = "return performance.getEntriesByType('resource').map(entry => new URL(entry.name).pathname)";
    let loaded = alice.script(loaded).await;
    let files = loaded.as_array().unwrap().iter().filter_map(|path| path.as_str());
    let files: Vec<&str> = files.filter(|path| path.contains('.')).collect();
    assert!(files.iter().any(|path| path.ends_with("/app.js")), "{files:?}");
    for file in files {
        let answer = reqwest::get(format!("{url}{file}")).await.unwrap();
        let cache = answer.headers()["cache-control"].to_str().unwrap();
        let expected =
            if file == "/config.js" { "no-cache" } else { "public, max-age=31536000, immutable" };
        assert!(file == "/config.js" || file.starts_with("/assets/"), "{file}");
        assert_eq!(cache, expected, "{file}");
    }
    for window in [alice, bob] {
        window.has_clean_console(false).await;
        window.close().await;
    }
    process.stop().await;
}
