//! Stored texts: markup, texts that turn their line around, piled-up accents.

use serde_json::json;

use super::{is_unharmed, texts};
use crate::{
    Needs,
    support::{
        World,
        browser::{Chromium, Window},
    },
};

crate::stories! {
    Needs::ChromiumAlone;
    texts_that_would_be_markup_stay_texts,
    texts_that_turn_or_pile_up_stay_in_their_place,
}

/// Texts that would run a script, name an element or lead away, if a page took them for markup anywhere. Each that
/// runs says so in `window.harmed`.
const PAYLOADS: [&str; 35] = [
    "<script>window.harmed = 1</script>",
    "</p></li></ol><script>window.harmed = 1</script>",
    "<img src=x onerror=window.harmed=1>",
    "<img src=\"x\" onerror=\"window.harmed = 1\">",
    "<svg onload=window.harmed=1>",
    "<svg><script>window.harmed=1</script></svg>",
    "<svg><a xlink:href=\"javascript:window.harmed=1\"><text y=20>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.harmed=1>",
    "<noscript><p title=\"</noscript><img src=x onerror=window.harmed=1>\">",
    "<template><img src=x onerror=window.harmed=1></template>",
    "<iframe srcdoc=\"<script>parent.harmed=1</script>\"></iframe>",
    "<iframe src=\"javascript:parent.harmed=1\"></iframe>",
    "<object data=\"data:text/html,<script>parent.harmed=1</script>\"></object>",
    "<details open ontoggle=window.harmed=1>",
    "<input autofocus onfocus=window.harmed=1>",
    "<style>@import 'javascript:window.harmed=1'; * { display: none }</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content=\"0; url=//evil.example\">",
    "<base href=//evil.example>",
    "<form action=//evil.example><button>Sign in</button></form>",
    "<a href=\"javascript:window.harmed=1\">click</a>",
    "javascript:window.harmed=1",
    "JaVaScRiPt&#58;window.harmed=1",
    "https://evil.example/?\"onmouseover=\"window.harmed=1",
    "\" onmouseover=\"window.harmed=1\" x=\"",
    "' autofocus onfocus='window.harmed=1' x='",
    "` onclick=window.harmed=1 ",
    "${window.harmed = 1} {{constructor.constructor('window.harmed=1')()}} <%= 1 %> #{1}",
    "&lt;script&gt;window.harmed = 1&lt;/script&gt; &amp;lt; &#x3C;b&#x3E;",
    "\\u003cscript\\u003ewindow.harmed=1\\u003c/script\\u003e",
    "<form id=location><input name=href><input id=cookie></form><img name=body id=documentElement>",
    "\u{2028}window.harmed=1//\u{2029}</script>",
    "]]><!--<script>--><img src=x onerror=window.harmed=1>-->",
    "<x:script xmlns:x=\"http://www.w3.org/1999/xhtml\">window.harmed=1</x:script>",
    "\u{FEFF}<script >window.harmed=1</script\t>\u{85}<ſcript>\r\n<SCRIPT/X>",
];

/// Types a message as it is; keys could not say all of it.
async fn say_exactly(window: &Window, text: &str) {
    let script = "const field = document.querySelector('textarea[name=text]');
        field.value = arguments[0];
        field.dispatchEvent(new Event('input', { bubbles: true }));
        field.form.requestSubmit();";
    window.client.execute(script, vec![json!(text)]).await.unwrap();
}

async fn texts_that_would_be_markup_stay_texts(world: World) {
    let mallory = world.user("mallory").await;
    let mut socket = world.connect(&mallory).await;
    let origin = world.base_url();
    let chromium = Chromium::start().await;
    let alice = chromium.open(&origin).await;
    alice.register("alice", World::PASSWORD).await;

    // As they come, …
    let sent = PAYLOADS;
    for (number, text) in sent.iter().enumerate() {
        socket.say(text, &number.to_string()).await;
        socket.next_frame().await;
    }
    assert_eq!(texts(alice.shows(sent.len()).await), sent);
    is_unharmed(&alice, &origin).await;
    // … as history, …
    alice.client.refresh().await.unwrap();
    alice.is_online().await;
    assert_eq!(texts(alice.shows(sent.len()).await), sent);
    is_unharmed(&alice, &origin).await;
    // … and typed here.
    for text in ["<img src=x onerror=window.harmed=1>", "</textarea><svg onload=window.harmed=1>"] {
        say_exactly(&alice, text).await;
        assert_eq!(socket.next_frame().await["text"], text);
    }
    let shown = texts(alice.shows(sent.len() + 2).await);
    assert_eq!(shown[sent.len()..], [PAYLOADS[2], "</textarea><svg onload=window.harmed=1>"]);
    is_unharmed(&alice, &origin).await;
    alice.has_clean_console(false).await;
    alice.close().await;
}

async fn texts_that_turn_or_pile_up_stay_in_their_place(world: World) {
    // How far left each character of a message begins.
    const LEFTS: &str = "const row = document.querySelector(`[data-message-id='${arguments[0]}']`);
        const text = row.querySelector('[data-part=text]').firstChild;
        return [...text.data].map((_, i) => {
            const range = new Range();
            range.setStart(text, i);
            range.setEnd(text, i + 1);
            return range.getBoundingClientRect().left;
        })";
    const META_IN_ORDER: &str = "return [...document.querySelectorAll('[data-message-id] .meta')].every((meta) =>
        meta.children[0].getBoundingClientRect().right <= meta.children[1].getBoundingClientRect().left)";
    let heap = format!("Z{}", "\u{30D}\u{489}\u{334}\u{327}".repeat(200));
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    let mallory = world.user("mallory").await;
    let mut socket = world.connect(&mallory).await;
    let sent =
        ["abc", "\u{202E}abc\u{2066}", "\u{2067}\u{202D}x\u{202E}", "abc", "above", &heap, "below"];
    for (number, text) in sent.iter().enumerate() {
        socket.say(text, &number.to_string()).await;
        socket.next_frame().await;
    }
    assert_eq!(texts(alice.shows(sent.len()).await), sent);

    let lefts = async |id: u64| -> Vec<f64> {
        let lefts = alice.client.execute(LEFTS, vec![json!(id)]).await.unwrap();
        serde_json::from_value(lefts).unwrap()
    };
    for id in [1, 4] {
        assert!(lefts(id).await.is_sorted_by(|left, right| left < right), "message {id} is turned");
    }
    let turned = lefts(2).await;
    assert!(turned[1..4].is_sorted_by(|left, right| left > right), "the override does something");
    assert_eq!(alice.script(META_IN_ORDER).await, true);

    // A heap of accents leaves no ink outside of its message: with that covered, it makes no difference.
    let cover = "const text = document.querySelector('[data-message-id=\"6\"] [data-part=text]');
        // A caret blinks.
        document.activeElement.blur();
        // Round corners that are painted anew may come out a shade different.
        for (const element of document.querySelectorAll('body *')) element.style.borderRadius = 0;
        const { left, top, width, height } = text.getBoundingClientRect();
        const cover = document.body.appendChild(document.createElement('div'));
        Object.assign(cover.style, { position: 'fixed', background: 'gray', left: `${left}px`, top: `${top}px`,
            width: `${width}px`, height: `${height}px` });";
    // A border that fades would make a difference, too.
    let still = json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]});
    alice.devtools("Emulation.setEmulatedMedia", still).await;
    alice.script(cover).await;
    let with_ink = alice.client.screenshot().await.unwrap();
    alice.script("document.querySelector('[data-message-id=\"6\"] [data-part=text]').style.color = 'transparent'").await;
    assert!(alice.client.screenshot().await.unwrap() == with_ink, "the heap covers its neighbours");
    alice.has_clean_console(false).await;
    alice.close().await;
}
