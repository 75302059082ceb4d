/** brokerStatus and getBrokerConfig: everything a broker says of itself, name by name. */
import { RequestCode } from '@ringledger/protocol'
import type { Admin } from '../admin.ts'
import { type AdminCommand, brokerOrCluster } from '../command.ts'
import { clusterBrokers } from '../queries.ts'
import type { View } from '../view.ts'
import { runtimeInfo } from './cluster-list.ts'

interface Options {
  readonly brokerAddr?: string
  readonly clusterName?: string
}

const WHICH = [
  { flags: '-b, --brokerAddr <address>', description: 'one broker, host:port' },
  { flags: '-c, --clusterName <cluster>', description: 'every broker of the cluster' },
] as const

export const brokerStatus: AdminCommand<Options> = {
  name: 'brokerStatus',
  summary: "Show a broker's runtime figures.",
  options: WHICH,
  example: 'brokerStatus -b 127.0.0.1:30911',
  run: (admin, options) => fieldsOfEach(admin, options, runtimeInfo),
}

export const getBrokerConfig: AdminCommand<Options> = {
  name: 'getBrokerConfig',
  summary: 'Show the configuration a broker runs with.',
  options: WHICH,
  example: 'getBrokerConfig -c RaftCluster',
  run: (admin, options) => fieldsOfEach(admin, options, brokerConfig),
}

async function brokerConfig(admin: Admin, address: string): Promise<Record<string, string>> {
  const answer = await admin.askBroker(address, { code: RequestCode.GET_BROKER_CONFIG })
  const properties: Record<string, string> = {}
  for (const line of answer.body.toString('utf8').split('\n')) {
    const split = line.indexOf('=')
    if (split > 0) properties[line.slice(0, split)] = line.slice(split + 1)
  }
  return properties
}

async function fieldsOfEach(
  admin: Admin,
  options: Options,
  ask: (admin: Admin, address: string) => Promise<Record<string, string>>,
): Promise<View> {
  brokerOrCluster(options)
  const addresses = await addressesOf(admin, options)
  const answers = await Promise.all(addresses.map((address) => ask(admin, address)))
  return {
    json: Object.fromEntries(addresses.map((address, index) => [address, answers[index]])),
    sections: addresses.map((address, index) => ({
      kind: 'fields',
      title: `${address}:`,
      fields: Object.entries(answers[index] ?? {}).sort(([left], [right]) =>
        left < right ? -1 : 1,
      ),
    })),
  }
}

async function addressesOf(admin: Admin, options: Options): Promise<string[]> {
  if (options.brokerAddr !== undefined) return [options.brokerAddr]
  const brokers = await clusterBrokers(admin, options.clusterName)
  return brokers.flatMap((broker) => [...broker.addresses.values()])
}
