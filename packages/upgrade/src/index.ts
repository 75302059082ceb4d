/**
 * Stores of Apache RocketMQ on their way into a Raft group and back: looked at, compared, one copy
 * put in another's place, rolled back.
 */
export {
  type AdoptOptions,
  AdoptRefused,
  type AdoptReport,
  adoptLog,
  cancelAdoption,
} from './adopt/adopt.ts'
export {
  type Comparison,
  type CopyComparison,
  type CopyVerdict,
  compareReports,
  type TableDifference,
} from './compare.ts'
export { type Difference, findDifference } from './first-difference.ts'
export { readReport } from './read-report.ts'
export * from './report.ts'
export { rollbackStore } from './rollback/rollback.ts'
export * from './rollback/rollback-types.ts'
export { type SurveyOptions, surveyStore } from './survey.ts'
