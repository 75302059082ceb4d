/** Stores of Apache RocketMQ before they become a Raft group: looked at and compared. */
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
