/**
 * What every handler gets: the broker's tables and the ways to answer, to propose a state change and to be
 * woken. Invariant: only the broker thread touches any of it.
 */
import type { Clock } from '@ringledger/base'
import type { CorePort, Role } from './core-port-api.ts'
import type { Answer, BrokerRequest, Ticket } from './request.ts'
import type { BrokerSettings } from './settings.ts'

/**
 * Answers one request code.
 * Returns the answer, or undefined when it will call `context.answer(ticket, …)` later. Throws RequestError for
 * a RocketMQ error code; any other exception becomes code 1 and one log line. The agent drops answers to
 * one-way requests, so handlers need not look at that flag.
 */
export type Handler = (request: BrokerRequest, context: BrokerContext) => Answer | undefined

export interface BrokerContext {
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly port: CorePort
  /** This node's part in the Raft group. Client writes need `serving`. */
  readonly role: RoleView
  answer(ticket: Ticket, answer: Answer): void
  /** One line for the operator. */
  log(line: string): void
}

export interface RoleView {
  readonly role: Role
  readonly term: number
  readonly leaderId: string
  /** Leader, and everything before its first entry has been applied here. */
  readonly serving: boolean
}
