/**
 * Consumer groups' configuration for administrators: create and change (200, 225), delete (207),
 * one (352), all (201); rocketmq-remoting.md §3.4, §3.6.
 */
import {
  extBool,
  jsonBody,
  RequestCode,
  ResponseCode,
  requireExt,
  type SubscriptionGroupConfig,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import { RequestError } from '../request.ts'
import { readGroupConfig } from '../state/configs.ts'
import type { StateRecord } from '../state/records.ts'
import { answerWhenApplied, requireServing } from './admin-answers.ts'
import { pageOf } from './admin-page.ts'
import { bodyObject, type JsonObject, objectsMember } from './json-fields.ts'

const MAX_GROUPS_PER_REQUEST = 10_000

function groupChange(data: JsonObject): StateRecord {
  const config = readGroupConfig(data)
  if (typeof config === 'string') throw new RequestError(ResponseCode.INVALID_PARAMETER, config)
  const [attribute] = Object.keys(config.attributes)
  if (attribute !== undefined) {
    throw new RequestError(
      ResponseCode.INVALID_PARAMETER,
      `group ${config.groupName}: unsupported attribute ${attribute}`,
    )
  }
  return { kind: 'group', config }
}

export const handleUpdateGroup: Handler = (request, context) => {
  requireServing(context)
  return answerWhenApplied(request.ticket, context, [groupChange(bodyObject(request))])
}

export const handleUpdateGroupList: Handler = (request, context) => {
  requireServing(context)
  const listed = objectsMember(bodyObject(request), 'groupConfigList', MAX_GROUPS_PER_REQUEST)
  return answerWhenApplied(request.ticket, context, listed.map(groupChange))
}

/**
 * A group that does not exist is deleted already. Version 4 of the tools names the flag otherwise.
 */
export const handleDeleteGroup: Handler = ({ ext, ticket }, context) => {
  requireServing(context)
  const group = requireExt(ext, 'groupName')
  const cleanOffset = extBool(ext, 'cleanOffset', extBool(ext, 'removeOffset', false))
  const isKnown = context.subscriptionGroups.get(group) !== undefined
  const record: StateRecord = { kind: 'deleteGroup', group, cleanOffset }
  return answerWhenApplied(ticket, context, isKnown || cleanOffset ? [record] : [])
}

export const handleGroupConfig: Handler = ({ ext }, context) => {
  const group = requireExt(ext, 'group')
  const config: SubscriptionGroupConfig | undefined = context.subscriptionGroups.findOrCreate(group)
  if (config === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `No group in this broker. group: ${group}`,
    )
  }
  return { code: ResponseCode.SUCCESS, body: jsonBody(config) }
}

export const handleAllGroups: Handler = ({ ext }, context: BrokerContext) => {
  const { groupsVersion } = context.store.state
  const page = pageOf(ext, { first: 'groupSeq', most: 'maxGroupNum' }, groupsVersion, () =>
    [...context.subscriptionGroups.all()].map((config) => [config.groupName, config] as const),
  )
  return {
    code: ResponseCode.SUCCESS,
    ext: { totalGroupNum: String(context.subscriptionGroups.size) },
    body: jsonBody({
      dataVersion: groupsVersion,
      forbiddenTable: {},
      subscriptionGroupTable: Object.fromEntries(page),
    }),
  }
}

export const ADMIN_GROUP_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, handleUpdateGroup],
  [RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, handleUpdateGroupList],
  [RequestCode.DELETE_SUBSCRIPTIONGROUP, handleDeleteGroup],
  [RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, handleGroupConfig],
  [RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, handleAllGroups],
])
