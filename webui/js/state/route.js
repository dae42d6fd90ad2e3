/**
 * Which job is open, kept in the address (`#/jobs/<id>`), so that a reload and the back button work.
 */

const PATTERN = /^#\/jobs\/(job_[a-z0-9]{8,32})$/;

/** @returns {string|null} */
export const openJobId = () => PATTERN.exec(location.hash)?.[1] ?? null;

/** @param {string} id */
export function openJob(id) {
  const hash = `#/jobs/${id}`;
  if (location.hash === hash) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = hash;
}

/** Back to the preview of the next video. */
export function closeJob() {
  history.pushState(null, "", location.pathname);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
