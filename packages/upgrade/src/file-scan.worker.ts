/** The piscina tasks of a survey. Progress goes out through shared memory, one slot a file. */
import xxhash from 'xxhash-wasm'
import { type FileScan, hex, type ScanRequest, scanFile } from './file-scan.ts'
import type { Mark } from './report.ts'
import { scanTail, type TailRequest } from './tail-scan.ts'

export interface ScanTask extends ScanRequest {
  readonly kind: 'file'
  /** Bytes done by each file's scan. */
  readonly progress: Float64Array
  readonly slot: number
}

export interface TailTask extends TailRequest {
  readonly kind: 'tail'
}

export async function scan({ progress, slot, ...request }: ScanTask): Promise<FileScan> {
  const { create64 } = await xxhash()
  return scanFile(
    request,
    () => create64(),
    (bytes) => {
      progress[slot] = bytes
    },
  )
}

export async function tail(request: TailTask): Promise<Mark[]> {
  const { h64Raw } = await xxhash()
  return scanTail(request, (bytes) => hex(h64Raw(bytes)))
}
