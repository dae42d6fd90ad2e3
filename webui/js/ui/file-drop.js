/**
 * A file input that also takes files dropped on a region around it.
 */

/**
 * @param {HTMLElement} region  gets the class `is-dropping` while a file hovers over it
 * @param {HTMLInputElement} input
 * @param {(file: File) => void} take
 */
export function acceptFiles(region, input, take) {
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    // Cleared, so that choosing the same file again is a change again.
    input.value = "";
    if (file) take(file);
  });
  let depth = 0;
  const leave = () => {
    depth = 0;
    region.classList.remove("is-dropping");
  };
  region.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    region.classList.add("is-dropping");
  });
  region.addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) leave();
  });
  region.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  region.addEventListener("drop", (event) => {
    leave();
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    take(file);
  });
}

/** @param {DragEvent} event */
const hasFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

/** A file that misses its region must not replace the page. */
export function ignoreStrayDrops() {
  for (const name of ["dragover", "drop"]) {
    addEventListener(name, (event) => {
      if (hasFiles(/** @type {DragEvent} */ (event))) event.preventDefault();
    });
  }
}
