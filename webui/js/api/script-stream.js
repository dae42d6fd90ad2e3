/**
 * A script while it is written: the events of `POST /api/script` as they come.
 *
 * EventSource can only GET, so the stream is read by hand (WHATWG HTML, "Server-sent events").
 */
import { problemOf } from "./client.js";
import { locale } from "../lib/i18n.js";

/** @typedef {{event: string, data: any}} ScriptEvent */

/**
 * @param {{topic: string, language: string, seconds: number, speakers?: string[]}} order
 * @param {AbortSignal} signal  ends the writing
 * @returns {AsyncGenerator<ScriptEvent>}
 */
export async function* writeScript(order, signal) {
  const answer = await fetch("/api/script", {
    method: "POST",
    headers: { Accept: "text/event-stream", "Accept-Language": locale(), "Content-Type": "application/json" },
    body: JSON.stringify(order),
    cache: "no-store",
    signal,
  });
  if (!answer.ok || !answer.body) throw await problemOf(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parse(block);
      if (event) yield event;
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
