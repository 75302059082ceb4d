/**
 * The broker's configuration for administrators: show (26), and change what can be changed at run
 * time (25).
 */
import { RequestCode, ResponseCode, stringifyJson } from '@ringledger/protocol'
import type { Handler } from '../context.ts'
import { RequestError, SUCCESS } from '../request.ts'

export const handleBrokerConfig: Handler = (_request, context) => {
  const lines = context.liveSettings.entries().map(([key, value]) => `${key}=${value}\n`)
  return {
    code: ResponseCode.SUCCESS,
    ext: { version: stringifyJson(context.liveSettings.version) },
    body: Buffer.from(lines.join('')),
  }
}

/** Holds on this node, until its next start. */
export const handleUpdateBrokerConfig: Handler = (request, context) => {
  const wanted = propertiesIn(request.body.toString('utf8'))
  if (wanted.size === 0) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, 'the body holds no key=value')
  }
  const problem = context.liveSettings.change(wanted)
  if (problem !== undefined) throw new RequestError(ResponseCode.NO_PERMISSION, problem)
  const text = [...wanted].map(([key, value]) => `${key}=${value}`).join(', ')
  context.log(`changed until the next start, by an administrator: ${text}`)
  return SUCCESS
}

function propertiesIn(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const line of text.split('\n')) {
    const at = line.indexOf('=')
    if (at <= 0 || line.startsWith('#')) continue
    properties.set(line.slice(0, at).trim(), line.slice(at + 1).trim())
  }
  return properties
}

export const ADMIN_CONFIG_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.GET_BROKER_CONFIG, handleBrokerConfig],
  [RequestCode.UPDATE_BROKER_CONFIG, handleUpdateBrokerConfig],
])
