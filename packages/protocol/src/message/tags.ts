/**
 * Tag codes: Java's `String.hashCode`, an int32 over UTF-16 units (reference rocketmq-remoting.md
 * §4.7). Computable from UTF-8 bytes without making a string.
 */

/** Java's hash of a text, as signed int32. */
export function javaHashCode(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

/** The tags code of a message with this tag; 0 for no tag. */
export function tagsCode(tag: string | undefined): number {
  return tag === undefined ? 0 : javaHashCode(tag)
}

/** Java's hash of the text whose UTF-8 bytes are `bytes[start..end)`. */
export function javaHashCodeOfUtf8(bytes: Buffer, start: number, end: number): number {
  let hash = 0
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number
    if (byte >= 0x80) return javaHashCode(bytes.toString('utf8', start, end))
    hash = (Math.imul(hash, 31) + byte) | 0
  }
  return hash
}
