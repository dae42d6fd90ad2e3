/**
 * The folders of the library as the service tells them. Fires `change`.
 */
import * as api from "../api/library.js";

/** @typedef {import("../types-library.js").Folder} Folder */

class Folders extends EventTarget {
  /** @type {Folder[]} */
  list = [];

  async load() {
    this.list = (await api.listFolders()).data;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string|null} id */
  get(id) {
    return this.list.find((folder) => folder.folder_id === id);
  }

  /** @param {string} name @returns {Promise<Folder>} */
  async create(name) {
    const folder = await api.createFolder(name);
    await this.load();
    return folder;
  }

  /** @param {string} id @param {string} name */
  async rename(id, name) {
    await api.renameFolder(id, name);
    await this.load();
  }

  /** @param {string} id */
  async remove(id) {
    await api.deleteFolder(id);
    await this.load();
  }
}

export const folders = new Folders();
