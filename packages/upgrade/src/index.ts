/**
 * Stores of Apache RocketMQ on their way into a Raft group and back: looked at, compared, one copy
 * put in another's place, rolled back.
 */
export { type AdoptOptions, type AdoptReport, adoptLog, cancelAdoption } from './adopt/adopt.ts'
export {
  type Comparison,
  type CopyComparison,
  type CopyVerdict,
  compareReports,
  type TableDifference,
} from './compare.ts'
export { type Difference, findDifference, firstDifference } from './first-difference.ts'
export { reportsOfGroup } from './offsets-beyond.ts'
export { parseReport, readReport } from './read-report.ts'
export { AdoptRefused, RollbackRefused, UpgradeRefused } from './refused.ts'
export * from './report.ts'
export { rollbackStore } from './rollback/rollback.ts'
export * from './rollback/rollback-types.ts'
export type { LogFile } from './store-files.ts'
export { type SurveyOptions, surveyFile, surveyStore } from './survey.ts'
