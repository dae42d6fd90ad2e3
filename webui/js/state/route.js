/**
 * Which job is open in the Studio, kept in the address (`#/jobs/<id>`), so that a reload and the back button work.
 */
import { go, route } from "../shell/router.js";

const PATTERN = /^job_[a-z0-9]{8,32}$/;

/** The last one stays open while another screen is shown. @type {string|null} */
let open = null;

function read() {
  const { name, params } = route();
  if (name === "studio") open = PATTERN.test(params[0] ?? "") ? params[0] : null;
}

document.addEventListener("routechange", read);
read();

/** @returns {string|null} */
export const openJobId = () => open;

/** @param {string} id */
export const openJob = (id) => go(`#/jobs/${id}`);

/** Back to the preview of the next video; another screen that is shown stays. */
export function closeJob() {
  open = null;
  if (route().name === "studio") go("#/");
}
