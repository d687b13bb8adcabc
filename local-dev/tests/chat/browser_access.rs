//! The page for everybody: by keyboard, by screen reader, in light and dark, on any width, with nothing heard or asked
//! unless wanted.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use fantoccini::{Locator, key::Key};
use serde_json::{Value, json};

use crate::{
    Needs,
    browser_line::says_of_the_line,
    support::{
        World,
        browser::{Chromium, Window},
        proxy::Proxy,
        socket::Socket,
    },
};

crate::stories! {
    Needs::Axe;
    axe_finds_nothing_in_any_state,
    axe_finds_nothing_however_the_line_is;
    Needs::ChromiumAlone;
    a_screen_reader_hears_what_is_said,
    the_keyboard_alone_will_do,
    nobody_is_notified_unless_they_asked_and_look_elsewhere
}

/// How to get what is missing.
pub const AXE_HINT: &str = "needs axe: npm install --prefix target/ci-node axe-core";

/// Whether axe is where CI puts Node's packages.
pub fn axe_installed() -> bool {
    axe().is_file()
}

fn axe() -> PathBuf {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/ci-node/node_modules");
    modules.join("axe-core/axe.min.js")
}

/// Fails when axe objects to anything on the page, in light or in dark.
pub async fn axe_finds_nothing(window: &Window, state: &str) {
    const LOOK: &str = "const [done] = arguments;
        axe.run().then(({ violations }) => done(violations.map(({ id, help, nodes }) =>
            `${id}: ${help}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ''}`).join(' / ')}`)));";
    // WebDriver's scripts aren't the page's, and its policy doesn't bind them.
    if window.script("return typeof axe === 'undefined'").await == true {
        window.script(&std::fs::read_to_string(axe()).unwrap()).await;
    }
    for scheme in ["light", "dark"] {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            // A colour on its way to another one is neither.
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        window.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
        let violations = window.client.execute_async(LOOK, Vec::new()).await.unwrap();
        assert_eq!(violations, json!([]), "{state}, {scheme}");
    }
}

async fn axe_finds_nothing_in_any_state(world: World) {
    let bob = world.user("bob").await;
    let chromium = Chromium::start().await;
    let url = world.base_url();
    for narrow in [false, true] {
        let window =
            if narrow { chromium.open_narrow(&url).await } else { chromium.open(&url).await };
        let name = if narrow { "alice" } else { "carol" };
        window.until("document.querySelector('[data-view=sign-in]')").await;
        axe_finds_nothing(&window, "sign-in").await;
        window.click("sign-in").await;
        axe_finds_nothing(&window, "sign-in with errors").await;
        window.click("show-register").await;
        axe_finds_nothing(&window, "registration").await;
        window.client.refresh().await.unwrap();
        window.register(name, World::PASSWORD).await;
        if !narrow {
            axe_finds_nothing(&window, "an empty room").await;
            world.store_messages(&bob, 60, |_| world.clock.clock().now()).await;
            window.client.refresh().await.unwrap();
            window.shows(60).await;
        }
        window.say("A link: https://example.com/.").await;
        window.until("document.querySelector('[data-part=text] a')").await;
        axe_finds_nothing(&window, "a conversation").await;

        window.click("settings").await;
        axe_finds_nothing(&window, "the settings").await;
        window.script("document.querySelector('#settings').hidePopover()").await;

        let scroller = "document.querySelector('[data-part=scroller]')";
        window.script(&format!("{scroller}.scrollTop = {scroller}.scrollHeight / 3")).await;
        window.until("!document.querySelector('[data-action=jump]').hidden").await;
        let mut socket = world.connect(&bob).await;
        socket.say("below", name).await;
        socket.next_frame().await;
        window
            .until(
                "document.querySelector('[data-part=jump-words]').textContent === '1 new message'",
            )
            .await;
        axe_finds_nothing(&window, "read back").await;
        window.click("jump").await;
        window.until("document.querySelector('[data-part=new]:not([hidden])')").await;
        axe_finds_nothing(&window, "the line before what is new").await;

        let outbox = format!(
            "sessionStorage['lambda-chat.outbox.{name}'] = JSON.stringify([{{ client_id: 'x', text: 'failed', \
             refusal: 'The server did not answer.' }}])"
        );
        window.script(&outbox).await;
        window.client.refresh().await.unwrap();
        window.is_online().await;
        window.until("document.querySelector('[data-action=retry]')?.checkVisibility()").await;
        axe_finds_nothing(&window, "a message that failed").await;
        window
            .script(
                "const field = document.querySelector('textarea'); field.value = 'x'.repeat(4200);
            field.dispatchEvent(new Event('input')); field.form.requestSubmit()",
            )
            .await;
        axe_finds_nothing(&window, "a text that is too long").await;
        window.has_clean_console(true).await;
        window.close().await;
    }
}

/// Types, again and again, until nobody waits for it any more.
async fn go_on_typing(world: &World, socket: &mut Socket) {
    loop {
        // The server passes on only so much.
        world.clock.advance(Duration::from_secs(3));
        socket.type_something().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn axe_finds_nothing_however_the_line_is(mut world: World) {
    world.restart_with("MESSAGE_RATE_LIMIT", "2/60").await;
    let mut socket = world.connect(&world.user("bob").await).await;
    let chromium = Chromium::start().await;
    for narrow in [false, true] {
        let proxy = Proxy::before(&world.base_url()).await;
        let url = proxy.url();
        let window =
            if narrow { chromium.open_narrow(url).await } else { chromium.open(url).await };
        window.register(if narrow { "alice" } else { "carol" }, World::PASSWORD).await;
        if narrow {
            window.click("people").await;
        }
        let looking = async {
            let typing =
                "document.querySelector('[data-part=typing]').textContent === 'bob is typing…'";
            window.until(typing).await;
            axe_finds_nothing(&window, "people who are here, one of them typing").await;
            assert_eq!(window.script(&format!("return {typing}")).await, true);
        };
        tokio::select! {
            () = looking => {}
            () = go_on_typing(&world, &mut socket) => {}
        }
        if narrow {
            window.script("document.querySelector('#people').hidePopover()").await;
        }

        window.go_offline(true).await;
        proxy.refuse();
        says_of_the_line(&window, "Offline").await;
        for number in 1..=3 {
            window.say(&format!("message {number}")).await;
        }
        axe_finds_nothing(&window, "messages that wait for the line").await;
        window.go_offline(false).await;
        says_of_the_line(&window, "Reconnecting…").await;
        axe_finds_nothing(&window, "the line on its way").await;
        proxy.forward();
        window.until("document.querySelector('[data-list=pending]').innerText.startsWith('Too many messages')").await;
        axe_finds_nothing(&window, "a message that has to wait").await;

        let session = window.script("return JSON.parse(localStorage['lambda-chat.session'])").await;
        let logout = json!({"refresh_token": session["refresh_token"]});
        assert_eq!(world.http.post("/auth/logout", &logout).await.status, 204);
        window.until("document.querySelector('[data-notice=session]')?.textContent.startsWith('Your session has ended')").await;
        axe_finds_nothing(&window, "a session that has ended").await;
        window.has_clean_console(true).await;
        window.close().await;
    }
}

/// What a screen reader is told of the page: of each element its role and its name, unless it is ignored.
async fn accessibility_tree(window: &Window) -> Vec<(String, String)> {
    let tree = window.devtools("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap().iter();
    let nodes = nodes.filter(|node| node["ignored"] == false);
    let value = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
    nodes.map(|node| (value(&node["role"]), value(&node["name"]))).collect()
}

fn has(tree: &[(String, String)], role: &str, name: &str) -> bool {
    tree.iter().any(|(its_role, its_name)| its_role == role && its_name == name)
}

async fn a_screen_reader_hears_what_is_said(world: World) {
    let bob = world.user("bob").await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    let tree = accessibility_tree(&alice).await;
    for (role, name) in [
        ("RootWebArea", "Lambda Chat"),
        ("heading", "Lambda Chat"),
        ("region", "Messages"),
        ("log", "New messages"),
        ("textbox", "Message"),
        ("button", "Send"),
        ("button", "Notifications"),
        ("button", "Sign out"),
    ] {
        assert!(has(&tree, role, name), "no {role} {name}: {tree:?}");
    }

    // What live regions have said, each once.
    alice.script("window.heard = [];
        for (const region of document.querySelectorAll('[role=log], [role=status], [role=alert]')) {
            new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((node) => {
                if (node.textContent !== '') window.heard.push(node.textContent);
            }))).observe(region, { childList: true });
        }").await;
    let mut socket = world.connect(&bob).await;
    socket.say("Hello alice!", "1").await;
    alice.until("window.heard.length === 1").await;
    alice.say("Hello bob!").await;
    alice.until("window.heard.length === 2").await;
    assert_eq!(alice.script("return window.heard").await, json!(["bob: Hello alice!", "Sent."]));

    // Each message is an item of the list, with its author, also where the eye is spared the name.
    alice.say("It's me again.").await;
    alice.shows(3).await;
    let tree = accessibility_tree(&alice).await;
    assert!(has(&tree, "listitem", ""), "{tree:?}");
    let authors = tree.iter().filter(|(role, name)| role == "StaticText" && name == "alice");
    assert!(authors.count() >= 3, "in the bar and at each message: {tree:?}");
    // What has been heard is not found a second time beside the list.
    alice.until("document.querySelector('[data-part=announcer]').childElementCount === 0").await;
    alice.has_clean_console(false).await;
    alice.close().await;
}

/// Presses a key, wherever the focus is.
pub async fn press(window: &Window, keys: &[Key]) {
    let focused = window.client.active_element().await.unwrap();
    let keys: String = keys.iter().map(|key| char::from(*key)).collect();
    focused.send_keys(&keys).await.unwrap();
}

/// What has the focus, by its hook.
async fn focused(window: &Window) -> String {
    let hook = "const { action, part } = document.activeElement.dataset; return action ?? part ?? document.activeElement.name";
    window.script(hook).await.as_str().unwrap_or_default().to_owned()
}

async fn the_keyboard_alone_will_do(world: World) {
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.until("document.activeElement.name === 'username'").await;
    // The account, without a mouse.
    for _ in 0..4 {
        press(&alice, &[Key::Tab]).await;
    }
    assert_eq!(focused(&alice).await, "show-register");
    press(&alice, &[Key::Enter]).await;
    alice.until("document.activeElement.name === 'username'").await;
    alice.client.active_element().await.unwrap().send_keys("alice").await.unwrap();
    press(&alice, &[Key::Tab]).await;
    alice.client.active_element().await.unwrap().send_keys(World::PASSWORD).await.unwrap();
    press(&alice, &[Key::Enter]).await;
    alice.is_online().await;

    // The composer has the focus; Shift + Enter is a new line, Enter sends.
    assert_eq!(focused(&alice).await, "text");
    let field = alice.client.active_element().await.unwrap();
    field.send_keys("two").await.unwrap();
    press(&alice, &[Key::Shift, Key::Enter]).await;
    field.send_keys("lines").await.unwrap();
    press(&alice, &[Key::Enter]).await;
    assert_eq!(alice.shows(1).await, [(1, "two\nlines".to_owned())]);

    // From there forward to the button, and backward through the messages to the bar.
    press(&alice, &[Key::Tab]).await;
    assert_eq!(focused(&alice).await, "send");
    let mut way = Vec::new();
    for _ in 0..5 {
        press(&alice, &[Key::Shift, Key::Tab]).await;
        way.push(focused(&alice).await);
    }
    assert_eq!(way[..4], ["text", "scroller", "sign-out", "settings"], "{way:?}");
    // Each of them shows that it has the focus.
    press(&alice, &[Key::Tab]).await;
    let outlined = "return getComputedStyle(document.activeElement).outlineStyle !== 'none'";
    assert_eq!(alice.script(outlined).await, true);

    // The menu opens and closes, and the focus comes back.
    alice.script("document.querySelector('[data-action=settings]').focus()").await;
    press(&alice, &[Key::Enter]).await;
    alice.until("document.querySelector('#settings').matches(':popover-open')").await;
    press(&alice, &[Key::Tab]).await;
    assert_eq!(focused(&alice).await, "notify");
    press(&alice, &[Key::Escape]).await;
    alice.until("!document.querySelector('#settings').matches(':popover-open')").await;
    assert_eq!(focused(&alice).await, "settings");
    alice.has_clean_console(false).await;
    alice.close().await;
}

async fn nobody_is_notified_unless_they_asked_and_look_elsewhere(world: World) {
    // The browser's own notifications, which nobody can read back, with a list beside them; and of the notes of sounds their number.
    const WATCH: &str = "window.notified = [];
        window.Notification = class extends Notification {
            constructor(title, options) {
                super(title, options);
                window.notified.push([title, options.body]);
            }
        };
        window.notes = 0;
        window.OscillatorNode = class extends OscillatorNode {
            start(when) {
                super.start(when);
                window.notes += 1;
            }
        };";
    let bob = world.user("bob").await;
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    let allow = async |setting: &str| {
        let permission = json!({
            "permission": {"name": "notifications"}, "setting": setting, "origin": world.base_url(),
        });
        alice.devtools("Browser.setPermission", permission).await;
    };
    // Before the page's own scripts, at every load.
    alice.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH})).await;
    alice.client.refresh().await.unwrap();
    alice.register("alice", World::PASSWORD).await;
    let choose = async |name: &str| {
        alice.click("settings").await;
        let choice = format!("[name={name}]");
        alice.client.find(Locator::Css(&choice)).await.unwrap().click().await.unwrap();
        alice.script("document.querySelector('#settings').hidePopover()").await;
    };

    allow("denied").await;
    choose("notify").await;
    alice.until("document.querySelector('[data-part=settings-problem]').textContent.startsWith('Your browser blocks')").await;
    assert_eq!(alice.script("return document.querySelector('[name=notify]').checked").await, false);
    allow("granted").await;
    choose("notify").await;
    choose("sound").await;
    alice.until("document.querySelector('[name=notify]').checked && document.querySelector('[name=sound]').checked").await;
    assert_eq!(
        alice.script("return window.notes").await,
        2,
        "the sound is heard when it is chosen"
    );
    assert_eq!(alice.texts("[data-part=settings-problem]").await, Vec::<String>::new());

    // It is remembered.
    alice.client.refresh().await.unwrap();
    alice.is_online().await;
    alice.until("document.querySelector('[name=notify]').checked && document.querySelector('[name=sound]').checked").await;
    let mut socket = world.connect(&bob).await;
    socket.say("in sight", "1").await;
    alice.shows(1).await;
    // A page that nobody has touched may play nothing.
    alice.click("settings").await;
    let chat = alice.client.window().await.unwrap();
    alice.open_tab("about:blank").await;
    socket.say("out of sight", "2").await;
    let told = async || alice.titles().await.contains(&"(1) Lambda Chat".to_owned());
    world.until("the title counts it", told).await;
    alice.client.close_window().await.unwrap();
    alice.switch_to(&chat).await;
    alice.until("window.notified.length > 0").await;
    assert_eq!(alice.script("return window.notified").await, json!([["bob", "out of sight"]]));
    assert_eq!(alice.script("return window.notes").await, 2);
    alice.has_clean_console(false).await;
    alice.close().await;
}
