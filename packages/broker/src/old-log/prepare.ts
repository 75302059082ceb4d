/**
 * What a broker does about an old commit log before anything else starts: agrees on it with the
 * other members at its first start, then takes it over. Owns the notes that this was done, and of
 * what the group takes over besides messages.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { NodeDisk, storeLayout } from '@ringledger/io'
import { ledgerSettingsOf } from '../ledger-settings.ts'
import type { NodeSettings } from '../node-settings.ts'
import { forgetForeignRun, hasRunPlain } from '../plain/foreign-run.ts'
import type { TellWork } from '../start-work.ts'
import { replaceText } from '../state/config-file.ts'
import { plainLogFiles } from '../store/plain-log.ts'
import type { OldLogAgreement } from './agreement.ts'
import { type OldLog, type OldLogReport, takeOverOldLog } from './take-over.ts'

/** @throws LedgerError BAD_CONFIG, BAD_REQUEST, PORT_BUSY, CORRUPT, DISK_FULL, DISK_FAILED */
export async function prepareOldLog(
  settings: NodeSettings,
  log: OldLogReport,
  tellWork: TellWork,
): Promise<OldLog> {
  const { store } = ledgerSettingsOf(settings)
  const layout = storeLayout(store)
  const agreedPath = join(layout.directory, 'ringledger-agreed')
  const isFirst =
    plainLogFiles(layout.dataDirectory).length === 0 &&
    !existsSync(layout.markPath) &&
    !existsSync(agreedPath)
  if (isFirst && hasRunPlain(settings.storePathRootDir)) {
    forgetForeignRun(settings.storePathRootDir, (line) => log('info', line))
  }
  if (!isFirst) return takeOverOldLog(settings.storePathCommitLog, store, log)
  const isGroup = settings.peers.length > 1
  // Loaded late: only a first start needs it.
  const newAgreement = async (): Promise<OldLogAgreement> => {
    const { OldLogAgreement } = await import('./agreement.ts')
    return new OldLogAgreement(settings, log, tellWork)
  }
  if (isGroup) {
    new NodeDisk().makeDirectory(layout.directory)
    await (await newAgreement()).run()
  }
  const oldLog = takeOverOldLog(settings.storePathCommitLog, store, log)
  if (isGroup) replaceText(agreedPath, `${oldLog.dividedPosition}\n`)
  else if (oldLog.files.length > 0) (await newAgreement()).noteRecords([])
  return oldLog
}
