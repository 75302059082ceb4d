/**
 * The settings of a broker.conf that say when the log is deleted, as `broker-keys.ts` has the
 * others.
 */
import { booleanSetting, integerSetting, type SettingsSchema, textSetting } from '@ringledger/base'
import { areHours } from '@ringledger/broker'

/** Java's int: Apache could not read a larger value back. */
const MAX_INT = 2_147_483_647

export interface RetentionKeys {
  fileReservedTime: number
  deleteWhen: string
  diskMaxUsedSpaceRatio: number
  diskSpaceCleanForciblyRatio: number
  diskSpaceWarningLevelRatio: number
  cleanFileForciblyEnable: boolean
  cleanResourceInterval: number
  deleteCommitLogFilesInterval: number
  deleteConsumeQueueFilesInterval: number
  deleteFileBatchMax: number
  destroyMapedFileIntervalForcibly: number
}

export const retentionKeys: SettingsSchema<RetentionKeys> = {
  fileReservedTime: integerSetting({
    doc: 'How long a data segment is kept after it was last written to (the time of its file). The newest segments always stay.',
    unit: 'hours',
    defaultValue: 72,
    min: 0,
    max: 1_000_000,
  }),
  deleteWhen: textSetting({
    doc: 'Hours of the day, local time, at which what is expired is deleted, separated by ";".',
    defaultValue: '04',
    check: (text) => (areHours(text) ? undefined : 'is hours of the day, 0 to 23: 04, or 04;16'),
  }),
  diskMaxUsedSpaceRatio: integerSetting({
    doc: 'Above this use of the disk what is expired is deleted at any hour.',
    unit: 'percent',
    defaultValue: 75,
    min: 10,
    max: 95,
  }),
  diskSpaceCleanForciblyRatio: integerSetting({
    doc: 'Above this use of the disk the oldest segments are deleted even if they are not expired, nor consumed. At it, a node that was full takes writes again.',
    unit: 'percent',
    defaultValue: 85,
    min: 30,
    max: 85,
  }),
  diskSpaceWarningLevelRatio: integerSetting({
    doc: 'Above this use of the disk new messages are refused with 14 and a follower with more space leads.',
    unit: 'percent',
    defaultValue: 90,
    min: 35,
    max: 90,
  }),
  cleanFileForciblyEnable: booleanSetting({
    doc: 'false: nothing is deleted that is not expired, however full the disk is.',
    defaultValue: true,
  }),
  cleanResourceInterval: integerSetting({
    doc: 'Pause between two looks at what can be deleted; the first one comes after six.',
    unit: 'ms',
    defaultValue: 10_000,
    min: 100,
    max: MAX_INT,
  }),
  deleteCommitLogFilesInterval: integerSetting({
    doc: 'Pause between two data segments that are deleted.',
    unit: 'ms',
    defaultValue: 100,
    min: 0,
    max: MAX_INT,
  }),
  deleteConsumeQueueFilesInterval: integerSetting({
    doc: 'Pause between two files of consume queues that are deleted.',
    unit: 'ms',
    defaultValue: 100,
    min: 0,
    max: MAX_INT,
  }),
  deleteFileBatchMax: integerSetting({
    doc: 'Data segments that are deleted at one look, at most.',
    defaultValue: 10,
    min: 1,
    max: 1_000_000,
  }),
  destroyMapedFileIntervalForcibly: integerSetting({
    doc: 'Has no effect: whoever still reads a deleted file here reads on without holding it up.',
    unit: 'ms',
    defaultValue: 120_000,
    min: 0,
    max: MAX_INT,
  }),
}
