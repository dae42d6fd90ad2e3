/**
 * A script while it is written: the events of `POST /api/script` as they come.
 *
 * EventSource can only GET, so the stream is read by hand (WHATWG HTML, "Server-sent events").
 */
import { ApiError, problemOf } from "./client.js";
import { locale } from "../lib/i18n.js";

/** @typedef {{event: string, data: any}} ScriptEvent */

/** The last event is one of these. */
const ENDS = ["done", "error"];

/**
 * @param {{topic: string, language: string, seconds: number, speakers?: string[]}} order
 * @param {AbortSignal} signal  ends the writing
 * @returns {AsyncGenerator<ScriptEvent>}
 * @throws {ApiError} also when it breaks off
 */
export async function* writeScript(order, signal) {
  // A stop that was asked for is no failure of the network.
  const lost = (/** @type {unknown} */ cause) => {
    throw signal.aborted ? cause : new ApiError({ code: "offline", detail: "" });
  };
  const answer = await fetch("/api/script", {
    method: "POST",
    headers: { Accept: "text/event-stream", "Accept-Language": locale(), "Content-Type": "application/json" },
    body: JSON.stringify(order),
    cache: "no-store",
    signal,
  }).catch(lost);
  if (!answer.ok || !answer.body) throw await problemOf(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let isEnded = false;
  for (;;) {
    const { done, value } = await reader.read().catch(lost);
    // Half a script is not one.
    if (done && !isEnded) throw new ApiError({ code: "script_failed", detail: "" });
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parse(block);
      if (!event) continue;
      isEnded ||= ENDS.includes(event.event);
      yield event;
    }
  }
}

/** @param {string} block @returns {ScriptEvent|null} */
function parse(block) {
  let event = "message";
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  return data ? { event, data: JSON.parse(data) } : null;
}
