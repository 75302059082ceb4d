/**
 * The attributes of a topic as admin requests change them: `+name=value` sets, `-name` removes,
 * several with commas (rocketmq-remoting.md §3.6). Owns what names and values a topic may have.
 */
import { ResponseCode } from '@ringledger/protocol'
import { RequestError } from '../request.ts'

interface AttributeRule {
  /** May it change once the topic exists? */
  readonly changeable: boolean
  /** Why the value is not taken; undefined when it is. */
  problem(value: string): string | undefined
}

const MESSAGE_TYPES = ['UNSPECIFIED', 'NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'PRIORITY']
const MAX_TEXT_LENGTH = 4096

const RULES: ReadonlyMap<string, AttributeRule> = new Map([
  ['queue.type', { changeable: false, problem: onlyOne('SimpleCQ') }],
  ['cleanup.policy', { changeable: false, problem: onlyOne('DELETE') }],
  ['message.type', { changeable: true, problem: messageTypeProblem }],
  ['reserve.time', { changeable: true, problem: reserveTimeProblem }],
])

/**
 * Values that Apache knows and this broker has no store for are refused, since they would change
 * nothing.
 */
function onlyOne(supported: string): (value: string) => string | undefined {
  return (value) => (value === supported ? undefined : `only ${supported} is supported`)
}

function messageTypeProblem(value: string): string | undefined {
  if (value === 'MIXED') return 'MIXED message type is not supported'
  return MESSAGE_TYPES.includes(value) ? undefined : `it is one of ${MESSAGE_TYPES.join(', ')}`
}

function reserveTimeProblem(value: string): string | undefined {
  return /^(-1|\d{1,15})$/.test(value) ? undefined : 'it is a number of milliseconds, or -1'
}

/**
 * The attributes after the change; `current` undefined: a new topic. Throws RequestError
 * INVALID_PARAMETER.
 */
export function changedAttributes(
  current: Readonly<Record<string, string>> | undefined,
  change: string,
): Record<string, string> {
  const attributes = new Map(Object.entries(current ?? {}))
  if (change.trim() === '') return Object.fromEntries(attributes)
  if (change.length > MAX_TEXT_LENGTH) throw invalid('the attributes are too long')
  for (const part of change.split(',')) applyPart(attributes, part.trim(), current)
  return Object.fromEntries(attributes)
}

/**
 * As `changedAttributes('+…')` for a config that names its attributes in full, with or without the
 * sign.
 */
export function attributeChangeOf(attributes: Readonly<Record<string, string>>): string {
  return Object.entries(attributes)
    .map(([name, value]) => {
      if (name.startsWith('-')) return name
      return name.startsWith('+') ? `${name}=${value}` : `+${name}=${value}`
    })
    .join(',')
}

function applyPart(
  attributes: Map<string, string>,
  part: string,
  current: Readonly<Record<string, string>> | undefined,
): void {
  const sign = part[0]
  const equals = part.indexOf('=')
  const name = part.slice(1, sign === '+' && equals > 0 ? equals : undefined)
  if ((sign !== '+' && sign !== '-') || name === '' || (sign === '+' && equals < 0)) {
    throw invalid(`an attribute is +name=value or -name, not ${part}`)
  }
  const rule = RULES.get(name)
  if (rule === undefined) throw invalid(`unsupported attribute ${name}`)
  const value = sign === '+' ? part.slice(equals + 1) : undefined
  const changes = current !== undefined && current[name] !== value
  if (changes && !rule.changeable) throw invalid(`the attribute ${name} cannot be changed`)
  if (value === undefined) {
    if (current === undefined) throw invalid('a new topic has no attribute to remove')
    attributes.delete(name)
    return
  }
  const problem = rule.problem(value)
  if (problem !== undefined)
    throw invalid(`the attribute ${name}=${value} is not taken: ${problem}`)
  attributes.set(name, value)
}

function invalid(reason: string): RequestError {
  return new RequestError(ResponseCode.INVALID_PARAMETER, reason)
}
