/** Writes docs/operate/settings.md from the schema of broker.conf (`npm run docs`). */
import { writeFileSync } from 'node:fs'
import { settingsDoc } from '../packages/cli/src/config/settings-doc.ts'

writeFileSync(new URL('../docs/operate/settings.md', import.meta.url), settingsDoc())
