//! The README's pictures: of the chat and of the inspector, as they are when somebody tries the demo. `cargo xtask screenshot`
//! keeps them.

use std::{fs, path::Path};

use local_dev::demo::PASSWORD;
use serde_json::json;

use crate::{
    Needs, demo,
    support::{
        World,
        browser::{Chromium, Window},
    },
};

crate::stories! {
    Needs::ChromiumAlone;
    the_demo_looks_as_the_readme_shows,
}

async fn the_demo_looks_as_the_readme_shows(world: World) {
    let url = world.empty_database().await;
    let process = demo::start(&world, &url).await;
    let mut talking = Vec::new();
    for username in ["jonas", "priya"] {
        talking.push(process.connect(&demo::log_in(&process, username).await).await);
    }
    let chromium = Chromium::start().await;

    let chat = chromium.open(&process.base_url()).await;
    chat.resize(1180, 760).await;
    chat.sign_in("mira", PASSWORD).await;
    chat.until("document.querySelectorAll('[data-list=people] li').length === 3").await;
    chat.say("Did anybody book a table for tonight?").await;
    talking[1].say("Yes! Half past seven, the place by the bridge.", "1").await;
    chat.until("document.body.innerText.includes('the place by the bridge')").await;
    talking[0].type_something().await;
    let typing = "document.querySelector('[data-part=typing]').textContent";
    chat.until(&format!("{typing} === 'jonas is typing…'")).await;
    keep(&chat, "chat").await;
    chat.has_clean_console(false).await;
    chat.close().await;

    let inspector = chromium.open(&format!("{}/_local", process.base_url())).await;
    inspector.resize(1180, 1080).await;
    // The newest is that somebody types; before it, something was said.
    let row = "[...document.querySelectorAll('#invocations-list .row')].filter((row) => \
               row.innerText.includes('Message'))[1]";
    inspector.until(row).await;
    inspector.script(&format!("{row}.click()")).await;
    inspector
        .until("document.querySelector('#details-texts').innerText.includes('by the bridge')")
        .await;
    keep(&inspector, "inspector").await;
    inspector.has_clean_console(false).await;
    inspector.close().await;
    process.stop().await;
    world.drop_database(&url).await;
}

/// Takes a picture in light and one in dark, and keeps them, if that is asked for.
async fn keep(window: &Window, name: &str) {
    for scheme in ["light", "dark"] {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            // Or colours would be seen on their way.
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        window.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
        window.until(&format!("matchMedia('(prefers-color-scheme: {scheme})').matches")).await;
        let picture = window.client.screenshot().await.unwrap();
        if let Some(folder) = std::env::var_os("PICTURES") {
            fs::write(Path::new(&folder).join(format!("{name}-{scheme}.png")), picture).unwrap();
        }
    }
}
