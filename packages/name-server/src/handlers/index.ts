/** The codes that this name server answers; every other code gets code 3. */
import * as brokers from './brokers.ts'
import * as config from './config.ts'
import type { Handler } from './handler.ts'
import * as topics from './topics.ts'

export const handlers: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [100, config.putKv],
  [101, config.getKv],
  [102, config.deleteKv],
  [103, brokers.registerBroker],
  [104, brokers.unregisterBroker],
  [105, topics.routeByTopic],
  [106, topics.brokerClusterInfo],
  [205, brokers.wipeWritePermission],
  [206, topics.allTopicList],
  [216, topics.deleteTopic],
  [217, topics.registerTopic],
  [219, config.listKv],
  [224, topics.clusterTopicList],
  [304, topics.systemTopicList],
  [311, topics.unitTopicList],
  [312, topics.unitSubscribedTopicList],
  [313, topics.subscribedWithoutUnitTopicList],
  [318, config.updateSettings],
  [319, config.getSettings],
  [322, brokers.queryDataVersion],
  [327, brokers.addWritePermission],
  [901, brokers.brokerMembers],
  [904, brokers.brokerHeartbeat],
])
