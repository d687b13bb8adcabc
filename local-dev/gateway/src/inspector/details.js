// @ts-check
/**
 * One invocation: facts, event, answer, log, and how to have it again.
 *
 * @import { Store } from "./store.js"
 */
import { duration, find, fromTemplate, request, setPart, setText, size, timeOfDay } from "./api.js";
import { showNote } from "./refusals.js";
import { outcome } from "./store.js";
import { drawSteps } from "./waterfall.js";

/** More of one text makes a page slow; Copy has all of it. */
const SHOWN_CHARACTERS_MAX = 200_000;
/** An argument of a command has 128 KiB at most on Linux; a longer event goes by a file. */
const ARGUMENT_CHARACTERS_MAX = 100_000;
/** How long a button says what it has done, in milliseconds. */
const SAID_MS = 1_500;

/** @param {Store} store @param {(id: string) => void} select */
export function mountDetails(store, select) {
  const texts = find("#details-texts");
  const replay = /** @type {HTMLButtonElement} */ (find("#replay"));
  /** What is shown, or about to be: an answer that comes too late is not. */
  let shown = "";
  /** What the buttons copy. */
  const copies = { "copy-sample": "", "copy-invoke": "" };

  for (const [id, label] of Object.entries({ "copy-sample": "Copy as sample event", "copy-invoke": "Copy as cargo lambda invoke" })) {
    const button = find(`#${id}`);
    button.addEventListener("click", () => copy(button, copies[/** @type {keyof typeof copies} */ (id)], label));
  }
  replay.addEventListener("click", async () => {
    const id = store.selected;
    if (id === null || replay.disabled) return;
    replay.disabled = true;
    setText(replay, "Replaying…");
    setText(find("#details-error"), "");
    try {
      select((await request("POST", `/invocations/${id}/replay`)).id);
    } catch (failure) {
      setText(find("#details-error"), `It was not replayed. ${/** @type {Error} */ (failure).message}`);
    }
    replay.disabled = false;
    setText(replay, "Replay");
  });

  find("#back").addEventListener("click", () => {
    /** @type {HTMLElement | null} */ (document.querySelector("#invocations-list .row[tabindex='0']"))?.focus();
  });

  return async () => {
    const id = store.selected;
    if (id === null) return;
    const wanted = JSON.stringify([id, store.selectedInvocation]);
    if (wanted === shown) return;
    shown = wanted;
    try {
      const invocation = await request("GET", `/invocations/${id}`);
      if (shown !== wanted) return;
      copies["copy-sample"] = `${pretty(invocation.event)}\n`;
      copies["copy-invoke"] = invokeLine(invocation);
      show(texts, invocation);
    } catch (failure) {
      if (shown === wanted) setText(find("#details-error"), /** @type {Error} */ (failure).message);
    }
  };
}

/** @param {HTMLElement} texts @param {any} invocation */
function show(texts, invocation) {
  setText(find("#details-error"), "");
  find("#details-empty").hidden = true;
  find("#details-content").hidden = false;
  setText(find("#details-title"), `${invocation.function} · ${invocation.route}`);
  showFacts([
    ["Outcome", outcome(invocation)],
    ["Duration", duration(invocation.duration_ms)],
    ["Start", invocation.start],
    ["Time", timeOfDay(invocation.started_at, 3)],
    ["Event", size(invocation.event_bytes)],
    ["Answer", invocation.response_bytes === null ? "none" : size(invocation.response_bytes)],
    ["Connection", invocation.connection_id ?? ""],
    ["Invocation", invocation.id],
    ["Request", invocation.request_id],
    ["Replay of", invocation.replay_of ?? ""],
  ]);
  find("#details-notes").replaceChildren(...invocation.refusals.map((/** @type {any} */ refusal) => {
    const note = fromTemplate("note");
    setPart(note, "title", refusal.title);
    showNote(note, refusal);
    return note;
  }));
  drawSteps(find("#steps-list"), invocation);
  setText(find("#steps-hint"), stepsHint(invocation));
  const answer = invocation.response_is_json ? pretty(invocation.response) : invocation.response ?? "";
  const url = `${location.origin}/_local/invocations/${invocation.id}/replay`;
  const sections = [
    ["Error", invocation.error ?? ""],
    ["Answer", answer],
    ["Answer's body", body(invocation.response)],
    ["Log", invocation.log.join("\n")],
    ["Event's body", body(invocation.event)],
    ["Event", pretty(invocation.event)],
    ["Replay from a shell", `curl -X POST ${url}`],
    ["Invoke by cargo lambda", invokeLine(invocation)],
  ];
  const known = new Map([...texts.children].map((text) => [/** @type {HTMLElement} */ (text).dataset.text, text]));
  texts.replaceChildren(...sections.filter(([, text]) => text !== "").map(([title, text]) => {
    const section = /** @type {HTMLElement} */ (known.get(title) ?? newText(title));
    setPart(section, "text", text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text);
    const button = find("[data-part=copy]", section);
    button.onclick = () => copy(button, text, "Copy");
    return section;
  }));
}

/** @param {string} title */
function newText(title) {
  const section = fromTemplate("text");
  section.dataset.text = title;
  setPart(section, "title", title);
  find("pre", section).setAttribute("aria-label", title);
  find("[data-part=copy]", section).setAttribute("aria-label", `Copy: ${title}`);
  return section;
}

/** What the steps do not say. @param {any} invocation */
function stepsHint({ has_steps, steps_dropped }) {
  if (!has_steps) return "So many invocations came at once while nobody looked that their steps were not recorded.";
  return steps_dropped > 0 ? `… and ${steps_dropped} more steps` : "";
}

/** A command that invokes the function with the event. @param {any} invocation */
function invokeLine({ program, event }) {
  const json = withoutBidi(JSON.stringify(event));
  const data = json.length > ARGUMENT_CHARACTERS_MAX ? "--data-file event.json" : `--data-ascii ${quoted(json)}`;
  return `cargo lambda invoke ${program} ${data}`;
}

/** A word for a shell. @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {HTMLElement} button @param {string} text @param {string} label  what the button says otherwise */
async function copy(button, text, label) {
  try {
    await navigator.clipboard.writeText(text);
    setText(button, "Copied");
  } catch {
    setText(button, "Not copied");
  }
  setTimeout(() => setText(button, label), SAID_MS);
}

/** @param {string[][]} facts */
function showFacts(facts) {
  find("#details-facts").replaceChildren(...facts.filter(([, value]) => value !== "").map(([name, value]) => {
    const fact = document.createElement("div");
    fact.append(document.createElement("dt"), document.createElement("dd"));
    fact.children[0].textContent = name;
    fact.children[1].textContent = value;
    fact.toggleAttribute("data-wide", value.length >= 16);
    return fact;
  }));
}

/**
 * JSON that shows what is in it: characters that only turn the direction of others stand as escapes.
 * @param {unknown} document
 */
function pretty(document) {
  return withoutBidi(JSON.stringify(document, null, 2) ?? "");
}

/** @param {string} json */
function withoutBidi(json) {
  return json.replace(/\p{Bidi_Control}/gu, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The body of an event or an answer, readable; "" if there is none or it is no text. @param {any} document */
function body(document) {
  let text = document?.body;
  if (typeof text !== "string") return "";
  try {
    if (document.isBase64Encoded) {
      const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    }
  } catch {
    return "";
  }
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}
