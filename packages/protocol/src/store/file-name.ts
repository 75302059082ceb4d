/** Names of log, queue and index files: the 20-digit decimal of the first byte's offset. */

export const FILE_NAME_DIGITS = 20

export function fileNameOfOffset(offset: number): string {
  return String(offset).padStart(FILE_NAME_DIGITS, '0')
}

/** The offset a file name stands for; undefined when it is not such a name. */
export function offsetOfFileName(name: string): number | undefined {
  if (!/^\d{20}$/.test(name)) return undefined
  const offset = Number(name)
  return Number.isSafeInteger(offset) ? offset : undefined
}
