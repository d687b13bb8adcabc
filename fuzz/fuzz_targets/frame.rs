//! Any text as a frame, in both protocols: it is read by the rules or refused in a form that clients can read.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Value, json};
use shared::{
    account::Username,
    chat::{Draft, Message, Text},
    clock::UnixMillis,
    frame::{Action, Protocol, Refusal},
};

fuzz_target!(|input: &[u8]| -> Corpus {
    // API Gateway closes a socket on which anything else comes.
    let Ok(frame) = str::from_utf8(input) else { return Corpus::Reject };
    for protocol in [Protocol::Plain, Protocol::ChatV1] {
        match protocol.read(frame) {
            Ok(Action::Send(draft)) => check_draft(protocol, frame, draft),
            Ok(Action::Typing | Action::Ping) => assert_eq!(protocol, Protocol::ChatV1),
            Err(refusal) => check_refusal(&refusal),
        }
    }
    Corpus::Keep
});

fn check_draft(protocol: Protocol, frame: &str, draft: Draft) {
    let text = draft.text.as_str();
    assert!((1..=Text::CHARS_MAX).contains(&text.chars().count()));
    assert!(!text.contains('\0') && !text.trim().is_empty());
    if protocol == Protocol::Plain {
        assert_eq!(text, frame, "a plain frame is its text");
        assert_eq!(draft.client_id, None);
    }
    if let Some(id) = &draft.client_id {
        assert!((1..=64).contains(&id.as_str().chars().count()) && !id.as_str().contains('\0'));
    }

    // Written as a client would, it means the same.
    let mut again = json!({ "action": "send", "text": text });
    if let Some(id) = &draft.client_id {
        again["client_id"] = json!(id.as_str());
    }
    assert_eq!(Protocol::ChatV1.read(&again.to_string()), Ok(Action::Send(draft.clone())));

    let message = Message {
        id: 17,
        username: Username::parse("alice").expect("a name"),
        text: draft.text,
        sent_at: UnixMillis(1_795_428_943_377),
        client_id: draft.client_id,
    };
    let shown: Value =
        serde_json::from_str(&Protocol::ChatV1.message(&message)).expect("a frame is JSON");
    assert_eq!(shown["text"], message.text.as_str());
    assert_eq!(shown["client_id"].as_str(), message.client_id.as_ref().map(|id| id.as_str()));
    assert_eq!(Protocol::Plain.message(&message), format!("alice: {}", message.text.as_str()));
}

fn check_refusal(refusal: &Refusal) {
    let shown: Value =
        serde_json::from_str(&Protocol::ChatV1.refusal(refusal)).expect("a frame is JSON");
    assert_eq!(shown["type"], "error");
    let code = shown["code"].as_str().expect("a code");
    assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
    assert!(!shown["detail"].as_str().expect("a detail").is_empty());
    assert!(Protocol::Plain.refusal(refusal).starts_with("system: "));
}
