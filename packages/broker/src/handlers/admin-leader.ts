/**
 * Who leads the group, asked and changed the way RocketMQ asks its controller: a broker is the
 * controller of its own group. 1002 makes a follower the leader, 1005 says who leads.
 */
import { extLong, RequestCode, ResponseCode } from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import { electedAnswer } from '../leader-transfer.ts'
import { followerBrokerId } from '../node-settings.ts'
import { type BrokerRequest, RequestError } from '../request.ts'
import { whoLeads } from './admin-answers.ts'

const handleElectMaster: Handler = (request, context) => {
  checkGroup(request, context)
  requireLeader(context)
  const brokerId = Number(extLong(request.ext, 'brokerId', -1))
  const { leaderId, term } = context.role
  const leader = followerBrokerId(leaderId)
  if (brokerId === 0 || brokerId === leader) return electedAnswer(leader, term)
  context.leaderTransfer.start(request.ticket, brokerId)
  return undefined
}

const handleMetadata: Handler = (_request, context) => {
  requireLeader(context)
  const { brokerName, brokerIP1, listenPort } = context.settings
  const ext = {
    group: brokerName,
    controllerLeaderId: context.role.leaderId,
    controllerLeaderAddress: `${brokerIP1}:${listenPort}`,
    isLeader: 'true',
  }
  return { code: ResponseCode.SUCCESS, ext }
}

function checkGroup({ ext }: BrokerRequest, context: BrokerContext): void {
  const { brokerName, brokerClusterName } = context.settings
  if ((ext.brokerName || brokerName) !== brokerName) {
    throw unknown(`this broker belongs to ${brokerName}, not to ${ext.brokerName}`)
  }
  if ((ext.clusterName || brokerClusterName) !== brokerClusterName) {
    throw unknown(`this broker belongs to ${brokerClusterName}, not to ${ext.clusterName}`)
  }
}

function requireLeader({ role }: BrokerContext): void {
  if (role.serving) return
  throw new RequestError(
    ResponseCode.CONTROLLER_NOT_LEADER,
    `this broker does not lead: ${whoLeads(role.leaderId)}`,
  )
}

function unknown(reason: string): RequestError {
  return new RequestError(ResponseCode.CONTROLLER_BROKER_METADATA_NOT_EXIST, reason)
}

export const ADMIN_LEADER_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.CONTROLLER_ELECT_MASTER, handleElectMaster],
  [RequestCode.CONTROLLER_GET_METADATA_INFO, handleMetadata],
])
