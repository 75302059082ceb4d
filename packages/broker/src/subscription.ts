/**
 * What a consumer wants of a topic. Owns the rule that filters come from the subscription's text
 * and never from the hashes a client sent (Go and ali-ons send none or others),
 * rocketmq-remoting.md §4.7.
 */
import { javaHashCode } from '@ringledger/protocol'

export interface Subscription {
  readonly topic: string
  readonly subString: string
  /** Tags named in the text; empty for all. */
  readonly tags: readonly string[]
  /** Hash codes of `tags`; undefined lets every message pass. */
  readonly codes: ReadonlySet<number> | undefined
  readonly subVersion: number
  readonly expressionType: string
  readonly classFilterMode: boolean
}

export const EXPRESSION_TAG = 'TAG'
export const EXPRESSION_SQL92 = 'SQL92'
const SUBSCRIBE_ALL = '*'
/** More tags than this in one expression are refused. */
const MAX_TAGS = 1_000

/** Undefined for a text that names too many tags. */
export function tagSubscription(
  topic: string,
  subString: string | undefined,
  subVersion: number,
): Subscription | undefined {
  const text = subString ?? SUBSCRIBE_ALL
  const tags = parseTags(text)
  if (tags.length > MAX_TAGS) return undefined
  return {
    topic,
    subString: text === '' ? SUBSCRIBE_ALL : text,
    tags,
    codes: tags.length === 0 ? undefined : new Set(tags.map((tag) => javaHashCode(tag))),
    subVersion,
    expressionType: EXPRESSION_TAG,
    classFilterMode: false,
  }
}

/** Whether a message with this consume-queue tags code passes. */
export function passesTags(subscription: Subscription, tagsCode: number): boolean {
  return subscription.codes === undefined || subscription.codes.has(tagsCode)
}

export function isTagExpression(expressionType: string | undefined): boolean {
  return expressionType === undefined || expressionType === '' || expressionType === EXPRESSION_TAG
}

function parseTags(text: string): string[] {
  if (text === '' || text === SUBSCRIBE_ALL) return []
  return text
    .split('||')
    .map((part) => part.trim())
    .filter((part) => part.length > 0)
}
