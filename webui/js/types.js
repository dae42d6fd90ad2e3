/**
 * The wire types of the service as JSDoc, so that editors and `tsc --checkJs` know them.
 * Source: docs/api.md. This module has no code.
 *
 * @typedef {"queued"|"processing"|"fallback"|"completed"|"failed"|"cancelling"|"cancelled"} JobStatus
 * @typedef {"script"|"speech"|"video"|"finish"} StageName
 * @typedef {"pending"|"running"|"completed"|"failed"} StageState
 *
 * @typedef {object} JobError
 * @property {string} code
 * @property {string} detail
 * @property {string|null} [hint]
 *
 * @typedef {object} Attempt
 * @property {number} attempt
 * @property {StageName} stage
 * @property {string} engine
 * @property {string} outcome
 * @property {string|null} code
 * @property {string|null} detail
 * @property {string|null} [change]  what was different in this try
 *
 * @typedef {object} Job
 * @property {string} job_id
 * @property {JobStatus} status
 * @property {number} progress  0 to 100
 * @property {string} message
 * @property {string|null} fallback_reason
 * @property {string} selected_engine
 * @property {string} requested_engine
 * @property {StageName|null} stage
 * @property {{name: StageName, status: StageState}[]} stages
 * @property {number|null} eta_seconds
 * @property {number|null} queue_position
 * @property {Attempt[]} attempts
 * @property {Record<string, string|null>} artifacts
 * @property {boolean} draft
 * @property {string|null} notice  English
 * @property {string[]} notice_codes
 * @property {string} title
 * @property {string} script_input
 * @property {string} voice_id
 * @property {{name: string, voice_id: string, face: {x: number, y: number, w: number, h: number}|null}[]} [speakers]
 * @property {string} avatar_url
 * @property {{speed: number, pause_ms: number, language: string, pitch?: number}} voice_settings
 * @property {string|null} speech_engine
 * @property {{heard: number, retried: number, doubtful: {index: number, text: string, heard: string}[]}|null} speech_report
 * @property {{aspect: string, resolution: string, subtitles: string}} output
 * @property {string|null} wangp_model
 * @property {string} [preset]
 * @property {number} [priority]
 * @property {number|null} seed
 * @property {JobError|null} error
 * @property {string} created_at
 * @property {string|null} started_at
 * @property {string|null} completed_at
 * @property {boolean} [starred]
 * @property {string|null} [folder_id]
 * @property {string|null} [promoted_from]  the draft that it was made final from
 *
 * @typedef {Partial<Job> & {job_id: string}} JobPatch
 *
 * @typedef {object} Voice
 * @property {string} voice_id
 * @property {string} name
 * @property {string} name_zh
 * @property {string} name_en
 * @property {string} language
 * @property {string|null} gender
 * @property {string} engine
 * @property {string} status
 * @property {boolean} builtin
 * @property {boolean} default
 * @property {VoiceReport} report
 * @property {Similarity|null} similarity
 * @property {{state: "none"|"fast"|"refining"|"refined"|"failed", progress: number|null, reason: string|null}} match
 * @property {VoiceEngine[]} engines
 * @property {string|null} notice
 * @property {string} note
 * @property {{given: boolean, at: string}|null} consent
 * @property {string|null} [created_at]
 * @property {string|null} sample_url
 * @property {string|null} reference_url
 *
 * @typedef {object} VoiceEngine
 * @property {string} engine
 * @property {string} label_en
 * @property {string} label_zh
 * @property {boolean} is_clone
 * @property {boolean} ready
 *
 * @typedef {object} Similarity
 * @property {number} score
 * @property {"close"|"fair"|"far"} badge
 * @property {"fast"|"refined"} stage
 *
 * @typedef {object} VoiceReport  what was measured; older voices have less
 * @property {number} [duration_s]
 * @property {number} [speech_s]
 * @property {number} [used_s]
 * @property {[number, number][]} [used_spans]
 * @property {number} [snr_db]
 * @property {number} [loudness_lufs]
 * @property {number} [bandwidth_hz]
 * @property {number[]} [waveform]  peaks 0..1
 * @property {{code: string, severity: "info"|"warning", message: string, fix: string}[]} [findings]
 *
 * @typedef {object} VoiceCloned
 * @property {string} voice_id
 * @property {string} name
 * @property {string|null} notice
 * @property {VoiceReport} report
 * @property {Similarity|null} similarity
 *
 * @typedef {object} SpeechEngine
 * @property {string} name
 * @property {string} title_en
 * @property {string} title_zh
 * @property {boolean} is_clone
 * @property {boolean} ready
 * @property {"READY"|"STARTING"|"BUSY"|"NOT_INSTALLED"|"UNAVAILABLE"} state
 * @property {string|null} reason
 * @property {string|null} fix
 *
 * @typedef {object} Doubt  a place whose reading is not certain; offsets in the script
 * @property {string} text
 * @property {number} start
 * @property {number} end
 * @property {string} reading
 * @property {string[]} alternatives
 * @property {string} reason
 *
 * @typedef {object} ScriptCheck
 * @property {string} language
 * @property {number} estimated_s
 * @property {{index: number, text: string, start: number, end: number, spoken: string, estimated_s: number, doubts: Doubt[]}[]} sentences
 * @property {{code: string, message: string, start: number, end: number}[]} problems
 *
 * @typedef {object} Reading
 * @property {string} term
 * @property {string} reading
 *
 * @typedef {object} ScriptModel
 * @property {string} id
 * @property {"ollama"|"lmstudio"|"llamacpp"|"custom"|"local"} source
 * @property {string} model
 * @property {boolean} ready
 *
 * @typedef {object} Face  fractions 0..1 of the picture
 * @property {number} x
 * @property {number} y
 * @property {number} w
 * @property {number} h
 * @property {number} size_px
 * @property {{x: number, y: number}[]} [marks]  the finder's points, fractions of the picture
 *
 * @typedef {object} Avatar
 * @property {string} avatar_id
 * @property {string} name
 * @property {string} name_zh
 * @property {string} name_en
 * @property {boolean} builtin
 * @property {boolean} default
 * @property {number} width
 * @property {number} height
 * @property {Face[]} faces
 * @property {number} chosen
 * @property {{code: string, message: string}[]} warnings
 * @property {string} image_url
 * @property {string} thumbnail_url
 * @property {string|null} [created_at]
 * @property {{code: string, message: string, fix: string}[]} [report]
 * @property {boolean} [video]  taken from a video, which InfiniteTalk moves itself
 * @property {string|null} [original_url]  the picture as it was uploaded, where it was kept
 * @property {{x: number, y: number, w: number, h: number}|null} [crop]  of the picture that was uploaded
 *
 * @typedef {object} Engine
 * @property {string} name
 * @property {string} title
 * @property {"gpu"|"cpu"|"plugin"} kind
 * @property {boolean} ready
 * @property {"READY"|"STARTING"|"BUSY"|"NOT_INSTALLED"|"UNAVAILABLE"} state
 * @property {string|null} code
 * @property {string|null} reason
 * @property {string|null} fix
 * @property {string|null} disclosure
 * @property {WangpModel[]} [models]  of Wan2GP
 *
 * @typedef {object} WangpModel
 * @property {string} name
 * @property {"speech"|"text"} drive
 * @property {number} speakers
 * @property {boolean} ready
 *
 * @typedef {object} Estimate
 * @property {boolean|null} fits
 * @property {string} engine
 * @property {string|null} wangp_model
 * @property {{code: string, message: string}[]} reasons
 * @property {number|null} vram_needed_mib
 * @property {number} speech_seconds
 * @property {number|null} minutes
 * @property {"measured"|"table"|null} basis
 * @property {string[]} missing_models
 *
 * @typedef {object} Limits
 * @property {number} max_script_chars
 * @property {number} max_image_mib
 * @property {number} max_audio_mib
 *
 * @typedef {object} Queue
 * @property {boolean} paused
 * @property {string|null} reason
 *
 * @typedef {object} System
 * @property {string} version
 * @property {Limits} [limits]
 * @property {Queue} queue
 * @property {{path: string|null, free_bytes: number}} [data]
 * @property {boolean} [first_run]
 */

export {};
