// @ts-check
/**
 * Where the chat's servers are. A deploy rewrites only this file.
 *
 * Empty means "the origin this page came from". For a host with split origins, for example:
 *   httpBase: "https://api.chat.example.com"    prefix of /auth/…, without a slash at the end
 *   wsUrl:    "wss://live.chat.example.com/ws"  the whole address of the WebSocket
 * Such a host must also name both in the page's Content-Security-Policy (connect-src).
 */
export const config = { httpBase: "", wsUrl: "" };
