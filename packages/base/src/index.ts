export { assert, InvariantError, unreachable } from './assert.ts'
export { type Clock, systemClock } from './clock.ts'
export { FakeClock } from './clock-fake.ts'
export {
  BadValue,
  booleanSetting,
  type ConfigEntry,
  type ConfigRemark,
  choiceSetting,
  formatSettings,
  integerSetting,
  type ReadSettings,
  readSettings,
  type Setting,
  type SettingsSchema,
  textSetting,
} from './config-schema.ts'
export { type ErrorCode, LedgerError } from './errors.ts'
export { type Random, randomBetween, seededRandom } from './random.ts'
export { editDistance, nearest } from './suggest.ts'
export {
  type Cell,
  type Column,
  columns,
  formatCell,
  formatTable,
  shorten,
  type TableStyle,
  visible,
} from './table.ts'
export { workerUrl } from './worker-url.ts'
