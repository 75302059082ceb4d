/**
 * What the broker thread tells the main thread, which registers the node at name servers and writes
 * the log.
 */
export interface BrokerReport {
  /** Topics were created, changed or deleted; called at most once a duty. */
  topicsChanged(): void
  /** This node leads `term` and takes writes. */
  serving(term: number): void
  log(level: 'info' | 'warn' | 'error', line: string): void
}
