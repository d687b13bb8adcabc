//! The page under attack, in a real browser: hostile texts, hostile servers, hostile pages around it.

mod impostor;
mod other_sites;
mod policy;
mod texts;

use serde_json::json;

use crate::{Story, support::browser::Window};

pub fn stories() -> Vec<Story> {
    [texts::stories(), impostor::stories(), other_sites::stories(), policy::stories()]
        .into_iter()
        .flatten()
        .collect()
}

const MARKUP: &str = "<img src=x onerror=window.harmed=1>";

/// Fails when a script of theirs ran, a dialog is open, or an element, an attribute or an address is on the page that
/// the page does not have by itself.
async fn is_unharmed(window: &Window, origin: &str) {
    const LOOK: &str = r"
        const tags = 'html head meta title link script body div noscript template header img h1 h2 p span button main ' +
            'aside ol ul li b time footer form label input textarea';
        const isOwn = (value) => /^[a-z-]+\.(css|js|svg)$/.test(value);
        const found = window.harmed === undefined ? [] : ['a script ran'];
        // An address in a message is a link to where it says, and nothing else is in it.
        const isLink = (element) => element.matches('[data-message-id] [data-part=text] > a') &&
            element.children.length === 0 && /^https?:\/\//.test(element.getAttribute('href')) &&
            element.href === new URL(element.textContent).href &&
            element.rel === 'noopener noreferrer nofollow' && element.target === '_blank' && element.attributes.length === 3;
        for (const element of document.querySelectorAll('*')) {
            if (isLink(element)) continue;
            if (!tags.split(' ').includes(element.localName)) found.push(element.outerHTML);
            for (const { name, value } of element.attributes) {
                const leads = ['href', 'src', 'srcdoc', 'action', 'formaction', 'style', 'background'].includes(name);
                if (name.startsWith('on') || (leads && !isOwn(value))) found.push(`${name}=${value}`);
            }
        }
        for (const part of document.querySelectorAll('[data-message-id] *, [data-error], [data-notice]')) {
            if (part.matches('[data-part], [data-error], [data-notice]') && ![...part.children].every(isLink)) {
                if (!part.matches('[data-part=actions]')) found.push(part.outerHTML);
            }
        }
        return [found, location.origin, document.title.replace('Sign in · ', '')]";
    assert!(window.client.get_alert_text().await.is_err(), "a dialog is open");
    assert_eq!(window.script(LOOK).await, json!([[], origin, "Lambda Chat"]));
}

fn texts(messages: Vec<(u64, String)>) -> Vec<String> {
    messages.into_iter().map(|(_, text)| text).collect()
}
