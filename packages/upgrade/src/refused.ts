/** Refusals: nothing failed, but a store must not be changed, or written anew, as it is. */

/** `message` says what was found, `advice` what to do; nothing was changed. */
export class UpgradeRefused extends Error {
  override readonly name: string = 'UpgradeRefused'
  readonly advice: string

  constructor(message: string, advice: string) {
    super(message)
    this.advice = advice
  }
}

/** Why another member's log is not adopted. */
export class AdoptRefused extends UpgradeRefused {
  override readonly name = 'AdoptRefused'
}

/** Why a store is not rolled back. */
export class RollbackRefused extends UpgradeRefused {
  override readonly name = 'RollbackRefused'
}
