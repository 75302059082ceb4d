/** docs/operate/settings.md, made from the schema so that it cannot be wrong. */
import type { Setting } from '@ringledger/base'
import { brokerSchema } from './broker-keys.ts'

const HEAD = `# Settings of a broker

What a \`broker.conf\` may hold, in Apache RocketMQ's format and spelling (\`dLeger\` misses its d
there too). This file is made by \`npm run docs\`; \`mqbroker -c broker.conf -p\` prints the values
in effect.

- A key that RocketMQ 5.4 or 4.9 knows and that is not listed here is accepted with a warning.
- Any other key, a value that makes no sense and settings that contradict each other are refused at
  start, all at once, with file and line.
- Keys marked *RingLedger only* would be ignored by RocketMQ.

| key | default | unit | meaning |
|---|---|---|---|
`

export function settingsDoc(): string {
  const rows = (Object.entries(brokerSchema) as [string, Setting<unknown>][]).map(
    ([key, setting]) => {
      const value = setting.format(setting.defaultValue)
      const shown = value === '' ? '' : `\`${value}\``
      const doc = setting.doc
        .replace(/ ?RingLedger only\./, ' *RingLedger only.*')
        .replaceAll('|', '\\|')
        .replace(/<(\w+)>/g, '&lt;$1&gt;')
      return `| \`${key}\` | ${shown} | ${setting.unit ?? ''} | ${doc} |\n`
    },
  )
  return HEAD + rows.join('')
}
