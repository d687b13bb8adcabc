// @ts-check
/**
 * The server's rules for what people type, which may be no stricter here. Each returns what is wrong, or null.
 */

export const TEXT_CHARACTERS_MAX = 4_096;

/** @param {string} username */
export function usernameProblem(username) {
  if (username === "") return "Enter a username.";
  if (username.length < 3 || username.length > 32) return "Use 3 to 32 characters.";
  // Not folded before: in Unicode, the Kelvin sign's lower case is k.
  if (!/^[A-Za-z0-9_.-]+$/.test(username)) return "Use only letters a–z, digits, and the signs _ . -";
  if (!/^[A-Za-z0-9]/.test(username)) return "Start with a letter or a digit.";
  if (username.toLowerCase() === "system") return "This name is reserved. Choose another one.";
  return null;
}

/** @param {string} password */
export function passwordProblem(password) {
  if (password === "") return "Enter a password.";
  // bcrypt counts bytes, not characters.
  const bytes = new TextEncoder().encode(password).length;
  if (bytes < 8) return "Use at least 8 characters.";
  if (bytes > 72) return "Use at most 72 characters (fewer with accents or emoji).";
  return null;
}

/** @param {string} text */
export function isBlank(text) {
  return /^\p{White_Space}*$/u.test(text);
}

/** @param {string} text */
export function textProblem(text) {
  if (isBlank(text)) return "Write a message first.";
  const surplus = textCharacters(text) - TEXT_CHARACTERS_MAX;
  if (surplus > 0) return `This message is too long by ${surplus.toLocaleString("en")} ${surplus === 1 ? "character" : "characters"}.`;
  // Half of a surrogate pair has no UTF-8 form; no server could keep it.
  if (/\p{Surrogate}/u.test(text)) return "This message contains a broken character.";
  return null;
}

/**
 * Unicode code points, as the server counts.
 * @param {string} text
 */
export function textCharacters(text) {
  let characters = 0;
  for (const _ of text) characters += 1;
  return characters;
}
