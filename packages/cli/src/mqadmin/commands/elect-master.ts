/**
 * electMaster: hands the leadership of a group to one of its followers. Apache's command asks a
 * controller; here a broker is the controller of its own group.
 */
import { RequestCode } from '@ringledger/protocol'
import type { Admin } from '../admin.ts'
import { type AdminCommand, count } from '../command.ts'
import { AdminError } from '../errors.ts'
import { clusterBrokers } from '../queries.ts'

interface Options {
  readonly controllerAddress?: string
  readonly brokerId: number
  readonly brokerName?: string
  readonly clusterName?: string
}

export const electMaster: AdminCommand<Options> = {
  name: 'electMaster',
  summary: 'Hand the leadership of a broker group to one of its followers.',
  options: [
    {
      flags: '-a, --controllerAddress <address>',
      description: 'the leading broker, host:port (default: as the name server says)',
    },
    {
      flags: '-b, --brokerId <id>',
      description: 'the follower that is to lead, by its id in clusterList',
      required: true,
      parse: count(1),
    },
    {
      flags: '--brokerName <name>',
      description: 'the group, where there are several (as in Apache also: -bn)',
    },
    { flags: '-c, --clusterName <cluster>', description: 'the cluster of the group' },
  ],
  example: 'electMaster -b 2',
  async run(admin, options) {
    const { brokerId, brokerName, clusterName } = options
    const address = options.controllerAddress ?? (await leaderOf(admin, options))
    const ext = {
      brokerId,
      designateElect: true,
      ...(brokerName === undefined ? {} : { brokerName }),
      ...(clusterName === undefined ? {} : { clusterName }),
    }
    const answer = await admin.askBroker(address, {
      code: RequestCode.CONTROLLER_ELECT_MASTER,
      ext,
    })
    const term = Number(answer.ext.masterEpoch)
    return {
      json: { brokerId, term },
      sections: [{ kind: 'text', text: `broker ${brokerId} leads now, in term ${term}` }],
    }
  },
}

/** @throws AdminError when several groups, none, or none with a leader fits. */
async function leaderOf(admin: Admin, { brokerName, clusterName }: Options): Promise<string> {
  const all = await clusterBrokers(admin, clusterName)
  const fitting = all.filter(({ name }) => brokerName === undefined || name === brokerName)
  const names = all.map(({ name }) => name).join(', ')
  const [group, another] = fitting
  if (group === undefined) {
    throw new AdminError(`the name server knows no group ${brokerName ?? ''}`, `groups: ${names}`)
  }
  if (another !== undefined) {
    throw new AdminError('there are several groups', `name one with: --brokerName (${names})`)
  }
  const address = group.addresses.get(0)
  if (address === undefined) throw new AdminError(`the group ${group.name} has no leader now`)
  return address
}
