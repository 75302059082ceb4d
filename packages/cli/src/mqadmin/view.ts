/**
 * What a command shows: the same facts as JSON and as sections of text. Commands build views; only
 * here is printed.
 */

import {
  type Cell,
  type Column,
  columns,
  formatCell,
  formatTable,
  type TableStyle,
} from '@ringledger/base'
import { stringifyJson } from '@ringledger/protocol'

export { columns }

export type Section =
  | {
      kind: 'table'
      title?: string
      columns: readonly Column[]
      rows: readonly (readonly Cell[])[]
      /** Said in place of a table without rows. */
      empty: string
    }
  | { kind: 'fields'; title?: string; fields: readonly (readonly [string, Cell])[] }
  | { kind: 'text'; text: string }

export interface View {
  /** The answer to `--json`: one document with everything the sections show, and no less. */
  readonly json: unknown
  readonly sections: readonly Section[]
}

export interface TextSink {
  write(text: string): unknown
  readonly isTTY?: boolean
}

/** Where a command writes: views to `stdout`, progress and what went wrong to `stderr`. */
export interface AdminIo {
  readonly stdout: TextSink
  readonly stderr: TextSink
}

/** Prints a view. */
export function show(view: View, sink: TextSink, asJson: boolean): void {
  if (asJson) {
    sink.write(`${stringifyJson(view.json)}\n`)
    return
  }
  const style = sink.isTTY === true ? 'terminal' : 'plain'
  const blocks = view.sections.map((section) => sectionLines(section, style).join('\n'))
  sink.write(`${blocks.join('\n\n')}\n`)
}

function sectionLines(section: Section, style: TableStyle): string[] {
  if (section.kind === 'text') return [section.text]
  const title = section.title === undefined ? [] : [section.title]
  if (section.kind === 'fields') {
    const longest = Math.max(0, ...section.fields.map(([name]) => name.length))
    const lines = section.fields.map(([name, value]) => {
      return `${name.padEnd(longest)}  ${formatCell(value)}`
    })
    return [...title, ...lines]
  }
  if (section.rows.length === 0) return [...title, section.empty]
  return [...title, ...formatTable(section.columns, section.rows, style)]
}
