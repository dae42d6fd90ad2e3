/**
 * The theme, before anything is painted: the stored choice, else the system's; and again whenever one of them changes.
 *
 * Not a module, so that it runs first. Style sheets look at `data-theme` alone.
 */
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  /** @returns {unknown} */
  const chosen = () => {
    try {
      return JSON.parse(localStorage.getItem("allinone.theme") ?? "null");
    } catch {
      return null;
    }
  };

  const apply = () => {
    const choice = chosen();
    const ofSystem = dark.matches ? "dark" : "light";
    document.documentElement.dataset.theme = choice === "light" || choice === "dark" ? choice : ofSystem;
  };

  dark.addEventListener("change", apply);
  document.addEventListener("themechosen", apply);
  // Chosen in another tab.
  addEventListener("storage", apply);
  apply();
})();
