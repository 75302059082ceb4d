/**
 * Configuration of consumer groups, with creation on first use (rocketmq-remoting.md §5.1). Owns
 * the rule that a group's creation is proposed once at a time and only by a leader; reading never
 * waits for it.
 */
import { groupNameProblem } from '@ringledger/protocol'
import type { RoleView } from './context.ts'
import type { BrokerSettings } from './settings.ts'
import { defaultGroupConfig, type GroupConfig } from './state/configs.ts'
import type { StateChanges } from './state-changes.ts'

const MAX_CREATIONS = 1_000
/** Groups of RocketMQ's own tools and services, which every broker has. */
const TOOL_GROUPS: ReadonlySet<string> = new Set([
  'TOOLS_CONSUMER',
  'FILTERSRV_CONSUMER',
  'SELF_TEST_C_GROUP',
  'CID_ONS-HTTP-PROXY',
  'CID_ONSAPI_PULL',
  'CID_ONSAPI_PERMISSION',
  'CID_ONSAPI_OWNER',
  'CID_SYS_RMQ_TRANS',
])
const SYSTEM_GROUP_PREFIX = 'CID_RMQ_SYS_'

export interface SubscriptionGroupsOptions {
  readonly table: ReadonlyMap<string, GroupConfig>
  readonly changes: Pick<StateChanges, 'propose'>
  readonly settings: Pick<BrokerSettings, 'autoCreateSubscriptionGroup'>
  readonly role: RoleView
}

export class SubscriptionGroups {
  readonly #options: SubscriptionGroupsOptions
  readonly #creating = new Set<string>()

  constructor(options: SubscriptionGroupsOptions) {
    this.#options = options
  }

  get(group: string): GroupConfig | undefined {
    return this.#options.table.get(group)
  }

  all(): Iterable<GroupConfig> {
    return this.#options.table.values()
  }

  get size(): number {
    return this.#options.table.size
  }

  /**
   * The group's configuration; a new group gets the default at once while its record is on its way.
   * Undefined when groups are not made on demand (those of RocketMQ's tools always are) or the name
   * is not allowed.
   */
  findOrCreate(group: string): GroupConfig | undefined {
    const known = this.#options.table.get(group)
    if (known !== undefined) return known
    const isMade = this.#options.settings.autoCreateSubscriptionGroup || isToolGroup(group)
    if (!isMade) return undefined
    if (groupNameProblem(group) !== undefined) return undefined
    const config = defaultGroupConfig(group)
    this.#create(config)
    return config
  }

  #create(config: GroupConfig): void {
    const group = config.groupName
    if (!this.#options.role.serving) return
    if (this.#creating.has(group) || this.#creating.size >= MAX_CREATIONS) return
    // A creation that fails is tried again when the group is next used.
    const failure = this.#options.changes.propose({ kind: 'group', config }, () =>
      this.#creating.delete(group),
    )
    if (failure === undefined) this.#creating.add(group)
  }
}

function isToolGroup(group: string): boolean {
  return TOOL_GROUPS.has(group) || group.startsWith(SYSTEM_GROUP_PREFIX)
}
