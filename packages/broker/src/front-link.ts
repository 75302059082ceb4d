/**
 * The core thread's end of the two rings to one network worker. Invariant: a completion always has
 * room, because a worker has no more tokens than its ring holds frames.
 */
import { assert } from '@ringledger/base'
import type { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import type { SendRefusal } from './send-responder.ts'
import {
  CompletionFrame,
  REFUSED_BYTES,
  STORED_BYTES,
  SUBMIT_HEAD_BYTES,
  SubmitFrame,
} from './submit-frames.ts'

/** What a network worker asks to be ordered; `bytes` hold it during the call only. */
export interface Submission {
  token: number
  queueId: number
  bytes: Buffer
  topicStart: number
  topicEnd: number
  start: number
  end: number
}

export type OnSubmission = (link: FrontLink, submission: Submission) => void

export interface FrontLinkParts {
  readonly number: number
  readonly submissions: SpscRing
  readonly completions: SpscRing
  readonly bell: Doorbell
}

/** So that one worker's flood keeps neither the others nor the peers waiting. */
const MAX_FRAMES_PER_TURN = 1_024

export class FrontLink {
  /** Among the network workers. */
  readonly number: number
  readonly #in: SpscRing
  readonly #out: SpscRing
  readonly #bell: Doorbell
  readonly #submission: Submission
  #madeRoom = false

  constructor({ number, submissions, completions, bell }: FrontLinkParts) {
    this.number = number
    this.#in = submissions
    this.#out = completions
    this.#bell = bell
    const { bytes } = submissions
    this.#submission = {
      token: -1,
      queueId: 0,
      bytes,
      topicStart: 0,
      topicEnd: 0,
      start: 0,
      end: 0,
    }
  }

  /** True if more waits. */
  drain(onSubmission: OnSubmission): boolean {
    const drained = this.#in.drain((type, offset, sizeBytes) => {
      assert(type === SubmitFrame.SUBMIT, 'a network worker only submits')
      const { view } = this.#in
      const submission = this.#submission
      submission.token = view.getInt32(offset, true)
      submission.queueId = view.getInt32(offset + 4, true)
      submission.start = offset + SUBMIT_HEAD_BYTES
      submission.end = offset + sizeBytes
      submission.topicStart = submission.start + view.getInt32(offset + 8, true)
      submission.topicEnd = submission.topicStart + view.getInt32(offset + 12, true)
      onSubmission(this, submission)
    }, MAX_FRAMES_PER_TURN)
    if (drained > 0 && this.#in.takeStarved()) this.#madeRoom = true
    return this.#in.pending
  }

  stored(token: number, physicalOffset: number, queueOffset: number): void {
    const offset = this.#claim(CompletionFrame.STORED, STORED_BYTES)
    const { view } = this.#out
    view.setInt32(offset, token, true)
    view.setInt32(offset + 4, 0, true)
    view.setFloat64(offset + 8, physicalOffset, true)
    view.setFloat64(offset + 16, queueOffset, true)
    this.#out.commit()
  }

  refused(token: number, refusal: SendRefusal): void {
    const offset = this.#claim(CompletionFrame.REFUSED, REFUSED_BYTES)
    this.#out.view.setInt32(offset, token, true)
    this.#out.view.setInt32(offset + 4, refusal, true)
    this.#out.commit()
  }

  /** The worker is to look again, though nothing was completed. */
  wake(): void {
    this.#madeRoom = true
  }

  /** Publishes the turn's completions and wakes the worker if it has something to do. */
  flush(): void {
    if (!this.#out.publish() && !this.#madeRoom) return
    this.#madeRoom = false
    this.#bell.ring()
  }

  #claim(type: number, sizeBytes: number): number {
    const offset = this.#out.claim(sizeBytes, type)
    assert(offset >= 0, 'a worker has no more tokens than its ring holds completions')
    return offset
  }
}
