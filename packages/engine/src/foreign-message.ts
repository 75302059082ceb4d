/** Messages that travel between members beside Raft's, and that only the importer knows. */

/** What an importer says to its peers over the group's connections; Raft does not know it. */
export interface ForeignMessage {
  readonly type: `oldLog${string}`
  readonly from: string
  readonly to: string
  readonly term: number
}

export function isForeign(message: { readonly type: string }): message is ForeignMessage {
  return message.type.startsWith('oldLog')
}
