/**
 * Wire types of the library of videos: search, folders, exports and reports. Source: docs/api.md. No code.
 *
 * @typedef {import("./types.js").Job} Job
 *
 * @typedef {object} JobFilter  what is looked for; null or "" means anything
 * @property {string} q
 * @property {string} status
 * @property {string} engine
 * @property {boolean|null} starred
 * @property {string|null} folderId
 * @property {boolean|null} draft
 * @property {"newest"|"oldest"} sort
 *
 * @typedef {object} JobPage
 * @property {Job[]} data
 * @property {boolean} has_more
 * @property {string|null} next_cursor
 * @property {number} [total]  how many match in all
 *
 * @typedef {object} Folder
 * @property {string} folder_id
 * @property {string} name
 * @property {number} jobs  how many lie in it
 * @property {string} created_at
 *
 * @typedef {object} JobPatchBody
 * @property {string} [title]
 * @property {boolean} [starred]
 * @property {string|null} [folder_id]
 *
 * @typedef {object} QualityReport  report.json: measured from the finished file
 * @property {number} width
 * @property {number} height
 * @property {number} fps
 * @property {number} frames
 * @property {number} video_seconds
 * @property {number} length_difference_seconds  picture minus sound
 * @property {number} size_bytes
 * @property {number} bitrate_kbps
 * @property {string} sha256
 * @property {string} video_codec
 * @property {string} audio_codec
 * @property {number|null} loudness_lufs
 * @property {number|null} true_peak_dbtp
 * @property {number|null} silence_share  0..1
 * @property {string[]} warnings  codes
 *
 * @typedef {Record<string, any>} JobRequest  the body of `POST /api/jobs` that would make a job again
 */

export {};
