/**
 * The wire types of what the Models and System screens show. Source: docs/api.md. This module has no code.
 *
 * @typedef {import("./types.js").JobError} JobError
 *
 * @typedef {object} ModelFile
 * @property {string} path
 * @property {number} bytes
 * @property {"absent"|"partial"|"unchecked"|"ready"|"damaged"} state
 * @property {"pinned"|"hub"|null} verified_by
 * @property {string|null} source  `this computer`: taken over, `here`: it lay there
 *
 * @typedef {object} FullModel  of the catalogue
 * @property {string} id
 * @property {string} name_en
 * @property {string} name_zh
 * @property {string} purpose
 * @property {string} engine
 * @property {string} licence
 * @property {string} licence_url
 * @property {string} note  English
 * @property {string[]} requires
 * @property {boolean} usable
 * @property {number} to_fetch_bytes
 * @property {number} bytes
 * @property {"absent"|"downloading"|"paused"|"verifying"|"ready"|"damaged"|"failed"} state
 * @property {boolean} waiting
 * @property {number} downloaded_bytes
 * @property {number|null} speed_bytes_s
 * @property {number|null} eta_s
 * @property {string|null} source
 * @property {ModelFile[]} files
 * @property {JobError|null} error
 *
 * @typedef {object} ModelList
 * @property {FullModel[]} data
 * @property {number} free_bytes
 * @property {number} reserve_bytes
 * @property {boolean} offline
 *
 * @typedef {{kind: string, bytes: number, count: number}} DiskUse
 * @typedef {{rule: string, bytes: number, count: number}} Reclaimable
 *
 * @typedef {object} DiskLedger
 * @property {number} free_bytes
 * @property {number} total_bytes
 * @property {number} used_bytes
 * @property {number|null} budget_bytes
 * @property {DiskUse[]} kinds
 * @property {Reclaimable[]} reclaimable
 *
 * @typedef {object} Gpu
 * @property {number} index
 * @property {string} name
 * @property {number|null} total_mib
 * @property {number|null} free_mib
 * @property {number|null} [utilisation_percent]
 * @property {number|null} [temperature_c]
 * @property {string|null} compute_capability
 * @property {string|null} engine
 * @property {string|null} [task]
 * @property {string|null} job_id
 *
 * @typedef {object} WorkerState
 * @property {string} name
 * @property {string} state
 * @property {number|null} pid
 * @property {number|null} rss_mib
 * @property {string|null} job_id
 * @property {number} restarts
 *
 * @typedef {object} Machine  of GET /api/system
 * @property {string} version
 * @property {string} python
 * @property {string} platform
 * @property {number} cpu_count
 * @property {number} uptime_seconds
 * @property {{free_bytes: number, total_bytes: number}} disk
 * @property {Gpu[]} gpus
 * @property {WorkerState[]} workers
 * @property {{total_bytes: number, free_bytes: number}|null} [memory]
 * @property {{count: number, load_percent: number|null}|null} [cpu]
 * @property {{path: string|null, free_bytes: number, total_bytes: number}|null} [data]
 *
 * @typedef {object} Webhook
 * @property {string} hook_id
 * @property {string} url
 * @property {string[]} events
 * @property {string} created_at
 *
 * @typedef {object} Delivery
 * @property {string} webhook_id
 * @property {string|null} job_id
 * @property {string} type
 * @property {"pending"|"delivered"|"failed"} status
 * @property {number} attempts
 * @property {number|null} last_status
 * @property {string|null} last_error
 * @property {string} created_at
 *
 * @typedef {object} DictionaryEntry
 * @property {string} term
 * @property {string} reading
 * @property {"zh"|"en"|"ja"} language
 * @property {string} created_at
 *
 * @typedef {object} BatchSummary
 * @property {string} batch_id
 * @property {string} title
 * @property {number} total
 * @property {Record<string, number>} counts
 * @property {number} progress
 * @property {boolean} finished
 * @property {string} created_at
 *
 * @typedef {object} ApiKey
 * @property {string} key_id
 * @property {string} name
 * @property {string} prefix
 * @property {string} created_at
 * @property {string|null} last_used_at
 *
 * @typedef {object} Setting
 * @property {string} name
 * @property {string|number|boolean|null} value
 * @property {string|number|boolean|null} default
 * @property {"bool"|"int"|"number"|"text"|"choice"|"secret"|"path"} kind
 * @property {string[]} [choices]
 * @property {number|null} [min]
 * @property {number|null} [max]
 * @property {"default"|"env"|"page"} source
 * @property {boolean} restart
 * @property {boolean} [set]  of secrets, whose value is never told
 * @property {boolean} [pending]  stored, counts after the next start
 * @property {string} [description]  English
 * @property {string} group
 *
 * @typedef {object} LogLine
 * @property {string} at
 * @property {string} level
 * @property {string} source
 * @property {string} message
 * @property {string|null} [job_id]
 *
 * @typedef {object} DoctorCheck
 * @property {string} id
 * @property {"ok"|"warning"|"error"|"skipped"} status
 * @property {string} title
 * @property {string} detail
 * @property {{action: "download_model"|"free_space"|"restart_engine"|"resume_queue"|"open_models"|"open_settings"|"repair"|"read_docs", label: string, automatic: boolean, target: string|null}|null} fix
 */

export {};
