/**
 * The way around: a rail at the side, on narrow screens a bar at the bottom.
 */
import { byId, fill, h } from "../lib/dom.js";
import { openJobId } from "../state/route.js";
import { icon } from "../ui/icons.js";
import { route } from "./router.js";
import { SCREENS } from "./screens.js";

export function startNav() {
  const links = Object.entries(SCREENS)
    .filter(([, screen]) => !screen.unlisted)
    .map(([name, screen]) => ({ name, link: h("a", { class: "nav-link", href: `#/${name}`, t: screen.title }, icon(screen.icon)) }));
  fill(byId("nav-list"), ...links.map(({ link }) => h("li", {}, link)));
  const mark = () => {
    for (const { name, link } of links) {
      // Coming back to the Studio finds the same video open.
      if (name === "studio") link.setAttribute("href", openJobId() ? `#/jobs/${openJobId()}` : "#/");
      if (name === route().name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  document.addEventListener("routechange", mark);
  mark();
}
