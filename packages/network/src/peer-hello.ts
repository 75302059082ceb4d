/**
 * How two nodes make sure that they belong together before a log byte flows. Owns the words of a
 * mismatch.
 */

export const PEER_PROTOCOL_VERSION = 2

export interface Hello {
  readonly version: number
  readonly group: string
  readonly selfId: string
  readonly targetId: string
  readonly segmentBytes: number
  /** The longest entry that the node takes; a longer one of its leader's it would refuse. */
  readonly maxEntryBytes: number
  /** It knows the messages of repair; absent in what older releases send. */
  readonly repairs?: boolean
  /** It answers questions about its old commit log; absent in what older releases send. */
  readonly oldLogs?: boolean
  /** Set by the side that was dialled when it will not have the other one. */
  readonly refusal?: string
}

const MAX_NAME_CHARACTERS = 255
const MAX_REFUSAL_CHARACTERS = 300

/** Names end up in log lines: short, and one line. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_NAME_CHARACTERS && !/\p{Cc}/u.test(value)
}

/** A received HELLO with the types it must have, or undefined. */
export function asHello(value: unknown): Hello | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { version, group, selfId, targetId, segmentBytes, maxEntryBytes, refusal } =
    value as Partial<Hello>
  const { repairs, oldLogs } = value as Partial<Hello>
  if (
    typeof version !== 'number' ||
    !isName(group) ||
    !isName(selfId) ||
    !isName(targetId) ||
    typeof segmentBytes !== 'number' ||
    typeof maxEntryBytes !== 'number'
  ) {
    return undefined
  }
  const known = { version, group, selfId, targetId, segmentBytes, maxEntryBytes }
  const hello = {
    ...known,
    ...(repairs === true ? { repairs } : {}),
    ...(oldLogs === true ? { oldLogs } : {}),
  }
  if (typeof refusal !== 'string') return hello
  return { ...hello, refusal: refusal.slice(0, MAX_REFUSAL_CHARACTERS).replace(/\p{Cc}/gu, ' ') }
}

/**
 * What keeps `theirs` from belonging to `ours`, in an operator's words; undefined when nothing
 * does.
 */
export function helloMismatch(ours: Hello, theirs: Hello): string | undefined {
  if (theirs.version !== ours.version) {
    return `it speaks version ${theirs.version} of the peer protocol, this node ${ours.version}: run the same release on all nodes`
  }
  if (theirs.group !== ours.group) {
    return `it belongs to group ${theirs.group}, this node to ${ours.group}: check dLegerGroup and dLegerPeers`
  }
  if (theirs.targetId !== ours.selfId) {
    return `it takes this node for ${theirs.targetId}, which is ${ours.selfId}: check dLegerPeers and dLegerSelfId`
  }
  if (ours.targetId !== '' && theirs.selfId !== ours.targetId) {
    return `it is ${theirs.selfId} where ${ours.targetId} should be: check dLegerPeers and dLegerSelfId`
  }
  if (theirs.segmentBytes !== ours.segmentBytes) {
    return `its segments have ${theirs.segmentBytes} bytes, ours ${ours.segmentBytes}: set the same mappedFileSizeCommitLog on all nodes`
  }
  if (theirs.maxEntryBytes !== ours.maxEntryBytes) {
    return `its entries may have ${theirs.maxEntryBytes} bytes, ours ${ours.maxEntryBytes}: set the same maxMessageSize on all nodes`
  }
  return theirs.refusal === undefined ? undefined : `it refuses this node: ${theirs.refusal}`
}
