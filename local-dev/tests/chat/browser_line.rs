//! The line in a real browser: cut, asleep, and shared by the tabs of one user.

use std::time::Duration;

use serde_json::json;

use crate::{
    Needs,
    support::{
        World,
        browser::{Chromium, Window},
        proxy::Proxy,
    },
};

crate::stories! {
    Needs::ChromiumAlone;
    what_is_said_offline_is_sent_once_and_in_order,
    what_others_said_meanwhile_is_marked,
    a_tab_that_slept_past_its_tokens_life_goes_on,
    five_tabs_of_one_user_show_the_same
}

/// The texts of the messages, in the order of the page; fails if a number is missing or there twice.
fn in_order(messages: Vec<(u64, String)>) -> Vec<String> {
    let (numbers, texts): (Vec<u64>, Vec<String>) = messages.into_iter().unzip();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    texts
}

/// Waits until the bar says how the line is.
pub async fn says_of_the_line(window: &Window, words: &str) {
    let status = "document.querySelector('[data-status=connection]').textContent";
    window.until(&format!("{status} === '{words}'")).await;
}

async fn what_is_said_offline_is_sent_once_and_in_order(world: World) {
    let proxy = Proxy::before(&world.base_url()).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(proxy.url()).await;
    alice.register("alice", World::PASSWORD).await;
    let bob = world.user("bob").await;
    let mut socket = world.connect(&bob).await;
    alice.say("before").await;
    alice.shows(1).await;

    alice.go_offline(true).await;
    proxy.refuse();
    says_of_the_line(&alice, "Offline").await;
    for number in 1..=3 {
        alice.say(&format!("offline {number}")).await;
    }
    alice.until("document.querySelectorAll('[data-pending-id]').length === 3").await;
    let pending = alice.texts("[data-list=pending] [data-part=state]").await;
    assert_eq!(pending, ["Sent by itself when you are back online."; 3]);
    for number in 1..=5 {
        socket.say(&format!("meanwhile {number}"), &number.to_string()).await;
        while socket.next_frame().await["text"] != format!("meanwhile {number}") {}
    }

    proxy.forward();
    alice.go_offline(false).await;
    says_of_the_line(&alice, "Back online").await;
    let texts = in_order(alice.shows(9).await);
    let expected = (1..=5).map(|number| format!("meanwhile {number}"));
    let expected = expected.chain((1..=3).map(|number| format!("offline {number}")));
    assert_eq!(texts[0], "before");
    // What comes first, what was missed or what had to wait, is nobody's promise.
    for who in ["meanwhile", "offline"] {
        let said = texts.iter().filter(|text| text.starts_with(who));
        let expected = expected.clone().filter(|text| text.starts_with(who));
        assert!(said.cloned().eq(expected), "{texts:?}");
    }
    alice.until("document.querySelectorAll('[data-pending-id]').length === 0").await;
    says_of_the_line(&alice, "Online").await;
    alice.has_clean_console(true).await;
    alice.close().await;
}

async fn what_others_said_meanwhile_is_marked(world: World) {
    let proxy = Proxy::before(&world.base_url()).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(proxy.url()).await;
    alice.register("alice", World::PASSWORD).await;
    let bob = world.user("bob").await;
    let mut socket = world.connect(&bob).await;
    let mut say = async |text: &str| {
        socket.say(text, text).await;
        while socket.next_frame().await["text"] != text {}
    };
    let marked = "return [...document.querySelectorAll('[data-message-id]')]
        .filter((row) => !row.querySelector('[data-part=new]').hidden).map((row) => row.dataset.messageId)";
    say("seen").await;
    alice.shows(1).await;

    for (first_missed, meanwhile) in [(2, ["one", "two"]), (4, ["three", "four"])] {
        proxy.refuse();
        says_of_the_line(&alice, "Reconnecting…").await;
        for text in meanwhile {
            say(text).await;
        }
        proxy.forward();
        says_of_the_line(&alice, "Back online").await;
        alice.shows(first_missed + 1).await;
        assert_eq!(alice.script(marked).await, json!([first_missed.to_string()]));
    }
    // What comes now is seen as it comes; whoever answers has read.
    say("live").await;
    alice.shows(6).await;
    assert_eq!(alice.script(marked).await, json!(["4"]));
    alice.say("an answer").await;
    alice.shows(7).await;
    assert_eq!(alice.script(marked).await, json!([]));

    // Where nothing was missed, nothing is marked.
    proxy.refuse();
    says_of_the_line(&alice, "Reconnecting…").await;
    proxy.forward();
    says_of_the_line(&alice, "Back online").await;
    say("live again").await;
    alice.shows(8).await;
    assert_eq!(alice.script(marked).await, json!([]));
    alice.has_clean_console(true).await;
    alice.close().await;
}

async fn a_tab_that_slept_past_its_tokens_life_goes_on(world: World) {
    let proxy = Proxy::before(&world.base_url()).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(proxy.url()).await;
    alice.register("alice", World::PASSWORD).await;
    alice.say("good night").await;
    alice.shows(1).await;
    let tokens = "return localStorage['lambda-chat.session']";
    let expired = alice.script(tokens).await;
    let watch = "window.leftTheChat = false; new MutationObserver(() => { \
                 if (document.querySelector('[data-view=sign-in]')) window.leftTheChat = true; \
                 }).observe(document.body, {childList: true, subtree: true});";
    alice.script(watch).await;

    // Its timers stand still, its connection dies, its token ends.
    alice.devtools("Page.setWebLifecycleState", json!({"state": "frozen"})).await;
    proxy.refuse();
    world.clock.advance(Duration::from_mins(20));
    let bob = world.user("bob").await;
    let mut socket = world.connect(&bob).await;
    for number in 1..=3 {
        socket.say(&format!("in the night {number}"), &number.to_string()).await;
        while socket.next_frame().await["text"] != format!("in the night {number}") {}
    }
    proxy.forward();
    alice.devtools("Page.setWebLifecycleState", json!({"state": "active"})).await;

    let expected = ["good night", "in the night 1", "in the night 2", "in the night 3"];
    assert_eq!(in_order(alice.shows(4).await), expected);
    alice.is_online().await;
    assert_ne!(alice.script(tokens).await, expired);
    alice.say("good morning").await;
    alice.shows(5).await;
    assert_eq!(alice.script("return window.leftTheChat").await, false);
    alice.has_clean_console(true).await;
    alice.close().await;
}

async fn five_tabs_of_one_user_show_the_same(world: World) {
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    let mut tabs = vec![alice.client.window().await.unwrap()];
    for _ in 0..4 {
        tabs.push(alice.open_tab(&world.base_url()).await);
        alice.is_online().await;
    }
    assert_eq!(world.connection_ids().await.len(), 5);
    for (number, tab) in (1..).zip(&tabs) {
        alice.switch_to(tab).await;
        alice.say(&format!("from tab {number}")).await;
        alice.shows(number).await;
    }
    let all: Vec<String> = (1..=5).map(|number| format!("from tab {number}")).collect();
    for tab in &tabs {
        alice.switch_to(tab).await;
        assert_eq!(in_order(alice.shows(5).await), all);
        alice.until("document.querySelectorAll('[data-pending-id]').length === 0").await;
    }

    // The token ends in all of them; they renew it one after the other, and none is taken for a thief.
    world.clock.advance(Duration::from_mins(20));
    for tab in &tabs {
        alice.switch_to(tab).await;
        alice.client.refresh().await.unwrap();
    }
    for tab in &tabs {
        alice.switch_to(tab).await;
        alice.is_online().await;
        assert_eq!(in_order(alice.shows(5).await), all);
    }

    // Whoever signs out in one has signed out in all.
    alice.click("sign-out").await;
    for tab in &tabs[..4] {
        alice.switch_to(tab).await;
        alice.until("document.querySelector('[data-notice=session]')?.textContent === 'You have been signed out in another tab.'").await;
    }
    alice.has_clean_console(true).await;
    alice.close().await;
}
