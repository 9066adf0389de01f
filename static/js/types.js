// @ts-check
/**
 * The shapes that travel between modules. Types only: nothing here exists when the page runs.
 *
 * @typedef {{code: string, message: string, retryable?: boolean, field?: string, retry_after_s?: number}} WireError
 * @typedef {{id: string, name: string, guest: boolean}} User
 * @typedef {{tokens: number, pictures: number}} Quota
 * @typedef {{id: string, name: string, provider: string, vision: boolean, reasoning: boolean, available: boolean}} Model
 * @typedef {{protocol: number, user: User, quota: Quota, limits: Record<string, number>, server_time_ms: number,
 *   models: Model[]}} Welcome
 *
 * @typedef {{id: string, title: string, head: string | null, version: number, created_ms: number, updated_ms: number,
 *   snippet?: string}} ConversationInfo
 *
 * @typedef {{prompt_tokens: number, completion_tokens: number, total_tokens?: number, estimated?: boolean}} Usage
 *
 * @typedef {{id: string, url: string, width: number, height: number, type: string}} Picture
 *
 * @typedef {Object} Message
 * @property {string} id The server's id, or `local:...` until it is known.
 * @property {string} [key] Stays the same when a local message gets its real id.
 * @property {string | null} parent
 * @property {"user" | "assistant"} role
 * @property {string} text
 * @property {string} [reasoning]
 * @property {string[]} [pictures] Ids of what a question shows.
 * @property {string} [model]
 * @property {string | null} [turn]
 * @property {string} [status] Of an answer: `running`, `done`, `stopped`, `failed`, `interrupted`.
 * @property {string} [reason] Why it ended, when this page saw it end.
 * @property {Usage} [usage]
 * @property {number} [charged]
 * @property {number} [heard_chars] Read aloud, it was heard so far, in code points; absent for one that was not cut short.
 * @property {number} created_ms
 * @property {WireError} [error] Why there is no (whole) answer.
 * @property {import("./turn_stream.js").TurnStream} [stream] The live turn behind a running answer.
 *
 * @typedef {{turn: string, conversation: string, message: string, epoch: number, offset: number}} TurnPlace
 */

export {};
