/** Every command of mqadmin, in the order of its help. */
import type { AdminCommand } from '../command.ts'
import { brokerStatus, getBrokerConfig } from './broker-status.ts'
import { cleanExpiredCQ, deleteExpiredCommitLog } from './clean-store.ts'
import { clusterList } from './cluster-list.ts'
import { consumerConnection, consumerProgress } from './consumer.ts'
import { electMaster } from './elect-master.ts'
import { resetOffsetByTime, updateSubGroup } from './group-change.ts'
import { consumeMessage, sendMessage } from './message-move.ts'
import { queryMsgById, queryMsgByKey, queryMsgByUniqueKey } from './message-query.ts'
import { deleteTopic, updateTopic } from './topic-change.ts'
import { topicList, topicRoute, topicStatus } from './topic-list.ts'

/** Each command gets the options that it declares; commander has read and checked them. */
export const commands: readonly AdminCommand[] = [
  clusterList,
  brokerStatus,
  getBrokerConfig,
  electMaster,
  deleteExpiredCommitLog,
  cleanExpiredCQ,
  topicList,
  topicRoute,
  topicStatus,
  updateTopic,
  deleteTopic,
  updateSubGroup,
  consumerProgress,
  consumerConnection,
  resetOffsetByTime,
  queryMsgById,
  queryMsgByKey,
  queryMsgByUniqueKey,
  sendMessage,
  consumeMessage,
]
