//! local-dev's inspector in a real browser.

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::{
    Needs,
    support::{
        World,
        browser::{Chromium, Window},
    },
};

crate::stories! {
    Needs::Chromium;
    the_inspector_shows_what_happened_and_replays_it,
    a_waterfall_shows_the_steps_of_a_message;
    Needs::ChromiumAlone;
    invocations_are_filtered_by_their_texts,
    an_invocation_is_copied_as_a_sample_and_as_a_command,
    a_refusal_has_a_note_of_what_aws_would_do,
    limits_show_what_is_in_use,
    the_inspector_fits_320_pixels,
    narrow_windows_begin_with_invocations,
    the_keyboard_goes_through_the_panes_as_the_eye_does,
    a_low_window_is_for_invocations_whatever_is_open,
}

/// Opens the inspector.
async fn inspect(chromium: &Chromium, world: &World) -> Window {
    chromium.open(&format!("{}/_local", world.base_url())).await
}

/// Shows the details of the newest invocation of a function.
async fn choose(inspector: &Window, function: &str) {
    let row = format!(
        "[...document.querySelectorAll('#invocations-list .row')].find((row) => \
         row.querySelector('[data-part=function]').textContent === '{function}')"
    );
    inspector.until(&row).await;
    inspector.script(&format!("{row}.click()")).await;
    let title = "document.querySelector('#details-title').textContent";
    inspector.until(&format!("{title}.startsWith('{function} ')")).await;
}

/// The list's rows, each by its function.
const LISTED: &str = "[...document.querySelectorAll('#invocations-list [data-part=function]')].map((name) => name.textContent)";

async fn the_inspector_shows_what_happened_and_replays_it(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    socket.say("said once", "1").await;
    socket.next_text().await;

    let chromium = Chromium::start().await;
    let inspector = inspect(&chromium, &world).await;
    inspector.until("document.querySelectorAll('#connections-list li').length === 1").await;
    // Registered, logged in, connected, said something; the newest is first.
    inspector.until("document.querySelectorAll('#invocations-list .row').length === 4").await;
    inspector.script("document.querySelector('#invocations-list .row').click()").await;
    inspector
        .until("document.querySelector('#details-texts').innerText.includes('said once')")
        .await;
    inspector.script("document.querySelector('#replay').click()").await;
    inspector.until("document.querySelectorAll('#invocations-list .row').length === 5").await;
    // The same send is the same message, with the same number.
    let frame: Value = serde_json::from_str(&socket.next_text().await).unwrap();
    assert_eq!((frame["id"].as_i64(), frame["text"].as_str()), (Some(1), Some("said once")));

    let page = inspector.script("return document.documentElement.innerHTML").await.to_string();
    for secret in [World::PASSWORD, alice.access.as_str(), alice.refresh.as_str()] {
        assert!(!page.contains(secret), "the page shows {secret}");
    }
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

async fn a_waterfall_shows_the_steps_of_a_message(world: World) {
    let chromium = Chromium::start().await;
    let inspector = inspect(&chromium, &world).await;
    let mut socket = world.connect(&world.user("alice").await).await;
    socket.say("a text that is nobody's business", "1").await;
    socket.next_text().await;
    choose(&inspector, "Message").await;
    inspector.until("document.querySelector('#steps-list [data-kind=answer]')").await;
    // A compiled function's log may be read when its answer has come.
    inspector.until("document.querySelectorAll('#steps-list [data-kind=sql]').length >= 2").await;
    let steps = inspector
        .script(
            "return [...document.querySelectorAll('#steps-list .step')].map((step) => [step.dataset.kind, \
             step.innerText.replace(/\\s+/g, ' '), step.querySelector('.fill').getBoundingClientRect().left])",
        )
        .await;
    let steps: Vec<(String, String, f64)> = serde_json::from_value(steps).unwrap();
    let kinds: Vec<&str> = steps.iter().map(|(kind, ..)| kind.as_str()).collect();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("event", "answer"));
    assert!(steps.is_sorted_by_key(|(.., left)| *left), "{steps:?}");
    let texts = |kind: &str| {
        let of_kind = steps.iter().filter(|(of, ..)| *of == kind);
        of_kind.map(|(_, text, _)| text.as_str()).collect::<Vec<_>>()
    };
    let statements = texts("sql");
    assert!(statements.iter().all(|text| text.contains(" ms")), "{statements:?}");
    assert!(statements.iter().any(|text| text.contains("select")), "{statements:?}");
    let posts = texts("post");
    assert_eq!(posts.len(), 1, "{steps:?}");
    let to = format!("to {}", world.connection_ids().await[0]);
    assert!(posts[0].contains(&to) && posts[0].contains("1 sent"), "{posts:?}");
    assert!(!statements.iter().any(|text| text.contains("business")), "{statements:?}");
    inspector.until("document.querySelector('#invocations-list .fill [data-kind=sql]')").await;
    inspector.until("document.querySelector('#invocations-list .fill [data-kind=post]')").await;
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

async fn invocations_are_filtered_by_their_texts(world: World) {
    let mut socket = world.connect(&world.user("alice").await).await;
    for text in ["about apples", "about pears"] {
        socket.say(text, text).await;
        socket.next_text().await;
    }
    let chromium = Chromium::start().await;
    let inspector = inspect(&chromium, &world).await;
    let shows = async |functions: &[&str]| {
        inspector.until(&format!("String({LISTED}) === '{}'", functions.join(","))).await;
    };
    shows(&["Message", "Message", "Connect", "Login", "Register"]).await;
    let type_keys = async |keys: &str| {
        let active = inspector.client.active_element().await.unwrap();
        active.send_keys(keys).await.unwrap();
    };
    // The key leads to the filter and is not typed into it.
    type_keys("/").await;
    type_keys("pears").await;
    shows(&["Message"]).await;
    // What comes later is searched, too.
    socket.say("no more pears", "3").await;
    socket.next_text().await;
    shows(&["Message", "Message"]).await;
    let filter = inspector.client.find(Locator::Css("#filter")).await.unwrap();
    assert_eq!(filter.prop("value").await.unwrap().as_deref(), Some("pears"));
    let connection = world.connection_ids().await.remove(0);
    for (words, functions) in [
        ("login 200", &["Login"] as &[_]),
        ("post /auth/register", &["Register"]),
        (&*connection, &["Message", "Message", "Message", "Connect"]),
        ("nowhere-to-be-found", &[]),
    ] {
        filter.clear().await.unwrap();
        filter.send_keys(words).await.unwrap();
        shows(functions).await;
    }
    inspector.until("!document.querySelector('#invocations-empty').hidden").await;

    // A page that is paused stays as it is.
    // Ctrl-A, Backspace.
    filter.send_keys("\u{E009}a\u{E000}\u{E003}").await.unwrap();
    shows(&["Message", "Message", "Message", "Connect", "Login", "Register"]).await;
    inspector.client.find(Locator::Css("#pause")).await.unwrap().click().await.unwrap();
    socket.say("unseen", "4").await;
    socket.next_text().await;
    inspector.until("document.querySelector('#paused').textContent.includes('1 new')").await;
    shows(&["Message", "Message", "Message", "Connect", "Login", "Register"]).await;
    inspector.client.find(Locator::Css("#pause")).await.unwrap().click().await.unwrap();
    shows(&["Message", "Message", "Message", "Message", "Connect", "Login", "Register"]).await;
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

async fn an_invocation_is_copied_as_a_sample_and_as_a_command(world: World) {
    let mut socket = world.connect(&world.user("alice").await).await;
    socket.say("it's quoted", "1").await;
    socket.next_text().await;
    let chromium = Chromium::start().await;
    let inspector = inspect(&chromium, &world).await;
    choose(&inspector, "Message").await;
    // What a page copies is seen by what it asks for: a browser without a window lets nothing onto its clipboard.
    inspector
        .script("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
        .await;
    let copied = async |button: &str| {
        inspector.script("delete window.copied").await;
        inspector.client.find(Locator::Css(button)).await.unwrap().click().await.unwrap();
        inspector.until("window.copied").await;
        inspector.script("return window.copied").await.as_str().unwrap().to_owned()
    };
    let sample = copied("#copy-sample").await;
    let event: Value = serde_json::from_str(&sample).unwrap();
    assert_eq!(event["requestContext"]["routeKey"], "$default");
    assert!(event["body"].as_str().unwrap().contains("it's quoted"));
    assert!(sample.starts_with("{\n  \"requestContext\": {\n") && sample.ends_with("}\n"));

    // A shell reads the same out of the command.
    let line = copied("#copy-invoke").await;
    let arguments = line.strip_prefix("cargo lambda invoke ").expect("it is the command");
    let shell = tokio::process::Command::new("sh")
        .args(["-c", &format!("printf '%s\\n' {arguments}")])
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8(shell.stdout).unwrap();
    let words: Vec<&str> = printed.lines().collect();
    assert_eq!(words[..2], ["message", "--data-ascii"]);
    assert_eq!(serde_json::from_str::<Value>(words[2]).unwrap(), event);
    assert_eq!(words.len(), 3);

    // No secret is copied.
    choose(&inspector, "Login").await;
    inspector
        .until("document.querySelector('#details-texts').innerText.includes('/auth/login')")
        .await;
    for button in ["#copy-sample", "#copy-invoke"] {
        let text = copied(button).await;
        assert!(text.contains("[redacted]") && !text.contains(World::PASSWORD), "{text}");
    }
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

async fn a_refusal_has_a_note_of_what_aws_would_do(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    let chromium = Chromium::start().await;
    let inspector = inspect(&chromium, &world).await;
    inspector.until("!document.querySelector('#refusals-empty').hidden").await;
    let refused = |words: &str| {
        format!("document.querySelector('#refusals-list').innerText.includes('{words}')")
    };
    let nowhere = format!("{}/auth/nowhere", world.base_url());
    for _ in 0..2 {
        assert_eq!(reqwest::get(&nowhere).await.unwrap().status(), 404);
    }
    inspector.until(&refused("404 Not Found")).await;
    inspector.until(&refused("2 times")).await;
    inspector.until(&refused("GET /auth/nowhere")).await;
    socket.send(&"x".repeat(40_000)).await;
    inspector.until(&refused("close code 1009")).await;

    // A function that fails has the note in its details.
    let faults = format!("{}/_local/faults", world.base_url());
    let faults = reqwest::Client::new().put(faults).json(&json!({ "crash-before@Messages": 1 }));
    assert_eq!(faults.send().await.unwrap().status(), 200);
    let messages = format!("{}/auth/messages", world.base_url());
    assert_eq!(reqwest::get(&messages).await.unwrap().status(), 500);
    choose(&inspector, "Messages").await;
    let note = "document.querySelector('#details-notes').innerText";
    inspector.until(&format!("{note}.includes('500 Internal Server Error')")).await;
    let source = inspector.script("return document.querySelector('#details-notes a').href").await;
    assert!(source.as_str().unwrap().starts_with("https://docs.aws.amazon.com/"), "{source}");
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

async fn limits_show_what_is_in_use(world: World) {
    let mut socket = world.connect(&world.user("alice").await).await;
    let chromium = Chromium::start().await;
    let inspector = inspect(&chromium, &world).await;
    inspector.client.find(Locator::Css("#limits summary")).await.unwrap().click().await.unwrap();
    let panel = "document.querySelector('#limits').innerText";
    inspector.until(&format!("{panel}.includes('1 connection is open')")).await;
    let used = |name: &str, words: &str| {
        let row = format!("document.querySelector('#limits-rows [data-name=\"{name}\"]')");
        format!("{row}.querySelector('[data-part=used]').textContent.includes('{words}')")
    };
    socket.say(&"x".repeat(3_000), "1").await;
    let frame = socket.next_text().await;
    // Whichever is longer, the message or what is said of it.
    let longest = frame.len();
    let longest = format!("up to {},{:03}", longest / 1000, longest % 1000);
    inspector.until(&used("message-bytes", &longest)).await;
    inspector.until(&used("integration-timeout", " ms")).await;
    inspector.until(&used("request-rate", "of the burst")).await;
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

async fn the_inspector_fits_320_pixels(world: World) {
    let mut socket = world.connect(&world.user("alice").await).await;
    socket.say(&"an-endless-word".repeat(20), "1").await;
    socket.next_text().await;
    let nowhere = format!("{}/auth/{}", world.base_url(), "nowhere".repeat(20));
    reqwest::get(nowhere).await.unwrap();
    let chromium = Chromium::start().await;
    let inspector = chromium.open_narrow(&format!("{}/_local", world.base_url())).await;
    choose(&inspector, "Message").await;
    inspector
        .script("document.querySelectorAll('details').forEach((panel) => { panel.open = true; })")
        .await;
    inspector.until("document.querySelector('#steps-list .step')").await;
    inspector.until("document.querySelector('#limits-rows > div')").await;
    assert_eq!(inspector.script("return innerWidth").await, 320);
    assert_eq!(inspector.script("return document.scrollingElement.scrollWidth").await, 320);
    // Who chooses on a narrow page is led to what was chosen, and back.
    assert_eq!(inspector.script("return document.activeElement.id").await, "details-title");
    inspector.client.find(Locator::Css("#back")).await.unwrap().click().await.unwrap();
    inspector.until("document.activeElement.matches('#invocations-list .row')").await;
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

async fn narrow_windows_begin_with_invocations(world: World) {
    world.user("alice").await;
    let chromium = Chromium::start().await;
    let inspector = inspect(&chromium, &world).await;
    inspector.until("document.querySelector('#invocations-list .row')").await;
    let filter = inspector.client.find(Locator::Css("#filter")).await.unwrap();
    for (width, height) in [(320, 568), (768, 1024)] {
        inspector.resize(width, height).await;
        // Where nothing is typed yet, the field shows all of its words.
        filter.clear().await.unwrap();
        assert_eq!(inspector.script(PLACEHOLDER_FITS).await, true, "the filter at {width}");
        for (words, shown) in
            [("login", "#invocations-list .row"), ("nowhere", "#invocations-empty")]
        {
            filter.clear().await.unwrap();
            filter.send_keys(words).await.unwrap();
            // While words are typed, others may be found for a moment by the first of their letters.
            let number = u8::from(words == "login");
            let bottom =
                format!("document.querySelector('{shown}').getBoundingClientRect().bottom");
            let is_seen = format!("0 < {bottom} && {bottom} <= {height}");
            inspector.until(&format!("{LISTED}.length === {number} && {is_seen}")).await;
        }
    }
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

/// Whether the filter's field is as wide as the words that stand in it while it is empty, and the cross that empties it.
const PLACEHOLDER_FITS: &str = "
    const field = document.querySelector('#filter');
    const style = getComputedStyle(field);
    const canvas = document.createElement('canvas').getContext('2d');
    canvas.font = style.font;
    const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return canvas.measureText(field.placeholder).width + parseFloat(style.fontSize) <= room";

async fn the_keyboard_goes_through_the_panes_as_the_eye_does(world: World) {
    world.user("alice").await;
    let chromium = Chromium::start().await;
    let inspector = inspect(&chromium, &world).await;
    choose(&inspector, "Login").await;
    for (width, height) in [(320, 568), (768, 1024), (1280, 900), (1920, 1080)] {
        inspector.resize(width, height).await;
        let panes = inspector.script(PANES).await;
        let panes: Vec<[f64; 4]> = serde_json::from_value(panes).unwrap();
        // In the order of the document, which Tab follows: each is below the one before it, or to its right.
        for pair in panes.windows(2) {
            let ([_, _, right, bottom], [left, top, ..]) = (pair[0], pair[1]);
            assert!(top >= bottom || left >= right, "at {width}: {panes:?}");
        }
    }
    let jumps = "return document.querySelectorAll('[tabindex]:not([tabindex=\"0\"], [tabindex=\"-1\"])').length";
    assert_eq!(inspector.script(jumps).await, 0);
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

/// Where the bar and the panes are: left, top, right, bottom.
const PANES: &str = "return [...document.querySelectorAll('.bar, .panes > *')].map((pane) => {
    const { left, top, right, bottom } = pane.getBoundingClientRect();
    return [left, top, right, bottom];
})";

async fn a_low_window_is_for_invocations_whatever_is_open(world: World) {
    world.user("alice").await;
    let chromium = Chromium::start().await;
    let inspector = inspect(&chromium, &world).await;
    choose(&inspector, "Login").await;
    inspector.until("document.querySelector('#limits-rows > div')").await;
    let (list, details) = ("#invocations-list", "#details");
    for (width, height) in [(1280, 600), (1024, 500)] {
        inspector.resize(width, height).await;
        for is_open in [false, true] {
            inspector
                .script(&format!(
                    "document.querySelectorAll('details').forEach((panel) => {{ panel.open = {is_open}; }})"
                ))
                .await;
            for pane in [list, details] {
                let pane = format!("document.querySelector('{pane}').getBoundingClientRect()");
                let shown =
                    inspector.script(&format!("return [{pane}.height, {pane}.bottom]")).await;
                let [tall, bottom]: [f64; 2] = serde_json::from_value(shown).unwrap();
                let height = f64::from(height);
                assert!(
                    tall > height / 2.0 && bottom <= height,
                    "{pane} of {width}×{height}: {tall}"
                );
            }
        }
    }
    inspector.has_clean_console(false).await;
    inspector.close().await;
}
