/**
 * Takes the files of consume queues and key index away that speak only of messages which the log
 * has no more, a little at a time. A queue keeps its last file, and with it its next offset.
 */
import type { RetentionSettings } from './settings.ts'
import type { QueueView, StoreView } from './store-view.ts'

const QUEUES_PER_DUTY = 64

export class QueueCleaner {
  readonly #store: StoreView
  readonly #settings: Pick<RetentionSettings, 'deleteConsumeQueueFilesInterval'>
  #left: QueueView[] = []
  #indexIsLeft = false
  #nextMs = Number.POSITIVE_INFINITY

  constructor(
    store: StoreView,
    settings: Pick<RetentionSettings, 'deleteConsumeQueueFilesInterval'>,
  ) {
    this.#store = store
    this.#settings = settings
  }

  get nextMs(): number {
    return this.#nextMs
  }

  begin(nowMs: number): void {
    this.#left = []
    this.#store.queues.forEachQueue((queue) => this.#left.push(queue))
    this.#indexIsLeft = true
    this.#nextMs = nowMs
  }

  /** True if there was anything to do. */
  duty(nowMs: number): boolean {
    if (nowMs < this.#nextMs) return false
    for (let count = 0; count < QUEUES_PER_DUTY; count++) {
      const queue = this.#left.at(-1)
      if (queue === undefined) break
      if (!queue.deleted && queue.removeOldestFile()) return this.#pause(nowMs)
      this.#left.pop()
    }
    if (this.#left.length > 0) return true
    if (this.#indexIsLeft && this.#store.index.removeOldestFile(this.#store.logFirstPosition)) {
      return this.#pause(nowMs)
    }
    this.#indexIsLeft = false
    this.#nextMs = Number.POSITIVE_INFINITY
    return true
  }

  #pause(nowMs: number): true {
    this.#nextMs = nowMs + this.#settings.deleteConsumeQueueFilesInterval
    return true
  }
}
