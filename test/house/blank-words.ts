/**
 * Blanks out what is not code, so that checks by pattern do not trip over words. A small scanner
 * rather than a parser: the house's TypeScript 7 has no stable syntax tree for JavaScript yet.
 */

export interface Blanked {
  readonly code: string
  readonly uncommented: string
}

const REGEX_BEFORE =
  /(^|[=([{,;:!&|?+\-*%<>~^]|=>|\b(return|typeof|case|in|of|do|else|throw|await|yield|void|delete))\s*$/

/** Keeps the length and every line end. */
export function blankWords(text: string): Blanked {
  return new Scanner(text).run()
}

class Scanner {
  readonly #text: string
  #at = 0
  #code = ''
  #uncommented = ''
  /** Depth of braces inside each open `${`, innermost last. */
  readonly #templates: number[] = []

  constructor(text: string) {
    this.#text = text
  }

  run(): Blanked {
    while (this.#at < this.#text.length) this.#step()
    return { code: this.#code, uncommented: this.#uncommented }
  }

  #step(): void {
    const end = this.#wordEnd()
    const char = this.#text[this.#at]!
    if (end > 0) this.#take(end, char !== '/' || !'/*'.includes(this.#text[this.#at + 1]!))
    else if (char === '`') this.#template(this.#at + 1)
    else if (char === '}' && this.#templates.at(-1) === 1) {
      this.#templates.pop()
      this.#template(this.#at + 1)
    } else {
      this.#keep(char)
    }
  }

  /** Where the comment, string or regular expression that starts here ends; 0 when none starts. */
  #wordEnd(): number {
    const char = this.#text[this.#at]!
    const two = this.#text.slice(this.#at, this.#at + 2)
    if (two === '//') return this.#lineEnd()
    if (two === '/*') return this.#find('*/', this.#at + 2)
    if (char === "'" || char === '"') return this.#quoteEnd(char)
    return char === '/' && REGEX_BEFORE.test(this.#code.slice(-40)) ? this.#regexEnd() : 0
  }

  #keep(char: string): void {
    if (this.#templates.length > 0 && (char === '{' || char === '}')) {
      this.#templates[this.#templates.length - 1]! += char === '{' ? 1 : -1
    }
    this.#code += char
    this.#uncommented += char
    this.#at++
  }

  /** From inside a template literal to its end or its next `${`. */
  #template(from: number): void {
    let at = from
    while (at < this.#text.length) {
      if (this.#text[at] === '\\') at++
      else if (this.#text[at] === '`') break
      else if (this.#text.startsWith('${', at)) {
        this.#templates.push(1)
        at++
        break
      }
      at++
    }
    this.#take(Math.min(at + 1, this.#text.length), true)
  }

  #take(end: number, isWord: boolean): void {
    const piece = this.#text.slice(this.#at, end)
    const blank = piece.replace(/[^\n]/g, ' ')
    this.#code += blank
    this.#uncommented += isWord ? piece : blank
    this.#at = end
  }

  #lineEnd(): number {
    const end = this.#text.indexOf('\n', this.#at)
    return end < 0 ? this.#text.length : end
  }

  #find(what: string, from: number): number {
    const found = this.#text.indexOf(what, from)
    return found < 0 ? this.#text.length : found + what.length
  }

  #quoteEnd(quote: string): number {
    let at = this.#at + 1
    while (at < this.#text.length && this.#text[at] !== quote && this.#text[at] !== '\n') {
      at += this.#text[at] === '\\' ? 2 : 1
    }
    return Math.min(at + 1, this.#text.length)
  }

  #regexEnd(): number {
    let inClass = false
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const char = this.#text[at]
      if (char === '\n') return at
      if (char === '\\') at++
      else if (char === '[') inClass = true
      else if (char === ']') inClass = false
      else if (char === '/' && !inClass)
        return at + 1 + /^[a-z]*/.exec(this.#text.slice(at + 1))![0].length
    }
    return this.#text.length
  }
}
