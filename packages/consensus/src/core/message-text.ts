/** Messages as lines of text, for traces and for a driver's debug log. */
import type { PeerMessage } from './messages.ts'

/** A message as text, without its addresses. */
export function describeMessage(message: PeerMessage): string {
  const head = `${message.type} term=${message.term}`
  switch (message.type) {
    case 'preVote':
      return `${head} next=${message.nextTerm} log=${message.lastTerm}@${message.endPosition}`
    case 'vote': {
      const transfer = message.transfer ? ' transfer' : ''
      return `${head} log=${message.lastTerm}@${message.endPosition}${transfer}`
    }
    case 'preVoteReply':
    case 'voteReply':
      return `${head} ${message.granted ? 'granted' : `refused: ${message.reason}`}`
    case 'append': {
      const range = `${message.prevTerm}@${message.prevPosition}..${message.endPosition}`
      return `${head} ${range} commit=${message.commitPosition} round=${message.round}`
    }
    case 'install':
      return `${head} first=${message.firstIndex}@${message.firstPosition} round=${message.round}`
    case 'appendReply': {
      const { accepted, matchPosition, endPosition, conflictTerm, diskFull } = message
      const round = `round=${message.round}${diskFull ? ' full' : ''}`
      if (accepted) return `${head} match=${matchPosition} end=${endPosition} ${round}`
      return `${head} refused, look at ${conflictTerm}@${endPosition} ${round}`
    }
    case 'timeoutNow':
      return head
  }
}
