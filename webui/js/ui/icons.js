/**
 * Line icons on a 24-unit grid, drawn for this project. Decorative: always hidden from readers.
 */

const SVG = "http://www.w3.org/2000/svg";

/** @type {Record<string, string>} */
const PATHS = {
  studio: "M4 6h10a1.5 1.5 0 0 1 1.5 1.500v9A1.5 1.5 0 0 1 14 18H4zM15.5 10.500L20 8v8l-4.5-2.5",
  library: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  voices: "M12 15a3 3 0 0 0 3-3V7a3 3 0 0 0-6 0v5a3 3 0 0 0 3 3zm-6-4a6 6 0 0 0 12 0M12 17v3.5",
  models: "M12 3.500l7.5 4.200v8.600L12 20.500l-7.5-4.200V7.700zM4.5 7.700L12 12l7.5-4.300M12 12v8.5",
  system: "M4 7h9m4 0h3M4 17h3m4 0h9M13 4.500v5M11 14.500v5",
  queue: "M5 6h9M5 12h14M5 18h14M16.5 4v4l3-2z",
  bell: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.500h4",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm0-13v2m0 14v2M3 12h2m14 0h2M5.6 5.600L7 7m10 10l1.4 1.400M18.4 5.600L17 7M7 17l-1.4 1.4",
  moon: "M19.5 14A8 8 0 0 1 10 4.500a8 8 0 1 0 9.5 9.500z",
  contrast: "M12 20.500a8.5 8.5 0 1 0 0-17zm0 0a8.5 8.5 0 0 1 0-17",
  up: "M12 19V5m0 0l-6 6m6-6l6 6",
  down: "M12 5v14m0 0l-6-6m6 6l6-6",
  pause: "M9 6v12M15 6v12",
  more: "M5 12h.1M12 12h.1M19 12h.1",
  spark: "M12 4l1.8 5.200L19 11l-5.2 1.800L12 18l-1.8-5.200L5 11l5.2-1.800z",
  star: "M12 4.500l2.3 4.7 5.2.8-3.7 3.6.9 5.1-4.7-2.4-4.7 2.4.9-5.100L4.5 10l5.2-.800z",
  upload: "M12 16V5m0 0L7.5 9.5M12 5l4.5 4.5M5 15v3a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-3",
  play: "M8 5.5v13l10.5-6.5z",
  stop: "M7 7h10v10H7z",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 12.5l4.5 4.5L19 7.5",
  warning: "M12 4.5L21 19.5H3zM12 10v4m0 2.6v.2",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zm0-10v5m0-8.4v.2",
  error: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zm0-13v5m0 3.2v.2",
  trash: "M5 7h14M10 7V5h4v2M7 7l.8 12h8.4L17 7M10.5 10.5v5m3-5v5",
  retry: "M19 12a7 7 0 1 1-2-5M19 4v4h-4",
  download: "M12 4v11m0 0l-4.5-4.5M12 15l4.5-4.5M5 19.5h14",
  engine: "M8 8h8v8H8zM10 4v4m4-4v4m-4 8v4m4-4v4M4 10h4m-4 4h4m8-4h4m-4 4h4",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
  reuse: "M4 8h11a4 4 0 0 1 0 8H9m-5-8l4-4M4 8l4 4",
  leave: "M10 5H6a1 1 0 0 0-1 1v12a1 1 0 0 0 1 1h4M15 8l4 4-4 4m4-4H10",
  audio: "M4 14v-4h4l5-4v12l-5-4zM16.5 9a4 4 0 0 1 0 6M19 6.5a8 8 0 0 1 0 11",
  pen: "M4 20l1-4L16.5 4.500l3 3L8 19zM14 7l3 3",
  text: "M5 6h14M5 12h14M5 18h8",
  back: "M11 6l-6 6 6 6M5 12h14",
  folder: "M4 7a1.5 1.5 0 0 1 1.5-1.5H10l2 2.5h6.5A1.5 1.5 0 0 1 20 9.5v8a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5z",
  search: "M11 17a6 6 0 1 0 0-12 6 6 0 0 0 0 12zm4.5-1.5L20 20",
  compare: "M4 6h7v12H4zM13 6h7v12h-7zM7.5 10v4m9-4v4",
  crop: "M7 3v14h14M3 7h14v14",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm-7.5 8c.8-4 3.7-6 7.5-6s6.7 2 7.5 6",
};

/**
 * @param {keyof typeof PATHS} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name] ?? "");
  svg.append(path);
  return svg;
}
