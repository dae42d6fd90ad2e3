/**
 * Deleting a voice: asked first, and no choice of the composer is left that points at it.
 */
import { form } from "../state/form.js";
import { displayName, library } from "../state/library.js";
import { confirmLoss } from "../ui/confirm.js";

/** @param {import("../types.js").Voice} voice @returns {Promise<boolean>} whether it is gone */
export async function removeVoice(voice) {
  const sure = await confirmLoss({
    title: "voices.delete_title",
    body: ["voices.delete_body", { name: displayName(voice) }],
    action: "confirm.delete",
  });
  if (!sure) return false;
  await library.removeVoice(voice.voice_id);
  const { voiceId, voiceIdB } = form.value;
  if (voiceId === voice.voice_id) form.set({ voiceId: library.voices.find((item) => item.default)?.voice_id ?? null });
  if (voiceIdB === voice.voice_id) form.set({ voiceIdB: null });
  return true;
}
