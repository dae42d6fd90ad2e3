/**
 * Starts the page: language first, then the elements, then the data.
 */
import { getSystem } from "./api/endpoints.js";
import { LiveFeed } from "./api/live.js";
import { byId, fill } from "./lib/dom.js";
import { bindText, preferredLocale, t, useLocale } from "./lib/i18n.js";
import { go } from "./shell/router.js";
import { startNav } from "./shell/nav.js";
import { startOutlet } from "./shell/outlet.js";
import { startQueueDrawer } from "./shell/queue-drawer.js";
import { startThemeSwitch } from "./shell/theme-switch.js";
import { startTitle } from "./shell/title.js";
import { form } from "./state/form.js";
import { draftSync } from "./state/draft-sync.js";
import { jobs } from "./state/jobs.js";
import { library } from "./state/library.js";
import { startEnginesMark } from "./ui/engines.js";
import { ignoreStrayDrops } from "./ui/file-drop.js";
import { startLanguageSwitch } from "./ui/language.js";
import { offerLogout, startLogout, startSession } from "./ui/login.js";
import { defaultAvatar } from "./ui/portraits.js";
import { asProblem, problemBox } from "./ui/problem.js";
import { settleQuality } from "./ui/quality.js";
import { showQueue, startQueueStrip } from "./ui/queue-strip.js";
import { defaultVoice } from "./ui/voices.js";

/** Show the connection when it is not as it should be. @param {LiveFeed} feed */
function watchConnection(feed) {
  const strip = byId("connection");
  feed.addEventListener("connection", (event) => {
    const state = /** @type {CustomEvent<import("./api/live.js").Connection>} */ (event).detail;
    strip.hidden = state !== "offline";
    document.documentElement.dataset.connection = state;
    bindText(strip, `connection.${state}`);
  });
}

/** Keep choices that still exist; a new user starts with a portrait and a voice already chosen. */
function settleChoices() {
  if (library.avatars.length && !library.avatar(form.value.avatarId)) {
    form.set({ avatarId: defaultAvatar()?.avatar_id ?? null, faceIndex: null, faceA: null, faceB: null });
  }
  if (library.voices.length && !library.voice(form.value.voiceId)) {
    form.set({ voiceId: defaultVoice()?.voice_id ?? null });
  }
  if (library.voices.length && form.value.voiceIdB && !library.voice(form.value.voiceIdB)) form.set({ voiceIdB: null });
}

/** Past the rail: to the script in the Studio, to the heading elsewhere. */
function startSkip() {
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    const screen = document.querySelector("#screen > :not([hidden])");
    const target = screen?.querySelector("#script") ?? screen?.querySelector("h2[tabindex]");
    /** @type {HTMLElement|null|undefined} */ (target)?.focus();
  });
}

/** What the service says of itself. The first question that needs the key, where there is one. */
async function loadSystem() {
  const { version, limits, queue, first_run: isFirstRun } = await getSystem();
  bindText(byId("version"), "footer.version", { version });
  library.setLimits(limits);
  showQueue(queue);
  // Who opened an address on purpose stays there.
  if (isFirstRun && ["", "#/", "#"].includes(location.hash)) go("#/start");
}

/** What another tab or a phone may have changed since: portraits, voices, and what is being written. */
async function catchUp() {
  await Promise.allSettled([library.loadAvatars(), library.loadVoices(), draftSync.sync()]);
  settleChoices();
}

async function loadEverything() {
  // One question first where a key is needed: the others would be refused together.
  const needsKey = await startSession().catch(() => false);
  const system = loadSystem();
  if (needsKey) await system.catch(() => undefined);
  const results = await Promise.allSettled([
    system,
    library.loadAvatars(),
    library.loadVoices(),
    library.loadEngines(),
    jobs.refresh(),
    // What was being written is known before anything is chosen for a new user.
    draftSync.sync(),
  ]);
  settleChoices();
  settleQuality();
  offerLogout(needsKey);
  const failed = results.find((result) => result.status === "rejected");
  fill(byId("load-problem"), failed ? problemBox(asProblem(failed.reason)) : null);
  return !failed;
}

async function start() {
  await useLocale(preferredLocale());
  startNav();
  startSkip();
  startLanguageSwitch();
  startThemeSwitch();
  startTitle();
  startQueueDrawer();
  startLogout();
  startEnginesMark();
  startQueueStrip();
  ignoreStrayDrops();
  await startOutlet();
  document.documentElement.dataset.ready = "true";

  const feed = new LiveFeed(() => jobs.refresh());
  feed.addEventListener("snapshot", (event) => jobs.putAll(/** @type {CustomEvent} */ (event).detail));
  feed.addEventListener("patch", (event) => jobs.merge(/** @type {CustomEvent} */ (event).detail));
  watchConnection(feed);
  let complete = await loadEverything();
  const lookAgain = async () => {
    // A service that was down when the page opened: fetch what is missing when it is back.
    if (complete) await catchUp();
    else complete = await loadEverything();
  };
  feed.start();
  let wasAway = !complete;
  feed.addEventListener("connection", (event) => {
    const isLive = /** @type {CustomEvent<string>} */ (event).detail === "live";
    if (isLive && wasAway) void lookAgain();
    wasAway = !isLive;
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void lookAgain();
  });
}

start().catch((error) => {
  document.documentElement.dataset.ready = "true";
  console.error(error);
  document.title = t("app.name");
});
