//! Unicode and its traps: every text is kept exactly as it was sent, or refused in words.
//!
//! What is a text and what is only white space is decided by the property `White_Space` alone. Characters that cannot be
//! seen either, such as U+200B, are texts: which of them show nothing depends on fonts and on what stands beside them, and
//! writing systems need some of them.

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{Needs, support::World};

crate::stories! {
    Needs::Nothing;
    texts_are_kept_as_sent,
    every_character_but_nul_is_kept,
    texts_that_are_none_are_refused_with_a_code,
    escapes_are_the_characters_that_they_mean,
    bytes_that_are_no_utf_8_are_refused,
    usernames_are_ascii_and_fold_as_ascii,
    passwords_are_their_bytes,
    client_ids_are_compared_as_they_are,
}

/// Texts that somebody has normalised, trimmed, turned or lost before.
const TEXTS: [&str; 34] = [
    "Zo\u{EB}",                                       // NFC
    "Zoe\u{308}",                                     // the same in NFD
    "\u{212B} \u{C5} A\u{30A}",                       // three angstroms
    "\u{FB01} \u{2460} \u{FF21}",                     // what NFKC would replace
    "\u{1E9B}\u{323}",                                // different in all four forms
    "\u{202E}live\u{202C} \u{2066}\u{2067}x\u{2069}", // overrides, isolates
    "\u{202A}\u{202B}\u{202D}\u{2068} never closed",  // and none of them closed
    "\u{200E}\u{200F}\u{61C}marks",                   // directional marks
    "\u{5E9}\u{5DC}\u{5D5}\u{5DD} 123 abc",           // both directions
    "a\u{200B}b\u{200C}c\u{200D}d\u{2060}e\u{FEFF}f", // of no width
    "\u{FEFF}a byte order mark first",
    "Z\u{30D}\u{489}\u{334}\u{327}\u{301}\u{301}\u{301}", // a heap of marks
    "\u{301}a mark first",
    "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}", // a family
    "\u{1F44D}\u{1F3FD} \u{1F1E9}\u{1F1EA} \u{1F1E9}",              // skin, a flag, half a flag
    "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}", // a flag of tags
    "\u{2764}\u{FE0E}\u{2764}\u{FE0F} \u{845B}\u{E0100}",           // variation selectors
    "\u{E000}\u{F8FF}\u{F0000}\u{10FFFD}",                          // private use
    "\u{FFFE}\u{FFFF}\u{FDD0}\u{1FFFE}\u{10FFFF}",                  // noncharacters
    "\u{FFFD}\u{FFFC}\u{FFF9}\u{FFFB}",                             // replacement, annotation
    "\u{378}\u{2FE0}\u{E0080}",                                     // unassigned
    "\u{1}\u{8}\u{B}\u{C}\u{E}\u{1B}[31m\u{7F}\u{80}\u{9F}",        // controls
    "one\r\ntwo\rthree\nfour\u{2028}five\u{2029}six\u{85}seven",
    " \u{A0}\u{3000}kept around\u{2003}\t",
    "\u{DF} \u{1E9E} ss \u{130} \u{131} I i \u{17F} \u{212A}", // what folds oddly
    "\\u0000 \\ud800 \\x00 %00 &#0;",                          // escapes that are none
    "\u{AD}\u{34F}\u{17B4}\u{115F}\u{3164}\u{FFA0}\u{2800}",   // blank for the eye only
    "\u{200B}",
    "\u{180E}",
    "\u{2060}",
    "\u{FEFF}",
    "\u{3164}",
    "\u{2800}",
    "\u{301}",
];

fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["text"].as_str().unwrap()).collect()
}

async fn texts_are_kept_as_sent(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let (mut json, mut plain) = (world.connect(&alice).await, world.connect_plain(&bob).await);
    for (number, text) in TEXTS.iter().enumerate() {
        json.say(text, &number.to_string()).await;
        assert_eq!(json.next_frame().await["text"], *text);
        assert_eq!(plain.next_text().await, format!("alice: {text}"));
        plain.send(*text).await;
        assert_eq!(json.next_frame().await["text"], *text);
        assert_eq!(plain.next_text().await, format!("bob: {text}"));
    }
    let twice: Vec<&str> = TEXTS.iter().flat_map(|text| [*text, *text]).collect();
    assert_eq!(texts(&world.history(&alice).await), twice);
}

async fn every_character_but_nul_is_kept(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    // 4,096 characters are the longest text, also of those that take four bytes.
    let characters: Vec<char> = ('\u{1}'..=char::MAX).collect();
    let sent: Vec<String> = characters.chunks(4096).map(|some| some.iter().collect()).collect();
    for (number, text) in sent.iter().enumerate() {
        socket.say(text, &number.to_string()).await;
        assert!(socket.next_frame().await["text"] == *text, "block {number} came back changed");
    }
    let kept = world.pages(&alice).await;
    assert!(texts(&kept) == sent, "the history has changed a text");
}

async fn texts_that_are_none_are_refused_with_a_code(world: World) {
    let alice = world.user("alice").await;
    let (mut json, mut plain) = (world.connect(&alice).await, world.connect_plain(&alice).await);
    let white_space: String = ('\0'..=char::MAX).filter(|c| c.is_whitespace()).collect();
    assert_eq!(white_space.chars().count(), 25);
    for (text, code, words) in [
        ("a\0", "text_has_nul", "must not hold the character NUL"),
        ("\0a", "text_has_nul", "must not hold the character NUL"),
        ("\u{200B}\0", "text_has_nul", "must not hold the character NUL"),
        (white_space.as_str(), "text_blank", "must not be only white space"),
        ("\u{85}\u{1680}\u{2028}\u{202F}", "text_blank", "must not be only white space"),
        (&"\u{1F980}".repeat(4097), "text_too_long", "must not be longer than 4096 characters"),
        (&"e\u{301}".repeat(2049), "text_too_long", "must not be longer than 4096 characters"),
    ] {
        let frame = json!({"action": "send", "text": text, "client_id": "k"});
        json.send(frame.to_string()).await;
        let refusal = json.next_frame().await;
        assert_eq!(
            (&refusal["code"], &refusal["client_id"]),
            (&json!(code), &json!("k")),
            "{text:?}"
        );
        assert!(refusal["detail"].as_str().unwrap().contains(words), "{refusal}");
        plain.send(text).await;
        assert_eq!(plain.next_text().await, format!("system: text {words}."));
    }
    assert_eq!(world.history(&alice).await, Vec::<Value>::new());
}

async fn escapes_are_the_characters_that_they_mean(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    for (escaped, text) in [
        (r"\u0041\u00e9\u202E\u2028", "Aé\u{202E}\u{2028}"),
        (r"\ud83d\ude00", "😀"),
        (r"\uD83D\uDE00\udbff\udfff", "😀\u{10FFFF}"),
        (r"\ufffe\uffff\ufeff", "\u{FFFE}\u{FFFF}\u{FEFF}"),
        (r"\\ud800", r"\ud800"),
    ] {
        socket.send(format!(r#"{{"action":"send","text":"{escaped}"}}"#)).await;
        assert_eq!(socket.next_frame().await["text"], text, "{escaped}");
    }
    for escaped in [
        r"\ud800",
        r"\udc00",
        r"\ude00\ud83d",
        r"\ud83d\ud83d\ude00",
        r"x\ud83dx",
        r"\ud83d\u0041",
        r"\u00",
        r"\u{1F600}",
        r"\x41",
    ] {
        for frame in [
            format!(r#"{{"action":"send","text":"{escaped}"}}"#),
            format!(r#"{{"action":"send","text":"x","client_id":"{escaped}"}}"#),
        ] {
            socket.send(frame).await;
            let refusal = socket.next_frame().await;
            assert_eq!(refusal["code"], "invalid_frame", "{escaped}");
            assert!(refusal["detail"].as_str().unwrap().contains("not JSON"), "{refusal}");
        }
        for field in ["username", "password"] {
            let body = json!({"username": "mallory", "password": World::PASSWORD}).to_string();
            let body =
                body.replacen(&format!(r#""{field}":""#), &format!(r#""{field}":"{escaped}"#), 1);
            assert_eq!(post(&world, body.as_bytes()).await, 400, "{body}");
        }
    }
    // A byte order mark is no part of JSON.
    socket.send("\u{FEFF}{\"action\":\"ping\"}").await;
    assert_eq!(socket.next_frame().await["code"], "invalid_frame");
    assert_eq!(world.history(&alice).await.len(), 5);
}

/// Registers with this body; the status of the answer, which says why in words.
async fn post(world: &World, body: &[u8]) -> u16 {
    let request = world.http.request(Method::POST, "/auth/register");
    let request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
    let answer = world.http.send(request).await;
    assert!(!answer.body["detail"].as_str().unwrap_or_default().is_empty(), "{}", answer.body);
    answer.status.as_u16()
}

async fn bytes_that_are_no_utf_8_are_refused(world: World) {
    let alice = world.user("alice").await;
    let mut witness = world.connect(&alice).await;
    for bytes in [
        &b"\x80"[..],
        b"\xff\xfe",
        b"\xc3",
        b"\xc3(",
        b"\xc0\x80",                 // an overlong NUL
        b"\xc0\xaf",                 // an overlong slash
        b"\xe0\x80\xaf",             // and a longer one
        b"\xf0\x80\x80\xaf",         // and the longest
        b"\xed\xa0\x80",             // a surrogate
        b"\xed\xa0\xbd\xed\xb8\x80", // a pair of them, as CESU-8 has it
        b"\xf4\x90\x80\x80",         // beyond Unicode
        b"\xf8\x88\x80\x80\x80",
        b"a\x00\xff",
    ] {
        let within =
            |before: &str, after: &str| [before.as_bytes(), bytes, after.as_bytes()].concat();
        let mut plain = world.connect_plain(&alice).await;
        plain.send_bytes(&within("hello ", "")).await;
        assert_eq!(plain.closed().await.0, 1007, "{bytes:?}");
        let mut json = world.connect(&alice).await;
        json.send_bytes(&within(r#"{"action":"send","text":""#, r#""}"#)).await;
        assert_eq!(json.closed().await.0, 1007, "{bytes:?}");

        let body = within(r#"{"username":"mallory","password":"correct horse "#, r#""}"#);
        assert_eq!(post(&world, &body).await, 400, "{bytes:?}");
        let body = within(r#"{"username":"mallory"#, r#"","password":"correct horse"}"#);
        assert_eq!(post(&world, &body).await, 400, "{bytes:?}");
    }
    let account = json!({"username": "mallory", "password": "correct horse"}).to_string();
    assert_eq!(post(&world, format!("\u{FEFF}{account}").as_bytes()).await, 400);
    let utf_16: Vec<u8> = account.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(post(&world, &utf_16).await, 400);
    assert_eq!(world.history(&alice).await, Vec::<Value>::new());
    witness.say("still here", "1").await;
    assert_eq!(witness.next_frame().await["id"], 1);
}

async fn usernames_are_ascii_and_fold_as_ascii(world: World) {
    world.register("kelvin").await;
    world.register("alice").await;
    let account = |name: &str| json!({"username": name, "password": World::PASSWORD});
    for name in [
        "\u{212A}elvin", // the Kelvin sign, whose lower case is k
        "\u{FF4B}elvin", // a wide k
        "kel\u{475}in",  // a Cyrillic letter
        "\u{430}lice",   // another
        "al\u{131}ce",   // a dotless i
        "al\u{130}ce",   // a dotted one, whose lower case is two characters
        "\u{17F}ystem",  // a long s, whose upper case is S
        "ali\u{107}e",
        "alic\u{301}e",
        "ali\u{200B}ce",
        "ali\u{200D}ce",
        "ali\u{AD}ce",
        "\u{FEFF}alice",
        "alice\u{2060}",
        "\u{202E}ecila",
        "\u{2066}alice\u{2069}",
        "alice\0",
        "ali\0ce",
        "alice ",
        "alice\u{A0}",
        "alice\n",
        "al\u{2010}ice",               // a hyphen
        "al\u{FF0E}ice",               // a wide full stop
        "al\u{203F}ice",               // a tie, which programming languages take for _
        "\u{1D5BA}\u{1D5C5}\u{1D5C2}", // mathematical letters
        "\u{661}\u{662}\u{663}",       // digits, but Arabic ones
        "\u{1F600}\u{1F600}\u{1F600}",
    ] {
        let refused = world.http.post("/auth/register", &account(name)).await;
        assert_eq!(
            (refused.status.as_u16(), refused.fields()),
            (422, vec!["username"]),
            "{name:?}"
        );
        let detail = refused.body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("only the letters a–z, digits"), "{name:?}: {detail}");
        // Nor is it taken for somebody else's.
        let login = world.http.post("/auth/login", &account(name)).await;
        assert_eq!(login.status, 401, "{name:?}");
    }
    for (name, status) in [("KELVIN", 409), ("kElViN", 409), ("ALICE", 409)] {
        assert_eq!(
            world.http.post("/auth/register", &account(name)).await.status,
            status,
            "{name}"
        );
        assert_eq!(world.http.post("/auth/login", &account(name)).await.status, 200, "{name}");
    }
}

async fn passwords_are_their_bytes(world: World) {
    // Not the word itself, which is in every log as the name of a field.
    for (number, (password, others)) in [
        (
            "p\u{E4}ssfr\u{F6}se",
            &["pa\u{308}ssfro\u{308}se", "passphrase", "P\u{C4}SSFR\u{D6}SE"][..],
        ),
        ("pa\u{308}ssfro\u{308}se", &["p\u{E4}ssfr\u{F6}se"]),
        ("stra\u{DF}e no. 1", &["strasse no. 1", "stra\u{1E9E}e no. 1"]),
        ("\u{FF50}assphrase", &["passphrase"]),
        ("\u{212A}elvin 273", &["Kelvin 273", "kelvin 273"]),
        ("pass\u{200B}phrase", &["passphrase", "pass\u{200C}phrase"]),
        (" pass word ", &["pass word", " pass word", "\u{A0}pass word "]),
        ("\u{FEFF}passphrase", &["passphrase"]),
        ("\u{202E}esarhpssap", &["passphrase", "esarhpssap"]),
        ("\u{FFFE}\u{10FFFF}\u{E000}", &["\u{FFFE}\u{10FFFF}\u{E001}"]),
        ("\u{1F980}\u{1F980}", &["\u{1F980}\u{1F981}"]),
    ]
    .into_iter()
    .enumerate()
    {
        let account =
            |password: &str| json!({"username": format!("user{number}"), "password": password});
        assert_eq!(world.http.post("/auth/register", &account(password)).await.status, 201);
        for other in others {
            let login = world.http.post("/auth/login", &account(other)).await;
            assert_eq!(login.status, 401, "{password:?} is not {other:?}");
        }
        let login = world.http.post("/auth/login", &account(password)).await;
        assert_eq!(login.status, 200, "{password:?}");
    }
    for (password, status) in [
        ("\u{1F980}".repeat(18), 201),
        ("\u{1F980}".repeat(18) + "x", 422),
        ("\u{1F980}".to_owned(), 422),
        ("pass\0word".to_owned(), 422),
    ] {
        let account = json!({"username": "crab", "password": password});
        assert_eq!(
            world.http.post("/auth/register", &account).await.status,
            status,
            "{password:?}"
        );
    }
}

async fn client_ids_are_compared_as_they_are(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    let keys = [
        "\u{E9}".to_owned(),
        "e\u{301}".to_owned(),
        "K".to_owned(),
        "k".to_owned(),
        "\u{212A}".to_owned(),
        "\u{DF}".to_owned(),
        "ss".to_owned(),
        "x".to_owned(),
        "x\u{200B}".to_owned(),
        "x ".to_owned(),
        " ".to_owned(),
        "\u{FEFF}x".to_owned(),
        "\u{202E}x".to_owned(),
        "\u{FFFE}\u{10FFFF}".to_owned(),
        "__proto__".to_owned(),
        "\u{1D11E}".repeat(64),
        "e\u{301}".repeat(32),
    ];
    // Each is a message of its own, and sent again it is the same one.
    for round in 0..2 {
        for (id, key) in (1..).zip(&keys) {
            socket.say("text", key).await;
            let frame = socket.next_frame().await;
            assert_eq!(
                (&frame["id"], &frame["client_id"]),
                (&json!(id), &json!(key)),
                "{round} {key:?}"
            );
        }
    }
    let history = world.history(&alice).await;
    let kept: Vec<&str> =
        history.iter().map(|message| message["client_id"].as_str().unwrap()).collect();
    assert_eq!(kept, keys);
    for key in ["\u{1D11E}".repeat(65), "e\u{301}".repeat(33), "x\0".to_owned(), String::new()] {
        socket.send(json!({"action": "send", "text": "text", "client_id": key}).to_string()).await;
        assert_eq!(socket.next_frame().await["code"], "invalid_client_id", "{key:?}");
    }
}
