/** Runs `ledger` in this process, with streams that a test reads. */
import { ledgerMain } from './main.ts'

export interface LedgerRun {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** `input` is what stands on standard input. */
export async function runLedger(
  argv: readonly string[],
  options: { input?: readonly string[]; signal?: AbortSignal; onOut?: (text: string) => void } = {},
): Promise<LedgerRun> {
  const out: Uint8Array[] = []
  const err: string[] = []
  async function* input(): AsyncIterable<Uint8Array> {
    for (const text of options.input ?? []) yield Buffer.from(text)
  }
  const code = await ledgerMain(argv, {
    stdin: input(),
    stdout: {
      write: (text) => {
        out.push(Buffer.from(text))
        options.onOut?.(String(text))
      },
    },
    stderr: { write: (text) => err.push(String(text)) },
    signal: options.signal ?? new AbortController().signal,
  })
  return { code, out: Buffer.concat(out).toString(), err: err.join('') }
}
