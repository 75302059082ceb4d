/** How mqadmin ends: exit codes, and errors that say what to do. */

export const ExitCode = { OK: 0, FAILURE: 1, USAGE: 64 } as const

/** Something the operator has to know; `hint` says what to do about it. No stack is shown. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

/** The command line does not make sense (exit code 64). */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A server answered, and the answer was no; `code` is RocketMQ's response code. */
export class RefusedError extends AdminError {
  readonly code: number

  constructor(code: number, message: string, hint?: string) {
    super(message, hint)
    this.code = code
  }
}
