/**
 * The document's title: the screen, and how far the running video is, so that the tab tells it too.
 */
import { percent } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { isActive, jobs } from "../state/jobs.js";
import { route } from "./router.js";
import { SCREENS } from "./screens.js";

export function startTitle() {
  const show = () => {
    const running = jobs.list().find((job) => isActive(job) && job.status !== "queued");
    const screen = t(SCREENS[route().name].title);
    document.title = [running && percent(running.progress), screen, t("app.name")].filter(Boolean).join(" · ");
  };
  jobs.addEventListener("change", show);
  for (const news of ["routechange", "localechange"]) document.addEventListener(news, show);
  show();
}
