/**
 * The recording that was made here and is not a voice yet: kept in this browser, so that neither a reload nor another
 * screen loses it. One at a time, for a week at most, and only here: nothing is sent before the speaker's consent.
 */

const NAME = "allinone.take";
const STORE = "takes";
const KEY = "newest";
/** Who comes back later records anew; a voice does not lie about for ever. */
const MAX_AGE_MS = 7 * 24 * 60 * 60 * 1000;
/** Several times the longest recording at its bit rate. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * @typedef {object} Take
 * @property {File} file
 * @property {number} at  ms since 1970; tells one take from another
 */

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * One transaction; `ask` returns its last request.
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest} ask
 * @returns {Promise<any>} what was found
 */
async function within(mode, ask) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/**
 * Keep it in place of the one before.
 * @param {File} file
 * @returns {Promise<Take|null>} null where this browser keeps nothing
 */
export async function keepTake(file) {
  if (file.size > MAX_BYTES) return null;
  const take = { file, at: Date.now() };
  try {
    await within("readwrite", (store) => store.put(take, KEY));
    return take;
  } catch (error) {
    console.info("this browser keeps no recording", error);
    return null;
  }
}

/** @returns {Promise<Take|null>} */
export async function keptTake() {
  try {
    const take = /** @type {Take|undefined} */ (await within("readonly", (store) => store.get(KEY)));
    if (!take) return null;
    if (Date.now() - take.at < MAX_AGE_MS) return take;
    await dropTake(take);
  } catch (error) {
    console.info("this browser keeps no recording", error);
  }
  return null;
}

/** Forget it, unless another tab has kept a newer one. @param {Take} take */
export async function dropTake(take) {
  try {
    const kept = await within("readonly", (store) => store.get(KEY));
    if (kept?.at === take.at) await within("readwrite", (store) => store.delete(KEY));
  } catch (error) {
    console.info("this browser keeps no recording", error);
  }
}
