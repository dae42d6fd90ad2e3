/**
 * Who speaks where in the script of a conversation: lines that begin with a name and a colon.
 */
import { form } from "../state/form.js";

/** @param {string} text */
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** @param {string} name @param {string} flags */
const turnOf = (name, flags) => new RegExp(`^([ \\t]*)${escaped(name)}([ \\t]*[:：])`, flags);

/**
 * @param {string} script
 * @param {number} place
 * @returns {0|1} what stands before the first name is the first one's
 */
export function speakerAt(script, place) {
  const turns = form.names.map((name) => turnOf(name, "iu"));
  /** @type {0|1} */
  let speaker = 0;
  for (const line of script.slice(0, place).split(/\r?\n/)) {
    if (turns[0].test(line)) speaker = 0;
    else if (turns[1].test(line)) speaker = 1;
  }
  return speaker;
}

/** The script after a speaker got another name. @param {string} script @param {string} before @param {string} after */
export const renamed = (script, before, after) =>
  before && after ? script.replace(turnOf(before, "gmiu"), (_, space, colon) => space + after + colon) : script;
