// @ts-check
/**
 * The view of those who are not signed in: one form that signs in or, in its other mode, registers.
 *
 * @import { Api } from "./api.js"
 * @typedef {"sign-in" | "register"} Mode
 */
import { ApiError } from "./api.js";
import { passwordProblem, usernameProblem } from "./rules.js";
import { find, fromTemplate, inSeconds, setProblem, setText } from "./view.js";

/** Nobody sits out more than an hour. */
const TELL_SECS_MAX = 3_600;

/** @type {Record<Mode, {title: string, busy: string, password: AutoFill, question: string, other: Mode, otherAction: string}>} */
const MODES = {
  "sign-in": {
    title: "Sign in",
    busy: "Signing in…",
    password: "current-password",
    question: "New here?",
    other: "register",
    otherAction: "Create an account",
  },
  register: {
    title: "Create an account",
    busy: "Creating your account…",
    password: "new-password",
    question: "Already have an account?",
    other: "sign-in",
    otherAction: "Sign in",
  },
};

/**
 * @param {HTMLElement} root
 * @param {object} deps
 * @param {Pick<Api, "register" | "login">} deps.api
 * @param {string} deps.notice  why the user is here, or ""
 * @param {string} deps.username  who was signed in before, or ""
 * @returns {() => void} takes the view away
 */
export function mount(root, { api, notice, username: formerUsername }) {
  const view = fromTemplate("sign-in");
  /** @type {HTMLFormElement} */
  const form = find(view, "[data-form]");
  /** @type {HTMLInputElement} */
  const username = find(form, "[name=username]");
  /** @type {HTMLInputElement} */
  const password = find(form, "[name=password]");
  const submit = find(form, "[type=submit]");
  const formError = find(form, '[data-error="form"]');
  const noticeElement = find(view, "[data-notice]");
  const switchMode = find(view, ".switch [data-action]");
  const showPassword = find(form, '[data-action="show-password"]');

  /** @type {Mode} */
  let mode = "sign-in";
  let busy = false;

  /** @param {Mode} newMode */
  function setMode(newMode) {
    mode = newMode;
    const words = MODES[mode];
    setText(find(view, '[data-part="title"]'), words.title);
    setText(find(view, '[data-part="switch-question"]'), words.question);
    setText(switchMode, words.otherAction);
    switchMode.dataset.action = `show-${words.other}`;
    submit.dataset.action = mode;
    password.autocomplete = words.password;
    for (const hint of view.querySelectorAll("[data-hint]")) /** @type {HTMLElement} */ (hint).hidden = mode !== "register";
    setBusy(false);
    showProblems({});
  }

  /** @param {boolean} newBusy */
  function setBusy(newBusy) {
    busy = newBusy;
    setText(submit, busy ? MODES[mode].busy : MODES[mode].title);
    // Not `disabled`, which would drop the keyboard focus.
    submit.setAttribute("aria-disabled", String(busy));
  }

  /** @param {{username?: string, password?: string, form?: string}} problems */
  function showProblems(problems) {
    setProblem(username, form, problems.username ?? "");
    setProblem(password, form, problems.password ?? "");
    setText(formError, problems.form ?? "");
    if (problems.username) username.focus();
    else if (problems.password) password.focus();
  }

  async function submitted() {
    if (busy) return;
    const credentials = { username: username.value.trim(), password: password.value };
    const problems = localProblems(mode, credentials);
    if (problems) return showProblems(problems);

    showProblems({});
    setText(noticeElement, "");
    setBusy(true);
    let registered = false;
    try {
      if (mode === "register") {
        await api.register(credentials.username, credentials.password);
        registered = true;
      }
      await api.login(credentials.username, credentials.password);
    } catch (error) {
      // The account exists now; what is left to do is to sign in.
      if (registered) {
        setMode("sign-in");
        setText(noticeElement, "Your account is ready. Please sign in.");
      }
      setBusy(false);
      showProblems(problemsFrom(error));
      if (error instanceof ApiError && error.status === 401) password.select();
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submitted();
  });
  form.addEventListener("input", ({ target }) => {
    setProblem(target === username ? username : password, form, "");
    setText(formError, "");
  });
  switchMode.addEventListener("click", () => {
    if (busy) return;
    setText(noticeElement, "");
    setMode(MODES[mode].other);
    (username.value === "" ? username : password).focus();
  });
  showPassword.addEventListener("click", () => {
    const visible = password.type === "password";
    password.type = visible ? "text" : "password";
    setText(showPassword, visible ? "Hide" : "Show");
    showPassword.setAttribute("aria-label", visible ? "Hide password" : "Show password");
  });

  setMode("sign-in");
  root.replaceChildren(view);
  username.value = formerUsername;
  (formerUsername === "" ? username : password).focus();
  // Live regions tell only what comes after they are there.
  setText(noticeElement, notice);

  return () => view.remove();
}

/**
 * @param {Mode} mode
 * @param {{username: string, password: string}} credentials
 */
function localProblems(mode, { username, password }) {
  // Who signs in may have chosen the password under older rules; the server knows.
  const problems = mode === "register"
    ? { username: usernameProblem(username), password: passwordProblem(password) }
    : { username: username === "" ? "Enter your username." : null, password: password === "" ? "Enter your password." : null };
  if (problems.username === null && problems.password === null) return null;
  return { username: problems.username ?? "", password: problems.password ?? "" };
}

/**
 * @param {unknown} error
 * @returns {{username?: string, password?: string, form?: string}}
 */
function problemsFrom(error) {
  if (!(error instanceof ApiError)) return { form: error instanceof Error ? error.message : String(error) };
  if (error.status === 409) return { username: error.message };
  if (error.status === 429) return { form: `Too many attempts. ${tryAgain(error.retryAfterSecs)}` };
  if (error.status === 503) return { form: `The server is busy. ${tryAgain(error.retryAfterSecs)}` };

  const { username, password, ...others } = Object.fromEntries(error.fields.map(({ field, detail }) => [field, detail]));
  const rest = Object.values(others).join(" ");
  return { username, password, form: username || password ? rest : rest || error.message };
}

/** @param {number | null} secs */
function tryAgain(secs) {
  if (secs === null || secs > TELL_SECS_MAX) return "Please try again later.";
  return `Try again in ${secs < 120 ? inSeconds(secs) : `${Math.ceil(secs / 60)} minutes`}.`;
}
