// @ts-check
/**
 * Where the user writes: the field that grows, its draft, its counter, what is wrong with the text.
 *
 * @import { KeyValue } from "./session.js"
 */
import { TEXT_CHARACTERS_MAX, isBlank, textCharacters, textProblem } from "./rules.js";
import { keep } from "./session.js";
import { find, setProblem, setText } from "./view.js";

const COUNTER_FROM = TEXT_CHARACTERS_MAX - 200;

export class Composer {
  #view;
  #storage;
  #draftKey;
  /** @type {HTMLTextAreaElement} */
  #field;
  #counter;
  #counterStatus;

  /**
   * @param {ParentNode} view
   * @param {object} deps
   * @param {string} deps.username
   * @param {KeyValue} deps.storage  keeps the draft over a reload
   * @param {(text: string) => void} deps.send  takes a text that keeps the rules
   * @param {() => void} deps.typed  hears that a text is being written
   */
  constructor(view, { username, storage, send, typed }) {
    this.#view = view;
    this.#storage = storage;
    this.#draftKey = `lambda-chat.draft.${username}`;
    /** @type {HTMLFormElement} */
    const form = find(view, '[data-form="send"]');
    this.#field = find(form, "[name=text]");
    this.#counter = find(view, '[data-part="counter"]');
    this.#counterStatus = find(view, '[data-part="counter-status"]');

    this.#field.addEventListener("input", () => {
      this.#changed();
      if (!isBlank(this.#field.value)) typed();
    });
    this.#field.addEventListener("keydown", (event) => {
      // An Enter that ends a composition belongs to the input method.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      if (!event.repeat && !isBlank(this.#field.value)) form.requestSubmit();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submitted(send);
    });
  }

  get text() {
    return this.#field.value;
  }

  set text(text) {
    this.#field.value = text;
    this.#changed();
  }

  restoreDraft() {
    this.text = this.#storage.getItem(this.#draftKey) ?? "";
  }

  focus() {
    this.#field.focus();
  }

  /** Says what is wrong with the text until it is changed. @param {string} problem */
  refuse(problem) {
    setProblem(this.#field, this.#view, problem);
  }

  /** @param {(text: string) => void} send */
  #submitted(send) {
    const { text } = this;
    const problem = textProblem(text);
    if (problem === null) {
      this.text = "";
      send(text);
    } else {
      this.refuse(problem);
      this.focus();
    }
  }

  #changed() {
    const { text } = this;
    this.refuse("");
    const characters = text.length < COUNTER_FROM ? 0 : textCharacters(text);
    const hidden = characters < COUNTER_FROM;
    this.#counter.hidden = hidden;
    const words = `${characters.toLocaleString("en")} of ${TEXT_CHARACTERS_MAX.toLocaleString("en")} characters`;
    setText(this.#counter, hidden ? "" : words);
    this.#counter.toggleAttribute("data-over", characters > TEXT_CHARACTERS_MAX);
    setText(this.#counterStatus, hidden ? "" : roomLeft(characters));
    this.#grow();
    keep(this.#storage, this.#draftKey, text);
  }

  #grow() {
    const field = this.#field;
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  }
}

/** In steps, as not every character is worth an announcement. @param {number} characters */
function roomLeft(characters) {
  const left = TEXT_CHARACTERS_MAX - characters;
  return left < 0 ? "The message is too long." : `Less than ${50 * Math.floor(left / 50) + 50} characters left`;
}
