//! Who is here and who is typing, in a real browser.

use fantoccini::{Locator, key::Key};
use local_dev::static_files::StaticFiles;
use serde_json::json;

use crate::{
    Needs,
    browser_access::{axe_finds_nothing, press},
    support::{
        World,
        browser::{Chromium, Window},
        proxy::Proxy,
        site::{Answer, Site},
        static_dir,
    },
};

crate::stories! {
    Needs::Axe;
    on_a_phone_a_button_shows_who_is_here,
    on_a_phone_nothing_covers_how_the_line_is,
    in_a_large_room_more_people_are_shown_where_the_reader_is;
    Needs::Chromium;
    who_comes_and_goes_is_seen_beside_the_conversation;
    Needs::ChromiumAlone;
    two_who_type_at_once_are_both_seen,
    a_server_without_presence_is_left_alone
}

/// Waits until the panel shows these people, and no others.
async fn shows_people(window: &Window, users: &[&str]) {
    let shown =
        "JSON.stringify([...document.querySelectorAll('[data-list=people] [data-part=name]')]
        .map((name) => name.textContent))";
    window.until(&format!("{shown} === '{}'", json!(users))).await;
}

async fn says_who_types(window: &Window, words: &str) {
    window
        .until(&format!("document.querySelector('[data-part=typing]').textContent === '{words}'"))
        .await;
}

/// Types without sending.
async fn type_text(window: &Window, text: &str) {
    let field = Locator::Css("textarea[name=text]");
    window.client.find(field).await.unwrap().send_keys(text).await.unwrap();
}

async fn who_comes_and_goes_is_seen_beside_the_conversation(world: World) {
    let chromium = Chromium::start().await;
    let url = world.base_url();
    let alice = chromium.open(&url).await;
    alice.register("alice", World::PASSWORD).await;
    shows_people(&alice, &["alice"]).await;
    assert_eq!(alice.texts("[data-list=people] [data-part=you]").await, ["you"]);

    let bob = chromium.open(&url).await;
    bob.register("bob", World::PASSWORD).await;
    let carol = world.user("carol").await;
    let plain = world.connect_plain(&carol).await;
    for window in [&alice, &bob] {
        shows_people(window, &["alice", "bob", "carol"]).await;
        assert_eq!(window.texts("aside [data-part=people-count]").await, ["3"]);
    }
    // A second window of the same person is no other person, and closing it is no leaving.
    let again = chromium.open(&url).await;
    again.sign_in("bob", World::PASSWORD).await;
    again.close().await;
    plain.close().await;
    shows_people(&alice, &["alice", "bob"]).await;
    bob.click("sign-out").await;
    shows_people(&alice, &["alice"]).await;
    for window in [alice, bob] {
        window.has_clean_console(false).await;
        window.close().await;
    }
}

async fn on_a_phone_a_button_shows_who_is_here(world: World) {
    let bob = world.user("bob").await;
    let _socket = world.connect(&bob).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open_narrow(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    let toggle = "document.querySelector('[data-action=people]')";
    alice.until(&format!("{toggle}.innerText.startsWith('2')")).await;
    assert_eq!(alice.texts("[data-list=people] [data-part=name]").await, Vec::<String>::new());
    alice.click("people").await;
    alice.until("document.querySelector('#people').matches(':popover-open')").await;
    assert_eq!(alice.texts("[data-list=people] [data-part=name]").await, ["alice", "bob"]);
    assert_eq!(alice.script("return document.scrollingElement.scrollWidth").await, 320);
    axe_finds_nothing(&alice, "who is here").await;
    alice.has_clean_console(false).await;
    alice.close().await;
}

async fn on_a_phone_nothing_covers_how_the_line_is(_world: World) {
    let site = Site::over(StaticFiles::open(&static_dir()).unwrap().router()).await;
    let people = json!({"count": 12_345, "users": ["alice"]});
    site.answers("/auth/presence", Answer::json(&people));
    let proxy = Proxy::before(&site.origin()).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open_narrow(proxy.url()).await;
    alice.sign_in("alice", World::PASSWORD).await;
    alice.until("document.querySelector('[data-action=people]').innerText.startsWith('12K')").await;
    proxy.refuse();
    let status = "document.querySelector('[data-status=connection]')";
    alice.until(&format!("{status}.textContent === 'Reconnecting…'")).await;
    let covered = format!(
        "const words = document.createRange();
        words.selectNodeContents({status});
        const {{ left, right, top, bottom }} = words.getBoundingClientRect();
        const y = (top + bottom) / 2;
        return [left, right].some((x) => document.elementFromPoint(x, y) !== {status});"
    );
    assert_eq!(alice.script(&covered).await, false);
    axe_finds_nothing(&alice, "reconnecting in a large room").await;
    // What is only a picture has its words, too.
    let name = "return document.querySelector('[data-action=sign-out]').textContent";
    assert_eq!(alice.script(name).await, "Sign out");
    alice.has_clean_console(true).await;
    alice.close().await;
}

async fn in_a_large_room_more_people_are_shown_where_the_reader_is(world: World) {
    // By name, they come before alice.
    let guest = |number: usize| format!("a-{number:03}");
    let goer = world.user(&guest(401)).await;
    world.insert_connection(&goer, "QkT3rfHsDoECHlw=").await;
    world.insert_people(&goer, (1..=450).filter(|number| *number != 401).map(guest)).await;
    let proxy = Proxy::before(&world.base_url()).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(proxy.url()).await;
    alice.register("alice", World::PASSWORD).await;
    let names = "return [...document.querySelectorAll('[data-list=people] [data-part=name]')].map((name) => name.textContent)";
    let rest = async |words: &[&str]| {
        let shown = "JSON.stringify([...document.querySelectorAll('#more-people')]
            .filter((rest) => rest.checkVisibility()).map((rest) => rest.textContent))";
        alice.until(&format!("{shown} === '{}'", json!(words))).await;
    };
    let reads = async |username: &str| {
        alice.until(&format!("document.activeElement.dataset.username === '{username}'")).await;
        let in_sight = "const { top, bottom } = document.activeElement.getBoundingClientRect();
            const panel = document.querySelector('#people').getBoundingClientRect();
            return top >= panel.top && bottom <= panel.bottom";
        assert_eq!(alice.script(in_sight).await, true);
    };
    rest(&["and 251 more"]).await;
    assert_eq!(alice.script(names).await, json!((1..=200).map(guest).collect::<Vec<_>>()));
    axe_finds_nothing(&alice, "some of many people").await;

    // What cannot be had now can be had later.
    alice.go_offline(true).await;
    let more = "document.querySelector('[data-action=more-people]')";
    alice.script(&format!("{more}.focus()")).await;
    press(&alice, &[Key::Enter]).await;
    alice.until("document.querySelector('[data-part=people-problem]').checkVisibility()").await;
    axe_finds_nothing(&alice, "people who could not be loaded").await;
    alice.go_offline(false).await;

    press(&alice, &[Key::Enter]).await;
    rest(&["and 51 more"]).await;
    reads("a-201").await;
    assert_eq!(alice.texts("[data-part=people-problem]").await, Vec::<String>::new());
    press(&alice, &[Key::Tab]).await;
    alice.until(&format!("document.activeElement === {more}")).await;
    press(&alice, &[Key::Enter]).await;
    rest(&[]).await;
    reads("a-401").await;
    let everybody: Vec<String> = (1..=450).map(guest).chain(["alice".to_owned()]).collect();
    assert_eq!(alice.script(names).await, json!(everybody));

    // All of them are asked for again; whoever reads goes on, also where somebody has gone.
    world.revoke_silently(&goer).await;
    proxy.refuse();
    alice
        .until(
            "document.querySelector('[data-status=connection]').dataset.state === 'reconnecting'",
        )
        .await;
    proxy.forward();
    alice.until("document.querySelectorAll('[data-list=people] li').length === 450").await;
    reads("a-402").await;
    alice.has_clean_console(true).await;
    alice.close().await;
}

async fn two_who_type_at_once_are_both_seen(world: World) {
    let chromium = Chromium::start().await;
    let url = world.base_url();
    let (alice, bob, carol) =
        (chromium.open(&url).await, chromium.open(&url).await, chromium.open(&url).await);
    for (window, name) in [(&alice, "alice"), (&bob, "bob"), (&carol, "carol")] {
        window.register(name, World::PASSWORD).await;
    }
    type_text(&alice, "I am").await;
    says_who_types(&carol, "alice is typing…").await;
    type_text(&bob, "So am I").await;
    says_who_types(&bob, "alice is typing…").await;
    says_who_types(&alice, "bob is typing…").await;
    // The first may have stopped in between; whoever goes on is told of again.
    type_text(&alice, " typing").await;
    says_who_types(&carol, "alice and bob are typing…").await;
    // A message ends it at once; silence does in a while.
    alice.say("!").await;
    carol.shows(1).await;
    says_who_types(&carol, "bob is typing…").await;
    says_who_types(&carol, "").await;
    for window in [alice, bob, carol] {
        window.has_clean_console(false).await;
        window.close().await;
    }
}

/// A page that is newer than its functions.
async fn a_server_without_presence_is_left_alone(_world: World) {
    let site = Site::over(StaticFiles::open(&static_dir()).unwrap().router()).await;
    site.answers(
        "/auth/presence",
        Answer::new(404, "application/json", r#"{"message":"Not Found"}"#),
    );
    let chromium = Chromium::start().await;
    let alice = chromium.open(&site.origin()).await;
    alice.sign_in("alice", World::PASSWORD).await;
    alice.until("document.querySelector('#people').hidden").await;
    assert_eq!(alice.texts("#people, [data-action=people]").await, Vec::<String>::new());
    alice.has_clean_console(true).await;
    alice.close().await;
}
