//! Reading in a real browser: groups, days, links, what is new, and histories of any length.

use std::time::Duration;

use fantoccini::Locator;
use serde_json::json;

use crate::{
    Needs,
    support::{
        World,
        browser::{Chromium, Window},
        room::User,
        site::{Answer, Site},
    },
};

crate::stories! {
    Needs::ChromiumAlone;
    messages_stand_in_groups_and_days,
    links_lead_out_and_give_nothing_away,
    what_came_out_of_sight_is_counted_and_marked,
    where_reading_stopped_is_known_after_a_reload,
    messages_that_come_while_one_reads_back_move_nothing,
    the_newest_message_stays_in_sight_above_a_long_text,
    ten_thousand_messages_are_read_to_the_start_and_back,
}

/// As many rows as the page has at most (`ROWS_MAX` in viewport.js).
const ROWS_MAX: usize = 200;

const SCROLLER: &str = "document.querySelector('[data-part=scroller]')";

const ROWS: &str = "document.querySelectorAll('[data-message-id]').length";

/// The numbers of the messages in sight.
const IN_SIGHT: &str = "const { top, bottom } = document.querySelector('[data-part=scroller]').getBoundingClientRect();
    return [...document.querySelectorAll('[data-message-id]')].filter((row) => {
        const rect = row.getBoundingClientRect();
        return rect.bottom > top && rect.top < bottom;
    }).map((row) => Number(row.dataset.messageId))";

async fn in_sight(window: &Window) -> Vec<u64> {
    serde_json::from_value(window.script(IN_SIGHT).await).unwrap()
}

/// How far below the window's top a message begins.
async fn top_of(window: &Window, id: u64) -> f64 {
    let top = format!(
        "return document.querySelector('[data-message-id=\"{id}\"]').getBoundingClientRect().top"
    );
    window.script(&top).await.as_f64().unwrap()
}

/// Says something as somebody else, and waits until it is stored.
async fn say_all(world: &World, speaker: &User, texts: impl IntoIterator<Item = String>) {
    let mut socket = world.connect(speaker).await;
    for (number, text) in texts.into_iter().enumerate() {
        socket.say(&text, &format!("{text}-{number}")).await;
        while socket.next_frame().await["text"] != text {}
    }
}

async fn messages_stand_in_groups_and_days(world: World) {
    const DAY: Duration = Duration::from_hours(24);
    let bob = world.user("bob").await;
    let now = world.clock.clock().now();
    // Four days ago, yesterday in two groups, today.
    let before = [4 * DAY, DAY + Duration::from_mins(20), DAY, DAY, Duration::ZERO];
    world.store_messages(&bob, before.len(), |number| now.minus(before[number - 1])).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    alice.shows(5).await;

    let days = alice.texts("[data-part=day]").await;
    assert_eq!(days[1..], ["Yesterday", "Today"], "{days:?}");
    assert!(days[0].contains(", ") && days.len() == 3, "{days:?}");
    // Where the author has just spoken, the name is there for who listens only.
    let authors = "return [...document.querySelectorAll('[data-part=author]')].map((name) =>
        [name.textContent, name.parentElement.getBoundingClientRect().width > 1])";
    let named = alice.script(authors).await;
    assert_eq!(named, json!([true, true, true, false, true].map(|shown| ("bob", shown))));
    alice.say("and now me").await;
    alice.say("once more").await;
    alice.shows(7).await;
    let own = "return [...document.querySelectorAll('[data-own]')].map((row) => row.hasAttribute('data-continued'))";
    assert_eq!(alice.script(own).await, json!([false, true]));
    alice.has_clean_console(false).await;
    alice.close().await;
}

async fn links_lead_out_and_give_nothing_away(world: World) {
    let elsewhere = Site::empty().await;
    elsewhere.answers("/favicon.ico", Answer::html(""));
    elsewhere.answers("/there", Answer::html("<title>There</title>"));
    let link = format!("{}/there", elsewhere.foreign_origin());
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    let text = format!("Look ({link}), or javascript:alert(1).");
    alice.say(&text).await;
    assert_eq!(alice.shows(1).await, [(1, text)]);
    let links = alice.script(
        "return [...document.querySelectorAll('[data-part=text] a')].map(({ href }) => href)",
    );
    assert_eq!(links.await, json!([link]));

    let shown = alice.client.find(Locator::Css("[data-part=text] a")).await.unwrap();
    shown.click().await.unwrap();
    world
        .until("the link is followed", async || {
            elsewhere.asked().contains(&"GET /there".to_owned())
        })
        .await;
    let tabs = alice.client.windows().await.unwrap();
    alice.switch_to(&tabs[1]).await;
    alice.until("document.title === 'There'").await;
    assert_eq!(alice.script("return [window.opener, document.referrer]").await, json!([null, ""]));
    alice.client.close_window().await.unwrap();
    alice.switch_to(&tabs[0]).await;
    alice.has_clean_console(false).await;
    alice.close().await;
}

async fn what_came_out_of_sight_is_counted_and_marked(world: World) {
    let bob = world.user("bob").await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    say_all(&world, &bob, ["seen".to_owned()]).await;
    alice.shows(1).await;
    assert_eq!(alice.script("return document.title").await, "Lambda Chat");
    assert_eq!(alice.texts("[data-part=new]").await, Vec::<String>::new());

    let chat = alice.client.window().await.unwrap();
    alice.open_tab("about:blank").await;
    say_all(&world, &bob, ["one", "two", "three"].map(str::to_owned)).await;
    world
        .until("the title counts them", async || {
            alice.titles().await.contains(&"(3) Lambda Chat".to_owned())
        })
        .await;

    // Back again: they are read, and a line says where they begin.
    alice.client.close_window().await.unwrap();
    alice.switch_to(&chat).await;
    alice.until("document.title === 'Lambda Chat'").await;
    let marked = "return [...document.querySelectorAll('[data-message-id]')]
        .filter((row) => !row.querySelector('[data-part=new]').hidden).map((row) => row.dataset.messageId)";
    assert_eq!(alice.script(marked).await, json!(["2"]));
    // Whoever answers has read.
    alice.say("an answer").await;
    alice.shows(5).await;
    assert_eq!(alice.script(marked).await, json!([]));
    alice.has_clean_console(false).await;
    alice.close().await;
}

async fn where_reading_stopped_is_known_after_a_reload(world: World) {
    let bob = world.user("bob").await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    say_all(&world, &bob, ["one".to_owned()]).await;
    alice.shows(1).await;
    alice.client.goto("about:blank").await.unwrap();
    say_all(&world, &bob, ["two", "three"].map(str::to_owned)).await;
    alice.client.goto(&world.base_url()).await.unwrap();
    alice.shows(3).await;
    let marked = "document.querySelector('[data-message-id=\"2\"] [data-part=new]')";
    assert_eq!(alice.script(&format!("return {marked}.hidden")).await, false);
    alice.client.refresh().await.unwrap();
    alice.shows(3).await;
    assert_eq!(alice.script(&format!("return {marked}.hidden")).await, true);
    alice.has_clean_console(false).await;
    alice.close().await;
}

async fn messages_that_come_while_one_reads_back_move_nothing(world: World) {
    let bob = world.user("bob").await;
    world.store_messages(&bob, 100, |_| world.clock.clock().now()).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    alice.shows(100).await;
    alice.script(&format!("{SCROLLER}.scrollTop = 0")).await;
    alice.shows(51).await;
    alice.shows(1).await;
    alice.script(&format!("{SCROLLER}.scrollTop = 900")).await;
    alice.until("!document.querySelector('[data-action=jump]').hidden").await;
    assert_eq!(alice.texts("[data-part=jump-words]").await, ["Newest messages"]);

    let reading = in_sight(&alice).await;
    let top = top_of(&alice, reading[0]).await;
    say_all(&world, &bob, (1..=200).map(|number| format!("new {number}"))).await;
    alice
        .until(
            "document.querySelector('[data-part=jump-words]').textContent === '200 new messages'",
        )
        .await;
    assert_eq!(in_sight(&alice).await, reading);
    assert!((top_of(&alice, reading[0]).await - top).abs() < 2.0);

    alice.click("jump").await;
    alice.until("document.querySelector('[data-action=jump]').hidden").await;
    assert_eq!(in_sight(&alice).await.last(), Some(&300));
    let focused = alice.script("return document.activeElement.name").await;
    assert_eq!(focused, "text");
    // All of them are there, in order, with the line before the first.
    let mut seen = in_sight(&alice).await;
    while seen[0] > 90 {
        alice.script(&format!("{SCROLLER}.scrollTop -= {SCROLLER}.clientHeight / 2")).await;
        alice.until("new Promise((done) => requestAnimationFrame(() => done(true)))").await;
        let mut above = in_sight(&alice).await;
        above.retain(|id| *id < seen[0]);
        seen.splice(0..0, above);
        assert!(alice.script(&format!("return {ROWS}")).await.as_u64().unwrap() <= ROWS_MAX as u64);
    }
    assert_eq!(seen, (seen[0]..=300).collect::<Vec<_>>());
    let overflow = "return document.scrollingElement.scrollHeight - innerHeight";
    assert_eq!(alice.script(overflow).await, 0, "only the messages scroll");
    let marked =
        "return !document.querySelector('[data-message-id=\"101\"] [data-part=new]').hidden";
    assert_eq!(alice.script(marked).await, true);
    alice.has_clean_console(false).await;
    alice.close().await;
}

async fn the_newest_message_stays_in_sight_above_a_long_text(world: World) {
    let bob = world.user("bob").await;
    world.store_messages(&bob, 40, |_| world.clock.clock().now()).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    alice.shows(40).await;
    // A browser may say that what is in sight was moved before it says that there is less room.
    let grow = format!(
        "const field = document.querySelector('textarea');
        const before = {SCROLLER}.clientHeight;
        field.value = 'line\\n'.repeat(9);
        field.dispatchEvent(new Event('input', {{ bubbles: true }}));
        {SCROLLER}.dispatchEvent(new Event('scroll'));
        return before - {SCROLLER}.clientHeight;"
    );
    assert!(alice.script(&grow).await.as_f64().unwrap() > 100.0);
    let below =
        format!("{SCROLLER}.scrollHeight - {SCROLLER}.clientHeight - {SCROLLER}.scrollTop < 2");
    alice.until(&below).await;
    assert_eq!(in_sight(&alice).await.last(), Some(&40));
    // Whoever has scrolled back stays there.
    alice.script(&format!("{SCROLLER}.scrollTop = 300")).await;
    alice.until("!document.querySelector('[data-action=jump]').hidden").await;
    let reading = in_sight(&alice).await[0];
    alice.script("document.querySelector('textarea').value = ''").await;
    alice.until("document.querySelector('textarea').clientHeight < 60").await;
    assert_eq!(in_sight(&alice).await[0], reading);
    alice.has_clean_console(false).await;
    alice.close().await;
}

/// Scrolls through all that is loaded, not quite a window at a time, in the given direction. Says which messages were in sight,
/// in order, and fails when some of the window was blank, or too many rows were in the page.
const SCROLL_THROUGH: &str = "const [direction, done] = arguments;
    const scroller = document.querySelector('[data-part=scroller]');
    const frame = () => new Promise(requestAnimationFrame);
    const seen = [];
    const problems = [];
    (async () => {
        for (let before = null; before !== scroller.scrollTop; ) {
            const { top, bottom } = scroller.getBoundingClientRect();
            const rows = [...document.querySelectorAll('[data-message-id]')];
            const rects = rows.map((row) => row.getBoundingClientRect());
            if (rows.length > 200) problems.push(`${rows.length} rows`);
            if (rects.at(-1).bottom < bottom - 40) problems.push(`blank below ${rows.at(-1).dataset.messageId}`);
            if (rects[0].top > top + 80) problems.push(`blank above ${rows[0].dataset.messageId}`);
            const shown = rows.filter((_, i) => rects[i].bottom > top && rects[i].top < bottom);
            seen.push(...shown.map((row) => Number(row.dataset.messageId)));
            before = scroller.scrollTop;
            scroller.scrollTop += direction * scroller.clientHeight * 0.8;
            await frame();
        }
        done([[...new Set(seen)], problems]);
    })();";

async fn ten_thousand_messages_are_read_to_the_start_and_back(world: World) {
    const MESSAGES: usize = 10_000;
    let bob = world.user("bob").await;
    let began = world.clock.clock().now().minus(Duration::from_secs(60 * MESSAGES as u64));
    let sent_at = |number: usize| began.plus(Duration::from_secs(60 * number as u64));
    world.store_messages(&bob, MESSAGES, sent_at).await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    alice.shows(MESSAGES).await;

    // As fast as a thumb can, to the very start.
    let to_the_start = format!(
        "const [done] = arguments;
        window.rowsMax = 0;
        const pull = () => {{
            {SCROLLER}.scrollTop = 0;
            window.rowsMax = Math.max(window.rowsMax, {ROWS});
            const first = document.querySelector('[data-message-id=\"1\"]');
            if (first && first.getBoundingClientRect().top > 0) done(window.rowsMax);
            else setTimeout(pull, 5);
        }};
        pull();"
    );
    let rows_max = alice.client.execute_async(&to_the_start, Vec::new()).await.unwrap();
    assert!(rows_max.as_u64().unwrap() <= ROWS_MAX as u64, "{rows_max} rows were in the page");

    for (direction, first, last) in [(1, 1, MESSAGES as u64), (-1, MESSAGES as u64, 1)] {
        let seen =
            alice.client.execute_async(SCROLL_THROUGH, vec![json!(direction)]).await.unwrap();
        let (mut seen, problems): (Vec<u64>, Vec<String>) = serde_json::from_value(seen).unwrap();
        assert_eq!(problems, Vec::<String>::new());
        assert!(seen.contains(&first), "begins with {}", seen[0]);
        assert!(seen.contains(&last), "ends with {}", seen.last().unwrap());
        seen.sort_unstable();
        assert_eq!(seen, (1..=MESSAGES as u64).collect::<Vec<_>>(), "some were passed over");
    }

    // Into the middle at once, as by the scroll bar; then another width, and one more message.
    alice.script(&format!("{SCROLLER}.scrollTop = {SCROLLER}.scrollHeight / 2")).await;
    alice.until(&format!("{ROWS} === {ROWS_MAX} && Math.abs(document.querySelector('[data-message-id]').dataset.messageId - 4900) < 500")).await;
    let reading = in_sight(&alice).await;
    let top = top_of(&alice, reading[0]).await;
    alice.client.set_window_size(500, 720).await.unwrap();
    alice.until("innerWidth <= 500").await;
    assert_eq!(in_sight(&alice).await[0], reading[0]);
    assert!((top_of(&alice, reading[0]).await - top).abs() < 60.0, "the bar may be higher");
    say_all(&world, &bob, ["one more".to_owned()]).await;
    alice
        .until("document.querySelector('[data-part=jump-words]').textContent === '1 new message'")
        .await;
    assert_eq!(in_sight(&alice).await[0], reading[0]);
    let place = "return [...document.querySelectorAll('[data-message-id]')].every((row) =>
        row.getAttribute('aria-posinset') === row.dataset.messageId && row.getAttribute('aria-setsize') === '-1')";
    assert_eq!(alice.script(place).await, true);
    alice.has_clean_console(false).await;
    alice.close().await;
}
