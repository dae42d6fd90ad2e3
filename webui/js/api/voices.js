/**
 * Endpoints of the voices beyond what the Studio needs.
 */
import { LONG_TIMEOUT_MS, request } from "./client.js";

/**
 * @param {File} file
 * @param {{name: string, language: string}} about
 * @returns {Promise<import("../types.js").VoiceCloned>}
 */
export function addVoice(file, { name, language }) {
  const form = new FormData();
  form.set("audio_file", file);
  if (name) form.set("name", name);
  form.set("language", language);
  form.set("consent", "true");
  return request("/api/voice/clone", { method: "POST", form, timeoutMs: LONG_TIMEOUT_MS });
}

/** The bytes of a recording, to be drawn. @param {string} address @returns {Promise<ArrayBuffer>} */
export async function getRecording(address) {
  const blob = await request(address, { as: "blob", timeoutMs: LONG_TIMEOUT_MS });
  return blob.arrayBuffer();
}
