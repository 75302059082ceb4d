/**
 * The reader behind `parseLenientJson`: recursive descent over fastjson's dialect. Owns the bound
 * on nesting, so that hostile input cannot exhaust the stack.
 */
import { LedgerError } from '@ringledger/base'
import { stringifyJson } from './json-writer.ts'

const MAX_DEPTH = 200
/** Converting a longer integer takes more than linear time. */
const MAX_NUMBER_CHARACTERS = 400
const BLANKS = /[ \t\r\n]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const BARE_KEY = /-?[\w$.]+/y

export class LenientJsonReader {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  readDocument(): unknown {
    const value = this.#readValue()
    this.#skipBlanks()
    if (this.#at !== this.#text.length) this.#fail('text after the value')
    return value
  }

  #fail(reason: string): never {
    throw new LedgerError('BAD_REQUEST', `JSON, character ${this.#at}: ${reason}`)
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found !== null) this.#at = pattern.lastIndex
    return found
  }

  #skipBlanks(): void {
    this.#match(BLANKS)
  }

  /** The next character that is not blank, not consumed; empty at the end. */
  #peek(): string {
    this.#skipBlanks()
    return this.#text[this.#at] ?? ''
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false
    this.#at++
    return true
  }

  #readValue(): unknown {
    switch (this.#peek()) {
      case '{':
        return this.#readObject()
      case '[':
        return this.#readArray()
      case '"':
        return this.#readString()
      case 't':
        return this.#readWord('true', true)
      case 'f':
        return this.#readWord('false', false)
      case 'n':
        return this.#readWord('null', null)
      default:
        return this.#readNumber()
    }
  }

  #readWord<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('unknown word')
    this.#at += word.length
    return value
  }

  #readNumber(): number | bigint {
    const found = this.#match(NUMBER)
    if (found === null) this.#fail('a value is missing')
    const value = Number(found[0])
    if (found[0].length > MAX_NUMBER_CHARACTERS) this.#fail('a number without end')
    const isInteger = found[1] === undefined && found[2] === undefined
    return isInteger && !Number.isSafeInteger(value) ? BigInt(found[0]) : value
  }

  #readString(): string {
    const start = this.#at
    let at = start + 1
    while (at < this.#text.length && this.#text[at] !== '"') at += this.#text[at] === '\\' ? 2 : 1
    if (at >= this.#text.length) this.#fail('a string does not end')
    this.#at = at + 1
    try {
      return JSON.parse(this.#text.slice(start, this.#at))
    } catch {
      return this.#fail('a bad escape or control character')
    }
  }

  #enter(): void {
    if (++this.#depth > MAX_DEPTH) this.#fail('nested too deeply')
  }

  #readArray(): unknown[] {
    this.#enter()
    this.#at++
    const items: unknown[] = []
    if (!this.#take(']')) {
      do items.push(this.#readValue())
      while (this.#take(','))
      if (!this.#take(']')) this.#fail("',' or ']' is missing")
    }
    this.#depth--
    return items
  }

  #readKey(): string {
    const first = this.#peek()
    if (first === '"') return this.#readString()
    if (first === '{') return stringifyJson(this.#readObject())
    const bare = this.#match(BARE_KEY)
    return bare === null ? this.#fail('a key is missing') : bare[0]
  }

  #readObject(): Record<string, unknown> {
    this.#enter()
    this.#at++
    const object: Record<string, unknown> = {}
    if (!this.#take('}')) {
      do {
        const key = this.#readKey()
        if (!this.#take(':')) this.#fail("':' is missing")
        setMember(object, key, this.#readValue())
      } while (this.#take(','))
      if (!this.#take('}')) this.#fail("',' or '}' is missing")
    }
    this.#depth--
    return object
  }
}

/** Sets a member like `JSON.parse` does: as data also under the name `__proto__`. */
function setMember(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  } else {
    object[key] = value
  }
}
