/** deleteExpiredCommitLog and cleanExpiredCQ: old messages go now and not at deleteWhen. */
import { RequestCode } from '@ringledger/protocol'
import { type AdminCommand, brokerOrCluster } from '../command.ts'
import { clusterBrokers } from '../queries.ts'

interface Options {
  readonly brokerAddr?: string
  readonly clusterName?: string
}

export const deleteExpiredCommitLog: AdminCommand<Options> = command(
  'deleteExpiredCommitLog',
  'Delete the parts of the log that are older than fileReservedTime, whatever the hour.',
  RequestCode.DELETE_EXPIRED_COMMITLOG,
)

export const cleanExpiredCQ: AdminCommand<Options> = command(
  'cleanExpiredCQ',
  'Delete the files of consume queues whose messages the log has no more; offsets stay.',
  RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE,
)

/** Every node has files of its own, so that followers are asked as well as leaders. */
function command(name: string, summary: string, code: number): AdminCommand<Options> {
  return {
    name,
    summary,
    options: [
      { flags: '-b, --brokerAddr <address>', description: 'one broker, host:port' },
      { flags: '-c, --clusterName <cluster>', description: 'every broker of the cluster' },
    ],
    example: `${name} -c RaftCluster`,
    async run(admin, options) {
      brokerOrCluster(options)
      const addresses =
        options.brokerAddr === undefined
          ? (await clusterBrokers(admin, options.clusterName)).flatMap((broker) => [
              ...broker.addresses.values(),
            ])
          : [options.brokerAddr]
      for (const address of addresses) await admin.askBroker(address, { code })
      return {
        json: { brokers: addresses },
        sections: [{ kind: 'text', text: `success: ${addresses.join(', ')}` }],
      }
    },
  }
}
