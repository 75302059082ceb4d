/** Refusals of the consensus thread as errors that say what to do. */
import { AppendError } from './ledger-errors.ts'
import { Refusal } from './ledger-frames.ts'

export function refusalError(refusal: number, leaderId: string | undefined): AppendError {
  switch (refusal) {
    case Refusal.NOT_LEADER: {
      const who = leaderId === undefined ? 'no leader is known' : `${leaderId} leads`
      return new AppendError('NOT_LEADER', `this node does not lead: ${who}`, false, leaderId)
    }
    case Refusal.HANDING_OVER:
      return new AppendError('HANDING_OVER', 'leadership is being handed over; try again', false)
    case Refusal.TOO_LARGE:
      return new AppendError('TOO_LARGE', 'the entry fits no data file of this log', false)
    case Refusal.DISK_FULL:
      return new AppendError('DISK_FULL', "the leader's disk is full; try again later", false)
    case Refusal.LEADERSHIP_LOST:
      return new AppendError('LEADERSHIP_LOST', 'leadership moved; look before trying again', true)
    default:
      return new AppendError(
        'HALTED',
        'this node has left its group; status().failure says why',
        refusal === Refusal.HALTED_LATE,
      )
  }
}
