/** How the quick start talks: short lines, and commands that can be pasted as they are. */
export interface Say {
  line(text: string): void
  /** Something that is being done now. */
  step(text: string): void
  /** The command line of a verb for this cluster. */
  command(verb: string): string
}

/** `directory` and `basePort` only when the reader has to repeat them. */
export function terminalSay(directory: string | undefined): Say {
  const suffix = directory === undefined ? '' : ` --dir ${shellWord(directory)}`
  return {
    line: (text) => process.stdout.write(`${text}\n`),
    step: (text) => process.stdout.write(`  starting: ${text}\n`),
    command: (verb) => `./fast-try.sh ${verb}${suffix}`,
  }
}

function shellWord(text: string): string {
  return /^[\w./~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
