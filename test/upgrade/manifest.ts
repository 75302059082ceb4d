/**
 * A broker's content as a manifest that an independent program can compare another broker with:
 * `rmqload verify -manifest`. Only run where RMQLOAD names such a program.
 */
import { writeFileSync } from 'node:fs'
import { runCommand } from '../support/run-command.ts'
import { allOf, type BrokerContent, type Content } from './broker-content.ts'

/** What it said; undefined when there is no such program. @throws Error when something differs */
export async function verifiedByOthers(
  address: string,
  content: BrokerContent,
  consumerOffsets: Record<string, Record<string, number>>,
  path: string,
): Promise<string | undefined> {
  const program = process.env.RMQLOAD
  if (program === undefined) return undefined
  const messages = allOf(content).map(manifestMessage)
  writeFileSync(
    path,
    JSON.stringify({ messages, consumerOffset: { offsetTable: consumerOffsets } }),
  )
  const words = ['verify', '-broker', address, '-manifest', path]
  const { code, stdout, stderr } = await runCommand(program, words)
  if (code !== 0) throw new Error(`${program} ${words.join(' ')}: ${stdout}${stderr}`)
  return stdout.trim()
}

function manifestMessage(message: Content): Record<string, unknown> {
  const { properties, bornTimestampMs, storeTimestampMs, bodyDigest, ...fields } = message
  return {
    ...fields,
    uniqKey: properties.get('UNIQ_KEY') ?? '',
    bornTimestamp: bornTimestampMs,
    storeTimestamp: storeTimestampMs,
    properties: Object.fromEntries(properties),
    storedBodySha256: bodyDigest,
    clientRead: true,
  }
}
