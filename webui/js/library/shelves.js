/**
 * Where to look: all videos, those with a star, the folders; folders are made, renamed and deleted here.
 */
import { fill, h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { announce } from "../ui/announce.js";
import { confirmLoss } from "../ui/confirm.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { askName } from "./ask-name.js";
import { folders } from "./folders.js";
import { jobList } from "./job-list.js";

/** @typedef {import("../types-library.js").Folder} Folder */

const MOST_NAME_CHARS = 80;

export class Shelves {
  #list = h("ul", { class: "shelf-list" });
  #problem = h("div", {});
  #built = "";

  constructor() {
    this.element = h("nav", { class: "shelves", tLabel: "lib.shelves" }, this.#list, this.#problem);
  }

  render() {
    const { starred, folderId } = jobList.filter;
    const key = JSON.stringify([starred, folderId, folders.list, document.documentElement.lang]);
    if (key === this.#built) return;
    this.#built = key;
    const focused = this.#list.contains(document.activeElement) ? document.activeElement?.getAttribute("data-shelf") : null;
    fill(
      this.#list,
      this.#shelf("all", "library", h("span", { t: "lib.all" }), !starred && !folderId, { starred: null, folderId: null }),
      this.#shelf("starred", "star", h("span", { t: "lib.starred" }), starred === true, { starred: true, folderId: null }),
      ...folders.list.map((folder) =>
        this.#shelf(folder.folder_id, "folder", h("span", { class: "shelf-name" }, folder.name), folderId === folder.folder_id, { starred: null, folderId: folder.folder_id }, folder),
      ),
      h(
        "li",
        {},
        h("button", { type: "button", class: "shelf shelf-new", "data-shelf": "new", onclick: () => this.#create() }, icon("plus"), h("span", { t: "lib.folder_new" })),
      ),
    );
    if (focused) /** @type {HTMLElement|null} */ (this.#list.querySelector(`[data-shelf="${CSS.escape(focused)}"]`))?.focus();
  }

  /** A new folder is opened at once. */
  #create() {
    newFolder((folder) => void jobList.look({ starred: null, folderId: folder.folder_id }));
  }

  /**
   * @param {string} id
   * @param {Parameters<typeof icon>[0]} mark
   * @param {HTMLElement} name
   * @param {boolean} isOpen
   * @param {Partial<import("../types-library.js").JobFilter>} filter
   * @param {Folder} [folder]
   */
  #shelf(id, mark, name, isOpen, filter, folder) {
    return h(
      "li",
      { class: isOpen ? "shelf-item is-open" : "shelf-item" },
      h(
        "button",
        { type: "button", class: "shelf", "data-shelf": id, "aria-current": isOpen && "true", onclick: () => void jobList.look(filter) },
        icon(mark),
        name,
        folder && h("span", { class: "shelf-count" }, number(folder.jobs)),
      ),
      folder &&
        isOpen &&
        h(
          "span",
          { class: "shelf-tools" },
          h("button", { type: "button", class: "icon-button", tLabel: ["lib.folder_rename", { name: folder.name }], onclick: () => this.#rename(folder) }, icon("pen")),
          h("button", { type: "button", class: "icon-button", tLabel: ["lib.folder_delete", { name: folder.name }], onclick: () => void this.#remove(folder) }, icon("trash")),
        ),
    );
  }

  /** @param {Folder} folder */
  #rename(folder) {
    askName({ title: "lib.folder_rename_title", label: "lib.folder_name", action: "voice.save", value: folder.name, maxlength: MOST_NAME_CHARS }, (name) =>
      folders.rename(folder.folder_id, name),
    );
  }

  /** @param {Folder} folder */
  async #remove(folder) {
    const sure = await confirmLoss({ title: "lib.folder_delete_title", body: ["lib.folder_delete_body", { name: folder.name }], action: "confirm.delete" });
    if (!sure) return;
    fill(this.#problem);
    try {
      await folders.remove(folder.folder_id);
      announce(t("lib.folder_deleted"));
      await jobList.look({ folderId: null });
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }
}

/** @param {(folder: Folder) => void} done */
export function newFolder(done) {
  askName({ title: "lib.folder_new", label: "lib.folder_name", action: "lib.folder_create", maxlength: MOST_NAME_CHARS }, async (name) => done(await folders.create(name)));
}

/**
 * A choice of folders that moves something.
 * @param {{id: string, current: string|null, move: (folderId: string|null) => void}} options  `id` of the element
 */
export function folderChoice({ id, current, move }) {
  const NEW = "+";
  const select = h("select", { id, class: "input folder-choice" });
  const build = () => {
    fill(
      select,
      h("option", { value: "", t: "lib.no_folder" }),
      ...folders.list.map((folder) => h("option", { value: folder.folder_id }, folder.name)),
      h("option", { value: NEW, t: "lib.folder_new" }),
    );
    select.value = folders.get(current) ? (current ?? "") : "";
  };
  select.addEventListener("change", () => {
    if (select.value !== NEW) {
      move(select.value || null);
      return;
    }
    build();
    newFolder((folder) => move(folder.folder_id));
  });
  build();
  return select;
}
