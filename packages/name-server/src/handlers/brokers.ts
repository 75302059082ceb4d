/**
 * Codes 103, 104, 205, 322, 327, 901 and 904: what brokers say about themselves, and write
 * permission.
 */
import { ResponseCode } from '@ringledger/protocol'
import { readDataVersion, sameDataVersion } from '../data-version.ts'
import { requireAddress, requireName } from '../fields.ts'
import { ORDER_TOPIC_NAMESPACE } from '../kv.ts'
import { readRegistration } from '../registration.ts'
import { brokerMemberGroup, jsonBody } from '../route-view.ts'
import { type Handler, type Reply, SUCCESS } from './handler.ts'

/** 103 REGISTER_BROKER */
export const registerBroker: Handler = (request, context, requester) => {
  const registration = readRegistration(request)
  const { brokerName, brokerAddr, brokerId, refusedTopics } = registration
  if (refusedTopics > 0) {
    const fields = { brokerName, brokerAddr, refusedTopics }
    context.log.warn(fields, 'left out topics with an unusable name or number')
  }
  const known = context.routes.brokers.get(brokerName)?.addresses.get(brokerId)
  const outcome = context.routes.register(registration, requester.connectionId)
  if (outcome.kind === 'outdated') {
    const fields = { brokerName, brokerAddr, brokerId, holder: known }
    context.log.warn(fields, 'refused a registration older than the one that holds the id')
    return SUCCESS
  }
  if (outcome.kind === 'incremental-first') {
    return { code: ResponseCode.SYSTEM_ERROR, remark: 'register broker failed' }
  }
  if (known !== brokerAddr) {
    context.log.info({ brokerName, brokerAddr, brokerId, before: known }, 'broker registered')
  }
  return registeredReply(outcome, orderTopicTable(context))
}

function orderTopicTable({ kv, settings }: Parameters<Handler>[1]): Buffer | undefined {
  if (!settings.current.returnOrderTopicConfigToBroker) return undefined
  const topics = kv.list(ORDER_TOPIC_NAMESPACE)
  return topics === undefined ? undefined : jsonBody({ table: Object.fromEntries(topics) })
}

function registeredReply(
  master: { masterAddr?: string; haServerAddr?: string },
  body: Buffer | undefined,
): Reply {
  const ext: Record<string, string> = {}
  if (master.masterAddr !== undefined) ext.masterAddr = master.masterAddr
  if (master.haServerAddr !== undefined) ext.haServerAddr = master.haServerAddr
  return { code: ResponseCode.SUCCESS, ext, ...(body === undefined ? {} : { body }) }
}

/** 104 UNREGISTER_BROKER */
export const unregisterBroker: Handler = (request, context) => {
  const brokerName = requireName(request.ext, 'brokerName')
  const brokerAddr = requireAddress(request.ext, 'brokerAddr')
  context.routes.unregister({ brokerName, brokerAddr })
  context.log.info({ brokerName, brokerAddr }, 'broker unregistered')
  return SUCCESS
}

/** 205 WIPE_WRITE_PERM_OF_BROKER */
export const wipeWritePermission: Handler = (request, context) => {
  const brokerName = requireName(request.ext, 'brokerName')
  const wipeTopicCount = context.routes.changeWritePermission(brokerName, false)
  return { code: ResponseCode.SUCCESS, ext: { wipeTopicCount: String(wipeTopicCount) } }
}

/** 327 ADD_WRITE_PERM_OF_BROKER */
export const addWritePermission: Handler = (request, context) => {
  const brokerName = requireName(request.ext, 'brokerName')
  const addTopicCount = context.routes.changeWritePermission(brokerName, true)
  return { code: ResponseCode.SUCCESS, ext: { addTopicCount: String(addTopicCount) } }
}

/** 322 QUERY_DATA_VERSION: whether the broker has to send its topics again. */
export const queryDataVersion: Handler = (request, context) => {
  const brokerName = requireName(request.ext, 'brokerName')
  const brokerAddr = requireAddress(request.ext, 'brokerAddr')
  const asked = readDataVersion(parseJsonBody(request.body))
  const known = context.routes.dataVersionOf(brokerName, brokerAddr)
  const changed = known === undefined || !sameDataVersion(known, asked)
  if (!changed) context.routes.refresh(brokerName, brokerAddr)
  return {
    code: ResponseCode.SUCCESS,
    ext: { changed: String(changed) },
    ...(known === undefined ? {} : { body: jsonBody(known) }),
  }
}

function parseJsonBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** 901 GET_BROKER_MEMBER_GROUP */
export const brokerMembers: Handler = (request, context) => {
  const cluster = requireName(request.ext, 'clusterName')
  const brokerName = requireName(request.ext, 'brokerName')
  const group = brokerMemberGroup(context.routes, cluster, brokerName)
  return { code: ResponseCode.SUCCESS, body: jsonBody(group) }
}

/** 904 BROKER_HEARTBEAT */
export const brokerHeartbeat: Handler = (request, context) => {
  const brokerName = requireName(request.ext, 'brokerName')
  context.routes.refresh(brokerName, requireAddress(request.ext, 'brokerAddr'))
  return SUCCESS
}
