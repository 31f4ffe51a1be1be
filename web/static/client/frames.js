/**
 * What goes over the wire, as types. docs/protocol.md tells what it means.
 */

/** @typedef {{ type: string, [member: string]: any }} Frame */

/** @typedef {"patient" | "coordinator" | "system" | "ai"} SenderType */

/**
 * @typedef {object} Actor
 * @property {SenderType} type
 * @property {string} [id]
 * @property {string} [name]
 */

/**
 * @typedef {object} HubEvent
 * @property {"event"} type
 * @property {string} case
 * @property {number} seq
 * @property {string} cursor
 * @property {string} id
 * @property {string} at
 * @property {string} kind
 * @property {Actor} actor
 * @property {Record<string, any>} data
 * @property {string} [key]
 */

/**
 * @typedef {object} MessageData
 * @property {string} message_id
 * @property {SenderType} sender_type
 * @property {string} source
 * @property {string} text
 * @property {Array<{ kind: string, title: string, ref: string, fallback: string }>} cards
 * @property {Array<{ id: string, name: string, content_type: string, size: number }>} attachments
 * @property {"final" | "interrupted" | "failed"} state
 * @property {string} [run]
 * @property {string} [reply_to]
 * @property {true} [urgent] the fixed text for an emergency
 */

/**
 * @typedef {object} DocumentData
 * @property {"document_uploaded" | "document_parsed"} event
 * @property {string} document_id
 * @property {string} [name]
 * @property {"processing" | "ready" | "failed"} state
 * @property {string} [content_type]
 * @property {number} [size]
 * @property {number} [pages]
 * @property {string} [text]
 */

/**
 * @typedef {object} EHRData
 * @property {"clinical_entities_extracted" | "fhir_resource_created"} event
 * @property {string} [document_id]
 * @property {string} [resource_type]
 * @property {string} [text]
 */

/**
 * @typedef {object} IntakeData
 * @property {"intake_progress_updated"} event
 * @property {number} percent
 * @property {string} [step]
 * @property {string[]} missing
 */

/**
 * @typedef {object} MatchData
 * @property {"match_requested" | "match_completed"} event
 * @property {string} match_id
 * @property {string} state
 * @property {string} [procedure]
 * @property {number} [count]
 * @property {string} [text]
 */

/**
 * @typedef {object} AgentResponse
 * @property {string} text
 * @property {"ai" | "coordinator" | "system"} sender_type
 * @property {string | null} sender_name
 * @property {string} message_id
 * @property {"final" | "interrupted" | "failed"} state
 * @property {MessageData["cards"]} cards
 * @property {MessageData["attachments"]} attachments
 */

/** @typedef {{ id: string, role: string, name: string }} You */

/** @typedef {{ control: "ai" | "waiting" | "human", status: string, coordinator: string | null }} Room */

/**
 * @typedef {object} Ready
 * @property {"ready"} type
 * @property {string} case
 * @property {You} you
 * @property {string} head
 * @property {number} from
 * @property {boolean} resumed
 * @property {string} [exp]
 * @property {Room & { run: string | null }} state
 */

/**
 * @typedef {object} Ack
 * @property {"ack"} type
 * @property {string} key
 * @property {number} [seq]
 * @property {string} [id] absent: all was so already
 * @property {string} [cursor]
 * @property {string} [at]
 * @property {boolean} [dup]
 */

/** @typedef {{ events: HubEvent[], more: boolean }} Page */

/**
 * @typedef {object} DeskCase
 * @property {string} case
 * @property {string} patient
 * @property {"ai" | "waiting" | "human"} control
 * @property {string | null} owner
 * @property {string | null} owner_id
 * @property {string} status
 * @property {string | null} waiting_since
 * @property {string | null} escalation
 * @property {string | null} last_message_at
 * @property {string} preview
 * @property {number} unread
 * @property {number} reminders how often staff were told again of this wait
 */

export {};
