/** Brings the tables of docs/protocol/remoting.md up to date (`npm run docs`). */
import { readFileSync, writeFileSync } from 'node:fs'
import { withTables } from './remoting-tables.ts'

const PATH = new URL('../docs/protocol/remoting.md', import.meta.url)
writeFileSync(PATH, withTables(readFileSync(PATH, 'utf8')))
